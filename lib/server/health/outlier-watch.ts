import { ENDPOINT_BLOCK } from '../../../upstreams/measures.ts'
import { outliers, type Suspect } from '../../../upstreams/outlier/outlier.ts'
import { type Sample, SampleWindow } from '../../../upstreams/outlier/window.ts'
import { mostEjected } from '../../../upstreams/passive-checks.ts'
import type { CellReader } from '../../base/cells.ts'
import { Periodic } from '../../base/periodic.ts'
import { type SharedState, STATE } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { UpstreamConfig } from '../../config/model.ts'
import type { RunningPool } from '../shared/running-pool.ts'

const LOOK_MS = 1000
const WINDOW_SECONDS = 10
/** Cells of `attempts`: answers by class from 1xx, then attempts without one. */
const CLASSES = 6
const FIRST_FAILURE = 4

/** What an outlier watch is given. */
export interface OutlierWatchOptions {
  readonly cells: CellReader
  readonly shared: SharedState
  readonly timers: Timers
  pools(): readonly RunningPool[]
  eject(upstream: string, endpoint: string, reason: string): boolean
}

/**
 * Looks at the counters once a second, and has endpoints ejected that do clearly worse than the others of
 * their upstream.
 */
export class OutlierWatch {
  readonly #options: OutlierWatchOptions
  readonly #looks: Periodic
  /** By index of the endpoint. */
  #windows = new Map<number, SampleWindow>()

  constructor(options: OutlierWatchOptions) {
    this.#options = options
    this.#looks = new Periodic(options.timers, LOOK_MS, () => this.#look())
    this.#looks.start()
  }

  stop(): void {
    this.#looks.stop()
  }

  /** The endpoint has gone out. What it did before is over: it may come back as another process. */
  forget(index: number): void {
    this.#windows.get(index)?.clear()
  }

  #look(): void {
    const windows = new Map<number, SampleWindow>()
    for (const pool of this.#options.pools()) if (isJudged(pool.config)) this.#judge(pool, windows)
    // What has left is forgotten.
    this.#windows = windows
  }

  #judge({ config, place: { endpoints: places } }: RunningPool, windows: Map<number, SampleWindow>): void {
    const { name, endpoints, passive } = config
    const suspects: Suspect[] = []
    let ejected = 0
    for (const [i, place] of places.entries()) {
      const window = this.#windows.get(place.index) ?? new SampleWindow(WINDOW_SECONDS)
      windows.set(place.index, window)
      const bits = this.#options.shared.state(place.index)
      if ((bits & STATE.ejected) !== 0) ejected += 1
      if (bits !== 0) window.clear()
      else window.push(this.#totals(place.row))
      const endpoint = endpoints[i]
      if (bits === 0 && endpoint !== undefined)
        suspects.push({ name: endpoint.name, window: window.sum, lastSecond: window.last })
    }
    const room = mostEjected(endpoints.length, passive.maxEjectedShare) - ejected
    for (const found of outliers(suspects, passive, room, WINDOW_SECONDS))
      this.#options.eject(name, found.name, found.reason)
  }

  #totals(row: number): Sample {
    const { cells } = this.#options
    const { attempts, firstBytes, firstByteSum } = ENDPOINT_BLOCK.at
    let requests = 0
    let failures = 0
    for (let i = 0; i < CLASSES; i += 1) {
      const count = cells.total(row + attempts + i)
      requests += count
      if (i >= FIRST_FAILURE) failures += count
    }
    return {
      requests,
      failures,
      firstBytes: cells.total(row + firstBytes),
      firstByteSumMs: cells.total(row + firstByteSum) * 1000,
    }
  }
}

/**
 * A single endpoint is not ejected: there is nobody to compare it with, and nobody else to send requests to.
 */
function isJudged({ endpoints, passive }: UpstreamConfig): boolean {
  return endpoints.length > 1 && (passive.failureRateShare > 0 || passive.latencyFactor > 0)
}
