import { type ErrorCode, endCauseOf, traitsOf } from '../../base/errors.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { ExchangeFacts } from '../../http/exchange.ts'
import { FieldList } from '../../http/field-list.ts'
import type { RequestHead } from '../../http/message.ts'
import { phraseOf, statusLine } from '../../http/phrases.ts'
import { ExchangeRecord } from '../../http/record.ts'

/** Stands in logs for a request whose head was refused: nothing in it can be trusted to be what it seems. */
const REFUSED_REQUEST: RequestHead = {
  method: '',
  target: '',
  path: '',
  query: undefined,
  host: '',
  hostname: '',
  protocol: 'HTTP/1.1',
  fields: new FieldList('', []),
  framing: 'none',
  contentLength: 0,
  connectionNamed: undefined,
  keepAlive: false,
  expectsContinue: false,
  size: 0,
}

/**
 * The whole answer to a refused head. Says nothing of why: whoever probes parsers learns no more than the
 * status.
 */
export function refusalText(code: ErrorCode, requestId: string, date: string): string {
  const { status } = traitsOf(code)
  const body = `${status} ${phraseOf(status)}\nRequest id: ${requestId}\n`
  return (
    `${statusLine(status, '')}Content-Type: text/plain; charset=utf-8\r\nDate: ${date}\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}

export interface Refused {
  readonly requestId: string
  readonly startMs: number
  readonly code: ErrorCode
  readonly detail: string
  readonly bytesIn: number
  readonly protocol?: RequestHead['protocol']
}

/** What the log is told of a client that was refused before there was any exchange. */
export function refusedFacts(
  client: ClientFacts,
  { requestId, startMs, code, detail, bytesIn, protocol = 'HTTP/1.1' }: Refused,
): ExchangeFacts {
  const record = new ExchangeRecord(requestId, startMs)
  record.clientIp = client.peerAddress
  record.status = traitsOf(code).status
  record.end = endCauseOf(code)
  record.detail = detail
  record.bytesIn = bytesIn
  return { request: { ...REFUSED_REQUEST, protocol }, client, record, answered: false, bodyDone: false }
}
