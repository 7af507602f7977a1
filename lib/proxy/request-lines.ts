import { clientCertificateText } from '../http/client-certificate.ts'
import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import { originText } from '../http/forwarded.ts'
import { dropFromRequest } from '../http/hop-by-hop.ts'
import type { RequestHead } from '../http/message.ts'
import type { Mount } from './mount.ts'

// What an app is told of a request, the same in every form that a request takes on its way to one: HTTP/1.1,
// HTTP/2 and uwsgi.

/** What the forms are made of. */
export type Told = Pick<Exchange, 'request' | 'origin' | 'client' | 'record'>

/**
 * Marks the client's fields that may not reach an app. Once for an exchange, before any form is made of it.
 */
export function cleanRequest({ request, client }: Pick<Exchange, 'request' | 'client'>): void {
  dropFromRequest(request.fields, request.connectionNamed, client.trusted)
}

/** What the app is asked for. */
export function targetFor(request: RequestHead, mount: Mount | undefined): string {
  return mount === undefined ? request.target : mount.targetOf(request)
}

/**
 * The client's cookies as one value, joined by `; `. Several Cookie lines are one to HTTP/2 clients, but apps
 * join them with a comma and lose all but the first (RFC 9113 8.2.3). undefined: there are none.
 */
export function cookiesOf({ fields }: RequestHead): string | undefined {
  return fields.joined(FIELD.cookie)
}

/**
 * The lines that we say ourselves: whence the request came and with which certificate, where the app is
 * mounted, what the request is called. As HTTP/1.1 has them: `Name: value` CRLF.
 */
export function ownLines(
  { origin, client, record }: Omit<Told, 'request'>,
  mount: Mount | undefined,
): string {
  return `${originText(origin)}${clientCertificateText(client.tls)}${mount?.fieldsText ?? ''}X-Request-Id: ${record.requestId}\r\n`
}
