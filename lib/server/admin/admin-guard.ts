import { createHash, timingSafeEqual } from 'node:crypto'
import type { Address } from '../../config/model.ts'

/** What the guard looks at. */
export interface AdminRequest {
  readonly host: string | undefined
  readonly authorization: string | undefined
  readonly method: string | undefined
  /** What a browser says about the page that sends the request. */
  readonly origin?: string | undefined
  readonly fetchSite?: string | undefined
  /** True for pages that orchestrators ask for, by whatever name, and that say no more than yes or no. */
  readonly open: boolean
}

/** Why a request is refused. */
export interface AdminRefusal {
  readonly status: 401 | 403
  readonly message: string
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Who may use the admin listener. A browser that was lured to a name that resolves to this machine (DNS
 * rebinding) names itself by its Host field: without a token only loopback names and the bound address are
 * answered.
 */
export function refuseAdmin(
  request: AdminRequest,
  bound: Address,
  token: string | undefined,
): AdminRefusal | undefined {
  if (request.open) return undefined
  if (isForeign(request)) return { status: 403, message: 'cross-site requests are not allowed' }
  if (token !== undefined) {
    if (sameToken(request.authorization, token)) return undefined
    return {
      status: 401,
      message:
        'this page requires "Authorization: Bearer <token>", or the token as the password in a browser',
    }
  }
  if (bound.kind === 'unix' || hostAllowed(request.host, bound)) return undefined
  return { status: 403, message: 'this Host is not allowed' }
}

/**
 * A page of any site may make a browser send a request here, with the right Host field: but the browser then
 * says where it comes from (Fetch Metadata, and RFC 6454 Origin). Nobody else sends these fields.
 */
function isForeign({ method, host, origin, fetchSite }: AdminRequest): boolean {
  // A link from elsewhere to a page is nothing bad, and nobody there can read it.
  if (method === 'GET' || method === 'HEAD') return false
  if (fetchSite !== undefined) return fetchSite !== 'same-origin' && fetchSite !== 'none'
  return origin !== undefined && origin.replace(/^https?:\/\//, '') !== host
}

function hostAllowed(host: string | undefined, bound: Extract<Address, { kind: 'tcp' }>): boolean {
  if (host === undefined) return false
  const name = host.replace(/:\d*$/, '').toLowerCase()
  const boundName = bound.host.includes(':') ? `[${bound.host}]` : bound.host
  return LOOPBACK_NAMES.has(name) || name === boundName.toLowerCase()
}

/** In constant time, so that the token cannot be guessed character by character. */
function sameToken(authorization: string | undefined, token: string): boolean {
  return timingSafeEqual(digest(tokenOf(authorization ?? '') ?? ''), digest(token))
}

/**
 * `Bearer TOKEN` (RFC 6750 2.1), or Basic with any user and the token as the password (RFC 7617 2): the only
 * way in that a browser offers. It sends that along with whatever a page asks for, and so `isForeign` is
 * asked first.
 */
function tokenOf(authorization: string): string | undefined {
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() !== 'basic') return value
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(value, 'base64').toString('utf8')) ?? []
  return password
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
