import { createLineRing, type LineRingMemory, LineRingReader } from '../../base/line-ring.ts'
import { Periodic } from '../../base/periodic.ts'
import type { Timers } from '../../base/timers.ts'

/** How often the rings are looked at: that an empty one costs a single load. */
const COLLECT_MS = 50
/** What one data thread may write between two looks: 50 ms of 100,000 requests a second. */
const RING_BYTES = 4 * 1024 * 1024

export interface AccessCollectorOptions {
  readonly threads: number
  readonly timers: Timers
  /** Whole lines of one thread, undefined for none, and how many it had to drop since the last call. */
  readonly take: (lines: Buffer | undefined, dropped: number) => void
}

/** Takes the access lines of all data threads out of their rings, also of one that has died. */
export class AccessCollector {
  readonly rings: readonly LineRingMemory[]
  readonly #readers: readonly LineRingReader[]
  readonly #take: AccessCollectorOptions['take']
  readonly #rounds: Periodic

  constructor({ threads, timers, take }: AccessCollectorOptions) {
    this.rings = Array.from({ length: threads }, () => createLineRing(RING_BYTES))
    this.#readers = this.rings.map(ring => new LineRingReader(ring))
    this.#take = take
    this.#rounds = new Periodic(timers, COLLECT_MS, () => this.collect())
    this.#rounds.start()
  }

  /** Takes what there is. */
  collect(): void {
    for (const reader of this.#readers) {
      const lines = reader.read()
      const dropped = reader.takeDropped()
      if (lines !== undefined || dropped > 0) this.#take(lines, dropped)
    }
  }

  /** After the threads have ended: takes the rest. */
  stop(): void {
    this.#rounds.stop()
    this.collect()
  }
}
