import { createHash, timingSafeEqual } from 'node:crypto'
import type { MaintenanceConfig, RouteConfig } from '../config/model.ts'
import { isAcmeChallenge } from '../http/acme-challenge.ts'
import type { AnswerPolicy } from '../http/answer-policy.ts'
import { type CidrSet, parseCidrs } from '../http/cidr.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import { hostAt } from '../http/host.ts'
import type { RouteHosts } from './route-hosts.ts'
import type { SecuredHosts } from './secured-hosts.ts'

/** What a gate is told besides its route. */
export interface GateParts {
  /** Hosts that some route names. */
  readonly hosts: RouteHosts
  /** Hosts that are sent to https where the route says nothing of it; undefined: none ever. */
  readonly secured: SecuredHosts | undefined
  /** Probe paths of the app behind the route: balancers and orchestrators ask for them over plain http, and take a redirect for a failure. */
  readonly healthPaths: readonly string[]
}

/** What a route has to say before its handler is asked: a redirect to https, or that it is closed. */
export class RouteGate {
  readonly #policy: AnswerPolicy | undefined
  readonly #redirectHttps: boolean
  readonly #secured: SecuredHosts | undefined
  readonly #healthPaths: readonly string[]
  readonly #hosts: RouteHosts
  readonly #closed: Closed | undefined

  constructor(route: RouteConfig, { hosts, secured, healthPaths }: GateParts) {
    this.#policy = policyOf(route)
    this.#redirectHttps = route.redirectHttps === true
    this.#secured = route.redirectHttps === undefined ? secured : undefined
    this.#healthPaths = healthPaths
    this.#hosts = hosts
    this.#closed = route.maintenance === undefined ? undefined : new Closed(route.maintenance, this.#policy)
  }

  /** True if the exchange may go on to the handler; if not, it has been answered. */
  admits(exchange: Exchange): boolean {
    exchange.policy = this.#policy
    if (exchange.origin.scheme === 'http' && this.#asksForHttps(exchange) && this.#redirect(exchange))
      return false
    if (this.#closed === undefined || this.#closed.letsIn(exchange)) return true
    this.#closed.refuse(exchange)
    return false
  }

  #asksForHttps({ request: { hostname, path } }: Exchange): boolean {
    if (this.#redirectHttps) return true
    return this.#secured?.has(hostname) === true && !this.#healthPaths.includes(path)
  }

  /** False where there is no https address to name. 308 keeps method and body; for GET, 301 is what all clients know. */
  #redirect(exchange: Exchange): boolean {
    const { request } = exchange
    const host = this.#hostFor(exchange).replace(/:\d+$/, '')
    if (host === '' || request.target === '*' || isAcmeChallenge(request.path)) return false
    const plain = request.method === 'GET' || request.method === 'HEAD'
    const fields = FieldList.of([['Location', `https://${host}${request.target}`]])
    exchange.begin({ status: plain ? 301 : 308, reason: '', fields, length: 0 })
    exchange.end()
    return true
  }

  /**
   * The host that a trusted proxy forwards, if it is the request's own or some route names it: balancers that do not set X-Forwarded-Host pass on
   * what the client has sent. Else the request's own, which has found the route.
   */
  #hostFor({ origin, request }: Exchange): string {
    const named = hostAt(origin.host, 0, origin.host.length)?.hostname ?? ''
    return named === request.hostname || this.#hosts.has(named) ? origin.host : request.host
  }
}

/** A gate, where the route asks for anything that one does: most do not, and pay nothing. */
export function gateOf(route: RouteConfig, parts: GateParts): RouteGate | undefined {
  const { redirectHttps = parts.secured !== undefined, maintenance } = route
  return redirectHttps || maintenance !== undefined || policyOf(route) !== undefined
    ? new RouteGate(route, parts)
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

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}
