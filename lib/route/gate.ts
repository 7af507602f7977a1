import { createHash, timingSafeEqual } from 'node:crypto'
import type { MaintenanceConfig, RouteConfig } from '../config/model.ts'
import type { AnswerPolicy } from '../http/answer-policy.ts'
import { type CidrSet, parseCidrs } from '../http/cidr.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import { matchPath } from '../http/path.ts'

/** RFC 8555 8.3: asked for over plain http, by those who are to give us the certificate. */
const ACME_CHALLENGE = '/.well-known/acme-challenge/'

/** What a route has to say before its handler is asked: a redirect to https, or that it is closed. */
export class RouteGate {
  readonly #policy: AnswerPolicy | undefined
  readonly #redirectHttps: boolean
  readonly #closed: Closed | undefined

  constructor(route: RouteConfig) {
    this.#policy = policyOf(route)
    this.#redirectHttps = route.redirectHttps
    this.#closed = route.maintenance === undefined ? undefined : new Closed(route.maintenance, this.#policy)
  }

  /** True if the exchange may go on to the handler; if not, it has been answered. */
  admits(exchange: Exchange): boolean {
    exchange.policy = this.#policy
    if (this.#redirectHttps && exchange.origin.scheme === 'http' && redirectToHttps(exchange)) return false
    if (this.#closed === undefined || this.#closed.letsIn(exchange)) return true
    this.#closed.refuse(exchange)
    return false
  }
}

/** A gate, where the route asks for anything that one does: most do not, and pay nothing. */
export function gateOf(route: RouteConfig): RouteGate | undefined {
  const { redirectHttps, maintenance } = route
  return redirectHttps || maintenance !== undefined || policyOf(route) !== undefined
    ? new RouteGate(route)
    : undefined
}

/** A route under maintenance. */
class Closed {
  readonly #policy: AnswerPolicy
  readonly #networks: CidrSet
  readonly #cookie: { readonly name: string; readonly digest: Buffer } | undefined

  constructor(
    { page, bypass, bypassCookie, retryAfterSeconds }: MaintenanceConfig,
    usual: AnswerPolicy | undefined,
  ) {
    const pages = [...(page === undefined ? [] : [page]), ...(usual?.pages ?? [])]
    this.#policy = { hsts: usual?.hsts, pages, retryAfterSeconds }
    this.#networks = parseCidrs(bypass)
    const equals = bypassCookie?.indexOf('=') ?? 0
    this.#cookie =
      bypassCookie === undefined
        ? undefined
        : { name: bypassCookie.slice(0, equals), digest: digestOf(bypassCookie.slice(equals + 1)) }
  }

  letsIn({ origin, request }: Exchange): boolean {
    if (this.#networks.has(origin.clientIp)) return true
    if (this.#cookie === undefined) return false
    // Digests are of one length and tell nothing by the time that a comparison takes.
    return timingSafeEqual(digestOf(cookieNamed(request.fields, this.#cookie.name)), this.#cookie.digest)
  }

  refuse(exchange: Exchange): void {
    exchange.policy = this.#policy
    exchange.fail('MAINTENANCE')
  }
}

function policyOf({ hsts, errorPages }: RouteConfig): AnswerPolicy | undefined {
  if (hsts === undefined && errorPages.length === 0) return undefined
  return { hsts, pages: errorPages, retryAfterSeconds: 1 }
}

/** False where there is no https address to name. 308 keeps method and body; for GET, 301 is what all clients know. */
function redirectToHttps(exchange: Exchange): boolean {
  const { origin, request } = exchange
  const host = origin.host.replace(/:\d+$/, '')
  if (host === '' || request.target === '*' || isAcme(request.path)) return false
  const plain = request.method === 'GET' || request.method === 'HEAD'
  const fields = FieldList.of([['Location', `https://${host}${request.target}`]])
  exchange.begin({ status: plain ? 301 : 308, reason: '', fields, length: 0 })
  exchange.end()
  return true
}

/** By the path that the route was found by: dots would lead out of it. */
function isAcme(path: string): boolean {
  return path.startsWith(ACME_CHALLENGE) && matchPath(path)?.startsWith(ACME_CHALLENGE) === true
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}
