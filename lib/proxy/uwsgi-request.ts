import { FIELD } from '../http/field-ids.ts'
import { DROPPED } from '../http/field-list.ts'
import type { RequestHead } from '../http/message.ts'
import { plainForm } from '../http/path.ts'
import type { PacketRefusal } from '../wire/uwsgi-packet.ts'
import { pathBytes, UwsgiVariables, utf8Bytes } from '../wire/uwsgi-variables.ts'
import type { Mount } from './mount.ts'
import { cookiesOf, ownLines, type Told } from './request-lines.ts'

/**
 * The request as a uwsgi packet, from the validated model behind `cleanRequest`. `bodyBytes`: length of the
 * body, where the head does not say it.
 *
 * Variables are those of nginx, each once. REQUEST_SCHEME alone means nothing to uWSGI: https needs HTTPS or
 * UWSGI_SCHEME.
 */
export function uwsgiRequest(
  exchange: Told,
  mount?: Mount,
  bodyBytes: number | undefined = lengthOf(exchange.request),
): string | PacketRefusal {
  const { request, origin, client } = exchange
  const all = new UwsgiVariables()
  all.set('QUERY_STRING', request.query ?? '')
  all.set('REQUEST_METHOD', request.method)
  all.set('CONTENT_TYPE', '')
  all.set('CONTENT_LENGTH', bodyBytes === undefined ? '' : String(bodyBytes))
  all.set('REQUEST_URI', request.target)
  addPath(all, request, mount)
  // Always this one: uWSGI puts it into the status line of its answer.
  all.set('SERVER_PROTOCOL', 'HTTP/1.1')
  all.set('REQUEST_SCHEME', origin.scheme)
  if (origin.scheme === 'https') {
    all.set('HTTPS', 'on')
    all.set('UWSGI_SCHEME', 'https')
  }
  all.set('REMOTE_ADDR', origin.clientIp)
  // A trusted proxy says who the client is, but not its port.
  if (origin.clientIp === client.peerAddress) all.set('REMOTE_PORT', String(client.peerPort))
  all.set('SERVER_PORT', origin.port)
  all.set('SERVER_NAME', request.hostname === '' ? 'localhost' : request.hostname)
  all.set('HTTP_HOST', request.host)
  addFields(all, request)
  all.addLines(ownLines(exchange, mount))
  // gunicorn's uwsgi would wait for another packet on the connection.
  all.addField('Connection', 'close')
  return all.toPacket()
}

function lengthOf({ framing, contentLength }: RequestHead): number | undefined {
  return framing === 'length' ? contentLength : undefined
}

/** PATH_INFO is what stands behind SCRIPT_NAME; an app that gets both in one finds no page. */
function addPath(all: UwsgiVariables, request: RequestHead, mount: Mount | undefined): void {
  if (mount === undefined) return all.set('PATH_INFO', pathBytes(request.path))
  const target = mount.targetOf(request)
  const script = utf8Bytes(mount.scriptName)
  const stripped = target !== request.target
  all.set('PATH_INFO', stripped ? pathBytes(pathOf(target)) : splitPath(request.path, script))
  if (script !== '') all.set('SCRIPT_NAME', script)
}

/** The path behind `script`; one like `//app/x` in the plain form that its route was found by. */
function splitPath(path: string, script: string): string {
  const bytes = pathBytes(path)
  return behindPrefix(bytes, script) ?? behindPrefix(plainPath(path), script) ?? bytes
}

function pathOf(target: string): string {
  const question = target.indexOf('?')
  return question < 0 ? target : target.slice(0, question)
}

function plainPath(path: string): string {
  return pathBytes(plainForm(path))
}

function behindPrefix(path: string, prefix: string): string | undefined {
  if (path === prefix) return '/'
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined
}

function addFields(all: UwsgiVariables, request: RequestHead): void {
  const { fields } = request
  for (let i = 0; i < fields.count; i += 1) {
    if ((fields.flags(i) & DROPPED) !== 0 || fields.id(i) === FIELD.cookie) continue
    all.addField(fields.name(i), fields.value(i))
  }
  // Joined by `; `: with a comma the app would lose all but the first.
  const cookies = cookiesOf(request)
  if (cookies !== undefined) all.set('HTTP_COOKIE', cookies)
}
