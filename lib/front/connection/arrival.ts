import type { ClientFacts } from '../../http/client-facts.ts'
import { type Origin, originOf } from '../../http/forwarded.ts'
import type { RequestHead } from '../../http/message.ts'
import { ExchangeRecord } from '../../http/record.ts'
import type { ConnectionHost } from './connection-host.ts'

/** Whence a request came, as far as that is believed. */
export function originAt(host: ConnectionHost, client: ClientFacts, request: RequestHead): Origin {
  return originOf(client, request.fields, request.host, host.trusted)
}

/** The record of a request that has just come. */
export function recordAt(
  host: ConnectionHost,
  client: ClientFacts,
  request: RequestHead,
  { clientIp, scheme }: Origin,
  startMs: number,
): ExchangeRecord {
  const record = new ExchangeRecord(host.requestIds.of(client, request.fields), startMs)
  record.bytesIn = request.size
  record.clientIp = clientIp
  record.scheme = scheme
  return record
}
