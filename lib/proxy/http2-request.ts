import { FIELD } from '../http/field-ids.ts'
import { DROPPED } from '../http/field-list.ts'
import type { RequestHead } from '../http/message.ts'
import { acceptsTrailers } from '../http/trailers.ts'
import type { Mount } from './mount.ts'
import { cookiesOf, ownLines, type Told, targetFor } from './request-lines.ts'

/**
 * The request as HTTP/2 fields, names and values in turn, from the validated model behind `cleanRequest`.
 * `scheme` is that of the connection to the app (RFC 9113 8.3.1); what the client used is said by
 * X-Forwarded-Proto, as elsewhere.
 */
export function http2Request(
  exchange: Told,
  mount: Mount | undefined,
  bodyLength: number | undefined,
  scheme: 'http' | 'https',
): string[] {
  const { request } = exchange
  const all = [':method', request.method, ':scheme', scheme, ':path', targetFor(request, mount)]
  if (request.host !== '') all.push(':authority', request.host)
  addFields(all, request)
  addLines(all, ownLines(exchange, mount))
  if (request.framing !== 'none' && bodyLength !== undefined) all.push('content-length', String(bodyLength))
  return all
}

function addFields(all: string[], request: RequestHead): void {
  const { fields } = request
  for (let i = 0; i < fields.count; i += 1) {
    if ((fields.flags(i) & DROPPED) !== 0 || fields.id(i) === FIELD.cookie) continue
    all.push(fields.name(i).toLowerCase(), fields.value(i))
  }
  // RFC 9113 8.2.3 allows crumbs, but apps behind gateways join them with a comma.
  const cookies = cookiesOf(request)
  if (cookies !== undefined) all.push('cookie', cookies)
  // The one value that HTTP/2 allows (RFC 9113 8.2.2); gRPC servers refuse requests without it.
  if (acceptsTrailers(fields)) all.push('te', 'trailers')
}

/** Lines as they are written to HTTP/1.1 apps. */
function addLines(all: string[], lines: string): void {
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(': ', at)
    const end = lines.indexOf('\r\n', colon)
    all.push(lines.slice(at, colon).toLowerCase(), lines.slice(colon + 2, end))
    at = end + 2
  }
}
