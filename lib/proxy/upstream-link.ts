import type { Upstream } from '../../upstreams/upstream.ts'

/**
 * The way to an upstream by its name. Its members come and go (names, deploys), and each time it is made
 * anew: routes hold the link, so that they need not be built anew with it.
 */
export class UpstreamLink {
  /** The one of now. Set by the owner of the snapshot only. */
  current: Upstream

  constructor(current: Upstream) {
    this.current = current
  }
}
