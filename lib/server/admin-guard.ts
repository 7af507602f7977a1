import { createHash, timingSafeEqual } from 'node:crypto'
import type { Address } from '../config/model.ts'

/** What the guard looks at. */
export interface AdminRequest {
  readonly host: string | undefined
  readonly authorization: string | undefined
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
 * Who may use the admin listener. A browser that was lured to a name that resolves to this machine (DNS rebinding) names itself by its
 * Host field: without a token only loopback names and the bound address are answered.
 */
export function refuseAdmin(
  request: AdminRequest,
  bound: Address,
  token: string | undefined,
): AdminRefusal | undefined {
  if (request.open) return undefined
  if (token !== undefined) {
    if (sameToken(request.authorization, token)) return undefined
    return { status: 401, message: 'this page wants "Authorization: Bearer <token>"' }
  }
  if (bound.kind === 'unix' || hostAllowed(request.host, bound)) return undefined
  return { status: 403, message: 'this Host is not answered here' }
}

function hostAllowed(host: string | undefined, bound: Extract<Address, { kind: 'tcp' }>): boolean {
  if (host === undefined) return false
  const name = host.replace(/:\d*$/, '').toLowerCase()
  const boundName = bound.host.includes(':') ? `[${bound.host}]` : bound.host
  return LOOPBACK_NAMES.has(name) || name === boundName.toLowerCase()
}

/** In constant time, so that the token cannot be guessed character by character. */
function sameToken(authorization: string | undefined, token: string): boolean {
  const match = /^Bearer +(\S+)$/i.exec(authorization ?? '')
  return timingSafeEqual(digest(match?.[1] ?? ''), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
