import type { HealthTally } from '../../../metrics/health-tally.ts'
import { Prober } from '../../../upstreams/health/prober.ts'
import type { CellReader } from '../../base/cells.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { RunningPool } from '../shared/running-pool.ts'
import { endpointTraffic } from './endpoint-traffic.ts'
import { HealthBoard } from './health-board.ts'
import { OutlierWatch } from './outlier-watch.ts'

/** What the keeping of health is made with. */
export interface HealthKeepingOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly shared: SharedState
  readonly cells: CellReader
  readonly log: ServerLog
  readonly tally: HealthTally
  pools(): readonly RunningPool[]
  /** An endpoint of the upstream has failed: its names may stand for others by now. */
  doubt(upstream: string): void
}

/** All that judges endpoints in the control thread: the board, and who reports to it. */
export class HealthKeeping {
  readonly board: HealthBoard
  readonly prober: Prober
  readonly #outliers: OutlierWatch

  constructor(options: HealthKeepingOptions) {
    const { clock, timers, shared, log, tally, cells, pools } = options
    const parts = { clock, timers, random: Math.random }
    const board = new HealthBoard({
      ...parts,
      shared,
      log,
      tally,
      hasten: (upstream, endpoint) => {
        options.doubt(upstream)
        this.prober.hasten(upstream, endpoint)
      },
      wentOut: index => this.#outliers.forget(index),
    })
    this.board = board
    this.prober = new Prober({
      ...parts,
      serves: (upstream, endpoint) => board.serves(upstream, endpoint),
      isHeld: upstream => board.isHeld(upstream),
      onChange: (upstream, endpoint, health) => {
        if (health.state === 'down') options.doubt(upstream)
        board.checkFlipped(upstream, endpoint, health.state === 'up' ? undefined : health.reason)
      },
      onWant: () => shared.descriptors.miss(),
      traffic: (upstream, endpoint) => endpointTraffic(options, upstream, endpoint),
      onResult: (upstream, endpoint, probe, durationMs) => {
        board.checked(upstream, endpoint, probe, durationMs)
      },
    })
    this.#outliers = new OutlierWatch({
      cells,
      shared,
      timers,
      pools,
      eject: (upstream, endpoint, reason) => board.eject(upstream, endpoint, reason),
    })
  }

  /** Ends probes and connects under way. */
  async stop(): Promise<void> {
    this.#outliers.stop()
    this.board.stop()
    await this.prober.stop()
  }
}
