import { isLocalError, localReason } from '../../lib/base/local-error.ts'
import type { Address } from '../../lib/config/model.ts'
import { tlsReasonOf } from '../transport/tls-error.ts'
import type { Probe } from './health.ts'

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect refused',
  ECONNRESET: 'connection reset before the response was complete',
  EPIPE: 'connection reset before the response was complete',
  UND_ERR_SOCKET: 'connection closed before the response was complete',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'connection closed before the response was complete',
  UND_ERR_HEADERS_OVERFLOW: 'the response head is too large',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the host',
}

/** A probe that has failed with this error. */
export function failedProbe(error: unknown, address: Address): Probe {
  if (isLocalError(error)) return { ok: false, reason: localReason(error as Error), local: true }
  return { ok: false, reason: reasonOfError(error, address) }
}

/** A failed probe in words that say where to look. The one place that knows the codes of Node and undici. */
export function reasonOfError(error: unknown, address: Address): string {
  const code = codeOf(error)
  if (address.kind === 'unix') {
    if (code === 'ENOENT') return `no socket at ${address.path}`
    if (code === 'EACCES') return `no permission to connect to ${address.path}`
  } else {
    if (code === 'ENOTFOUND') return `host name "${address.host}" does not resolve`
    if (code === 'EAI_AGAIN') return `the name server does not respond for "${address.host}"`
  }
  if (!(error instanceof Error)) return String(error)
  // undici's parser errors carry a code only sometimes.
  const handshake = tlsReasonOf(error)
  if (handshake !== undefined) return handshake
  if (/^ERR_HTTP2_|^UND_ERR_INFO$/.test(code)) return `the response is not HTTP/2: ${error.message}`
  if (error.name === 'HTTPParserError') return `the response is not HTTP: ${error.message}`
  return WORDS[code] ?? error.message
}

/**
 * The way a status that was not expected came about most often, for the operator to try first; '' if there is
 * no usual one.
 */
export function hintOfStatus(
  status: number,
  location: string | undefined,
  host: string,
  path: string,
): string {
  if (status === 400) return `: Django's ALLOWED_HOSTS rejects the Host "${host}"; set health.host`
  if (status === 404) return `: the app has no page at "${path}"; set health.path`
  if (status < 301 || status > 308 || location === undefined) return ''
  if (location.startsWith('https:')) {
    return ': it redirects to https; set health.headers = { X-Forwarded-Proto = "https" }'
  }
  return `: it redirects to ${JSON.stringify(location.slice(0, 200))}; set health.path`
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  if ('code' in error && typeof error.code === 'string' && error.code !== 'UND_ERR') return error.code
  return 'cause' in error ? codeOf(error.cause) : ''
}
