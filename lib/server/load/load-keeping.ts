import type { PlacedListener } from '../../../metrics/placement.ts'
import type { CellReader } from '../../base/cells.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { OverloadConfig } from '../../config/model.ts'
import type { RunningPool } from '../shared/running-pool.ts'
import { AdaptiveWatch } from './adaptive-watch.ts'
import { DescriptorWatch } from './descriptor-watch.ts'
import { EvictionWatch } from './eviction-watch.ts'
import { OverloadWatch } from './overload-watch.ts'

export interface LoadKeepingParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  readonly cells: CellReader
  readonly threads: number
  /** That the process may have open for its traffic. */
  readonly descriptors: number
  /** Of the running configuration; none before the first. */
  pools(): readonly RunningPool[]
  listeners(): readonly PlacedListener[]
  /** Of the configuration that runs, or shall. */
  overload(): OverloadConfig
}

/**
 * What the control thread does each second about load: the process's own, and what the endpoints can bear.
 */
export class LoadKeeping {
  readonly #overload: OverloadWatch
  readonly #adaptive: AdaptiveWatch
  readonly #descriptors: DescriptorWatch
  readonly #evictions: EvictionWatch

  constructor(parts: LoadKeepingParts) {
    this.#overload = new OverloadWatch({ ...parts, config: parts.overload })
    this.#adaptive = new AdaptiveWatch(parts)
    this.#descriptors = new DescriptorWatch(parts)
    this.#evictions = new EvictionWatch(parts)
  }

  start(): void {
    this.#overload.look()
    this.#adaptive.look()
    this.#descriptors.start()
    this.#evictions.start()
  }

  stop(): void {
    this.#overload.stop()
    this.#adaptive.stop()
    this.#descriptors.stop()
    this.#evictions.stop()
  }
}
