import type { CellColumn } from './cells.ts'
import type { Clock } from './clock.ts'
import type { Descriptors } from './descriptors.ts'
import type { SharedState } from './shared-state.ts'
import type { Timers } from './timers.ts'

/** What every part of a data thread is handed instead of reaching for globals. */
export interface ThreadEnv {
  readonly clock: Clock
  readonly timers: Timers
  /** This thread's column of counters. */
  readonly cells: CellColumn
  readonly shared: SharedState
  /** What clients may cause to be open. */
  readonly descriptors: Descriptors
  /** Number of this data thread, from 0; also its column. */
  readonly thread: number
  /** Uniform in [0, 1). */
  random(): number
}
