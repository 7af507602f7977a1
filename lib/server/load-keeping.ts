import type { CellReader } from '../base/cells.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { Snapshot } from '../config/model.ts'
import { AdaptiveWatch } from './adaptive-watch.ts'
import { OverloadWatch } from './overload-watch.ts'
import type { Placement } from './placement.ts'
import type { ServerLog } from './server-log.ts'

export interface LoadKeepingParts {
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  readonly cells: CellReader
  readonly threads: number
  /** What runs, or shall. */
  snapshot(): Snapshot
  /** Where its cells are; undefined before the first. */
  placement(): Placement | undefined
}

/** What the control thread does each second about load: the process's own, and what the endpoints can bear. */
export class LoadKeeping {
  readonly #overload: OverloadWatch
  readonly #adaptive: AdaptiveWatch

  constructor(parts: LoadKeepingParts) {
    const { snapshot, placement } = parts
    this.#overload = new OverloadWatch({ ...parts, config: () => snapshot().server.overload })
    this.#adaptive = new AdaptiveWatch({
      ...parts,
      running: () => {
        const placed = placement()
        return placed && { snapshot: snapshot(), placement: placed }
      },
    })
  }

  start(): void {
    this.#overload.look()
    this.#adaptive.look()
  }

  stop(): void {
    this.#overload.stop()
    this.#adaptive.stop()
  }
}
