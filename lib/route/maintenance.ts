import { createHash, timingSafeEqual } from 'node:crypto'
import type { MaintenanceConfig } from '../config/model.ts'
import { type AnswerPolicy, NO_POLICY } from '../http/answer-policy.ts'
import { type CidrSet, parseCidrs } from '../http/cidr.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Gate } from '../http/handler.ts'

/** A route that is closed: 503 with its page, but for those who may pass. */
export class Maintenance implements Gate {
  readonly #policy: AnswerPolicy
  readonly #networks: CidrSet
  readonly #cookie: { readonly name: string; readonly digest: Buffer } | undefined

  /** `usual`: the route's policy while it is open. */
  constructor(
    { page, bypass, bypassCookie, retryAfterSeconds }: MaintenanceConfig,
    usual: AnswerPolicy | undefined,
  ) {
    const pages = [...(page === undefined ? [] : [page]), ...(usual?.pages ?? [])]
    this.#policy = { ...NO_POLICY, ...usual, pages, retryAfterSeconds }
    this.#networks = parseCidrs(bypass)
    const equals = bypassCookie?.indexOf('=') ?? 0
    this.#cookie =
      bypassCookie === undefined
        ? undefined
        : { name: bypassCookie.slice(0, equals), digest: digestOf(bypassCookie.slice(equals + 1)) }
  }

  admits(exchange: Exchange): boolean {
    if (this.#mayPass(exchange)) return true
    exchange.policy = this.#policy
    exchange.fail('MAINTENANCE')
    return false
  }

  #mayPass({ origin, request }: Exchange): boolean {
    if (this.#networks.has(origin.clientIp)) return true
    if (this.#cookie === undefined) return false
    // Digests are of one length and tell nothing by the time that a comparison takes.
    return timingSafeEqual(digestOf(cookieNamed(request.fields, this.#cookie.name)), this.#cookie.digest)
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}
