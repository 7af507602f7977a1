import { clientCertificateText } from '../http/client-certificate.ts'
import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import { originText } from '../http/forwarded.ts'
import { dropFromRequest } from '../http/hop-by-hop.ts'
import type { RequestHead } from '../http/message.ts'
import type { Mount } from './mount.ts'

/**
 * The request as the app gets to see it, written from the validated model: its own fields cleaned, then ours. Host stays as the client sent
 * it, port included: Django compares it with Origin (CSRF). Always HTTP/1.1 (uvicorn answers chunked even to 1.0).
 * `bodyLength`: undefined for a body that is sent in chunks, and where there is none. The empty line behind it is left to the caller.
 */
export function requestText(
  exchange: Exchange,
  mount: Mount | undefined,
  bodyLength: number | undefined,
): string {
  const { request, client } = exchange
  const { fields } = request
  dropFromRequest(fields, request.connectionNamed, client.trusted)
  const cookies = oneCookieLine(request)
  return (
    `${request.method} ${targetFor(request, mount)} HTTP/1.1\r\nHost: ${request.host}\r\n` +
    `${fields.toText()}${cookies}${ownLines(exchange, mount)}${framingText(exchange, bodyLength)}`
  )
}

/** What the app is asked for. */
export function targetFor(request: RequestHead, mount: Mount | undefined): string {
  return mount === undefined ? request.target : mount.targetOf(request)
}

/** The lines that we say ourselves: whence the request came and with which certificate, where the app is mounted, what the request is called. */
export function ownLines(
  { origin, client, record }: Pick<Exchange, 'origin' | 'client' | 'record'>,
  mount: Mount | undefined,
): string {
  return `${originText(origin)}${clientCertificateText(client.tls)}${mount?.fieldsText ?? ''}X-Request-Id: ${record.requestId}\r\n`
}

/**
 * Several Cookie lines are one to HTTP/2 clients, but apps join them with a comma: RFC 9113 8.2.3. The text may be made more than once, for a
 * mirror has a mount of its own.
 */
function oneCookieLine({ fields, connectionNamed }: RequestHead): string {
  const first = fields.indexOf(FIELD.cookie)
  if (first < 0 || fields.indexOf(FIELD.cookie, first + 1) < 0 || connectionNamed?.has('cookie') === true)
    return ''
  const cookies = fields.joined(FIELD.cookie)
  fields.dropAll(FIELD.cookie)
  return `Cookie: ${cookies}\r\n`
}

function framingText({ request }: Exchange, bodyLength: number | undefined): string {
  // A request to switch has no body, whatever length it gives to that.
  if (request.framing === 'none' || (request.framing === 'length' && bodyLength === undefined)) return ''
  return bodyLength === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${bodyLength}\r\n`
}
