import { type Bounds, type Learned, learn } from '../../../upstreams/adaptive/gradient.ts'
import { ENDPOINT_BLOCK } from '../../../upstreams/measures.ts'
import type { CellReader } from '../../base/cells.ts'
import { Periodic } from '../../base/periodic.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { UpstreamConfig } from '../../config/model.ts'
import type { RunningPool } from '../shared/running-pool.ts'

const LOOK_MS = 1000
/** Answers that a window has at least: fewer say little about their mean. */
const MIN_ANSWERS = 10
const AT = ENDPOINT_BLOCK.at

export interface AdaptiveWatchParts {
  readonly timers: Timers
  readonly cells: CellReader
  readonly shared: SharedState
  pools(): readonly RunningPool[]
}

/** One endpoint: what its cells said when its window began, and what it has taught so far. */
interface Course {
  readonly firstBytes: number
  readonly firstByteSum: number
  readonly learned: Learned | undefined
}

/**
 * Learns each second from what has been answered how many requests each endpoint can run, and where `enforce`
 * is said holds them to it.
 */
export class AdaptiveWatch {
  readonly #parts: AdaptiveWatchParts
  readonly #looks: Periodic
  /** By index of the endpoint. */
  #courses: ReadonlyMap<number, Course> = new Map()

  constructor(parts: AdaptiveWatchParts) {
    this.#parts = parts
    this.#looks = new Periodic(parts.timers, LOOK_MS, () => this.#look())
  }

  /** Looks now, and from now on. */
  look(): void {
    this.#looks.run()
  }

  stop(): void {
    this.#looks.stop()
  }

  #look(): void {
    const courses = new Map<number, Course>()
    for (const pool of this.#parts.pools()) {
      if (pool.config.adaptive.mode !== 'off') this.#lookAt(pool, courses)
    }
    for (const index of this.#courses.keys()) if (!courses.has(index)) this.#forget(index)
    this.#courses = courses
  }

  #lookAt({ config, place }: RunningPool, courses: Map<number, Course>): void {
    const { cells, shared } = this.#parts
    let moved = false
    for (const { index, row } of place.endpoints) {
      const before = this.#courses.get(index)
      const course = this.#follow(before, row, index, boundsOf(config))
      courses.set(index, course)
      const limit = Math.round(course.learned?.limit ?? 0)
      if (limit !== shared.learned(index)) shared.setLearned(index, limit)
      // A tunnel holds a slot for hours and is no load: it comes on top.
      const tunnels = cells.total(row + AT.tunnels)
      const enforced = config.adaptive.mode === 'enforce' && limit > 0 ? limit + tunnels : 0
      if (enforced === shared.limit(index)) continue
      shared.setLimit(index, enforced)
      moved = true
    }
    // Who waits for a slot looks again.
    if (moved) shared.wakeAll(place.index)
  }

  #follow(before: Course | undefined, row: number, index: number, bounds: Bounds): Course {
    const { cells, shared } = this.#parts
    const firstBytes = cells.total(row + AT.firstBytes)
    const answers = firstBytes - (before?.firstBytes ?? 0)
    if (before !== undefined && answers >= 0 && answers < MIN_ANSWERS) return before
    const firstByteSum = cells.total(row + AT.firstByteSum)
    const now = { firstBytes, firstByteSum, learned: before?.learned }
    // Below 0: the cells were another endpoint's.
    if (before === undefined || answers < 0) return now
    const meanMs = ((firstByteSum - before.firstByteSum) * 1000) / answers
    if (meanMs <= 0) return now
    const inflight = shared.inflight(index) - cells.total(row + AT.tunnels)
    return { ...now, learned: learn(before.learned, { meanMs, inflight }, bounds) }
  }

  #forget(index: number): void {
    this.#parts.shared.setLearned(index, 0)
    this.#parts.shared.setLimit(index, 0)
  }
}

/** What is learned never goes above what is configured. */
function boundsOf({ adaptive: { min, max }, maxInflight }: UpstreamConfig): Bounds {
  return { min, max: maxInflight > 0 ? Math.min(max, maxInflight) : max }
}
