import { detached } from '../../base/detached-text.ts'
import { FIELD, type FieldName } from '../../http/field-ids.ts'
import { FieldList } from '../../http/field-list.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { RequestHead } from '../../http/message.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { MAX, placeOf } from './access-line.ts'

/**
 * What the access log still needs of a request whose answer has begun: copies, no longer than they will be
 * printed, so that nothing holds the head's text. The same in all that decides about framing.
 */
export function loggedRequest(request: RequestHead): RequestHead {
  return {
    method: request.method,
    target: '',
    path: short(request.path, MAX.path),
    query: undefined,
    host: short(request.host, MAX.host),
    hostname: '',
    protocol: request.protocol,
    fields: loggedFields(request.fields),
    framing: request.framing,
    contentLength: request.contentLength,
    connectionNamed: undefined,
    keepAlive: request.keepAlive,
    expectsContinue: request.expectsContinue,
    size: request.size,
  }
}

/** The same of whence it came, of which only the scheme is asked for once an answer has begun. */
export function loggedOrigin({ scheme }: Origin): Origin {
  return { clientIp: '', chain: '', scheme, host: '', port: '' }
}

/** Names in a record may be slices of the head's text. */
export function detachRecord(record: ExchangeRecord): void {
  record.requestId = short(record.requestId, MAX.id)
  record.clientIp = short(record.clientIp, MAX.ip)
}

/** Bytes that such a request keeps. */
export function loggedBytes({ method, path, host, fields }: RequestHead): number {
  return method.length + path.length + host.length + fields.text.length
}

function loggedFields(fields: FieldList): FieldList {
  const pairs: [FieldName, string][] = []
  const agent = fields.rawFirst(FIELD['user-agent'])
  const referer = fields.rawFirst(FIELD.referer)
  if (agent !== undefined) pairs.push(['user-agent', short(agent, MAX.agent)])
  if (referer !== undefined) pairs.push(['referer', short(placeOf(referer), MAX.referer)])
  // Not for the log: trailers are asked about at the end.
  const te = fields.rawJoined(FIELD.te)
  if (te !== undefined) pairs.push(['te', short(te, MAX.agent)])
  return FieldList.of(pairs)
}

/** One character more than is printed, so that the log still says that it was longer. */
function short(text: string, maxLength: number): string {
  return detached(text.length > maxLength ? text.slice(0, maxLength + 1) : text)
}
