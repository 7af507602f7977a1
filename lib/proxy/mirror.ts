import type { Exchange } from '../http/exchange.ts'
import { balanceKey } from './balance-key.ts'
import type { BodySource } from './body-source.ts'
import type { Forwarding } from './forwarding.ts'
import { MirrorJob } from './mirror-job.ts'
import type { MirrorSite } from './mirror-site.ts'

/**
 * Sends copies of a route's requests to another upstream. What becomes of them is nobody's: the requests
 * themselves never wait for it.
 */
export class Mirror {
  readonly #site: MirrorSite

  constructor(site: MirrorSite) {
    this.#site = site
  }

  /**
   * A copy to be started once the request itself is on its way; undefined if there is to be none. To be
   * called before that, because its body may be gone afterwards.
   */
  copyOf(exchange: Exchange, job: Forwarding, body: BodySource | undefined): MirrorJob | undefined {
    const { env, share, traffic, spool, upstream } = this.#site
    if (share < 1 && env.random() >= share) return undefined
    const bytes = body === undefined || traffic.full || spool.memoryBytes === 0 ? undefined : body.copy()
    if (traffic.full || (body !== undefined && bytes === undefined)) {
      this.#site.count(exchange.client.listener, 'dropped')
      return undefined
    }
    return new MirrorJob(exchange, job, bytes, balanceKey(exchange, upstream.current.config), this.#site)
  }
}
