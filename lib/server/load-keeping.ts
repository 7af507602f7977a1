import type { CellReader } from '../base/cells.ts'
import type { Clock } from '../base/clock.ts'
import type { ServerLog } from '../base/server-log.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { OverloadConfig } from '../config/model.ts'
import { AdaptiveWatch } from './adaptive-watch.ts'
import { DescriptorWatch } from './descriptor-watch.ts'
import { OverloadWatch } from './overload-watch.ts'
import type { RunningPool } from './running-pool.ts'

export interface LoadKeepingParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  readonly cells: CellReader
  readonly threads: number
  /** That the process may have open for its traffic. */
  readonly descriptors: number
  /** Of the configuration that runs, or shall. */
  overload(): OverloadConfig
  pools(): readonly RunningPool[]
}

/** What the control thread does each second about load: the process's own, and what the endpoints can bear. */
export class LoadKeeping {
  readonly #overload: OverloadWatch
  readonly #adaptive: AdaptiveWatch
  readonly #descriptors: DescriptorWatch

  constructor(parts: LoadKeepingParts) {
    this.#overload = new OverloadWatch({ ...parts, config: parts.overload })
    this.#adaptive = new AdaptiveWatch(parts)
    this.#descriptors = new DescriptorWatch(parts)
  }

  start(): void {
    this.#overload.look()
    this.#adaptive.look()
    this.#descriptors.start()
  }

  stop(): void {
    this.#overload.stop()
    this.#adaptive.stop()
    this.#descriptors.stop()
  }
}
