import type { RouteConfig } from '../config/model.ts'
import { isAcmeChallenge } from '../http/acme-challenge.ts'
import type { Exchange } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import type { Gate } from '../http/handler.ts'
import { hostAt } from '../http/host.ts'
import type { RouteHosts } from './route-hosts.ts'
import type { SecuredHosts } from './secured-hosts.ts'

/** What the redirect is told besides its route. */
export interface HttpsRedirectParts {
  /** Hosts that some route names. */
  readonly hosts: RouteHosts
  /** Hosts that are sent to https where the route does not say; undefined: none ever. */
  readonly secured: SecuredHosts | undefined
  /**
   * Probe paths of the app behind the route: balancers and orchestrators ask for them over plain http, and
   * take a redirect for a failure.
   */
  readonly healthPaths: readonly string[]
}

/** Sends plain http requests to https. */
export class HttpsRedirect implements Gate {
  readonly #always: boolean
  readonly #parts: HttpsRedirectParts

  /** `redirectHttps`: undefined for hosts that have a certificate by `tls = "auto"`. */
  constructor({ redirectHttps }: Pick<RouteConfig, 'redirectHttps'>, parts: HttpsRedirectParts) {
    this.#always = redirectHttps === true
    this.#parts = parts
  }

  admits(exchange: Exchange): boolean {
    return exchange.origin.scheme !== 'http' || !this.#wantsHttps(exchange) || !this.#redirect(exchange)
  }

  #wantsHttps({ request: { hostname, path } }: Exchange): boolean {
    const { secured, healthPaths } = this.#parts
    return this.#always || (secured?.has(hostname) === true && !healthPaths.includes(path))
  }

  /**
   * False where there is no https address to name. 308 keeps method and body; for GET, 301 is what all
   * clients know.
   */
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
   * The host that a trusted proxy forwards, if it is the request's own or some route names it: balancers that
   * do not set X-Forwarded-Host pass on what the client has sent. Else the request's own, which has found the
   * route.
   */
  #hostFor({ origin, request }: Exchange): string {
    const named = hostAt(origin.host, 0, origin.host.length)?.hostname ?? ''
    return named === request.hostname || this.#parts.hosts.has(named) ? origin.host : request.host
  }
}

/** The redirect of a route that wants one; undefined for others, which then pay nothing. */
export function httpsRedirectOf(route: RouteConfig, parts: HttpsRedirectParts): HttpsRedirect | undefined {
  const { redirectHttps = parts.secured !== undefined } = route
  return redirectHttps ? new HttpsRedirect(route, parts) : undefined
}
