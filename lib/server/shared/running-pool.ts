import type { UpstreamPlacement } from '../../../upstreams/upstream.ts'
import type { UpstreamConfig } from '../../config/model.ts'

/** An upstream that runs, and where its words and counters are; endpoints of both in the same order. */
export interface RunningPool {
  readonly config: UpstreamConfig
  readonly place: UpstreamPlacement
}
