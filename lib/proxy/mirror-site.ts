import { KeptKind } from '../base/kept.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { MirrorResult } from './mirror-measures.ts'
import type { Mount } from './mount.ts'
import type { Spool } from './spool.ts'
import type { UpstreamLink } from './upstream-link.ts'

/** What a route's copies are made with. */
export interface MirrorSite {
  readonly upstream: UpstreamLink
  /** 0 to 1, of the requests. */
  readonly share: number
  readonly traffic: MirrorTraffic
  readonly spool: Spool
  readonly env: ThreadEnv
  readonly mount: Mount | undefined
  /** Told once for every request that was to be copied. */
  count(listener: string, result: MirrorResult): void
}

const MAX_RUNNING = 100

/** One for all routes. */
export const MIRROR_TRAFFIC = new KeptKind<MirrorTraffic>('mirror traffic')

/** The copies that one data thread has on their way, of all routes; what is beyond is dropped. */
export class MirrorTraffic {
  running = 0

  get full(): boolean {
    return this.running >= MAX_RUNNING
  }
}
