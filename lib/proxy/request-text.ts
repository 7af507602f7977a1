import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import type { RequestHead } from '../http/message.ts'
import type { Mount } from './mount.ts'
import { cookiesOf, ownLines, targetFor } from './request-lines.ts'

/**
 * The request as an HTTP/1.1 app gets to see it, written from the validated model behind `cleanRequest`. Host
 * stays as the client sent it, port included: Django compares it with Origin (CSRF). Always HTTP/1.1 (uvicorn
 * answers chunked even to 1.0). `bodyLength`: undefined for a body that is sent in chunks, and where there is
 * none. The empty line behind it is left to the caller.
 */
export function requestText(
  exchange: Exchange,
  mount: Mount | undefined,
  bodyLength: number | undefined,
): string {
  const { request } = exchange
  return (
    `${request.method} ${targetFor(request, mount)} HTTP/1.1\r\nHost: ${request.host}\r\n` +
    `${fieldsText(request)}${ownLines(exchange, mount)}${framingText(exchange, bodyLength)}`
  )
}

function fieldsText(request: RequestHead): string {
  const { fields } = request
  const first = fields.indexOf(FIELD.cookie)
  if (first < 0 || fields.indexOf(FIELD.cookie, first + 1) < 0) return fields.toText()
  return `${fields.toText(FIELD.cookie)}Cookie: ${cookiesOf(request)}\r\n`
}

function framingText({ request }: Exchange, bodyLength: number | undefined): string {
  // A request to switch has no body, whatever length it gives to that.
  if (request.framing === 'none' || (request.framing === 'length' && bodyLength === undefined)) return ''
  return bodyLength === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${bodyLength}\r\n`
}
