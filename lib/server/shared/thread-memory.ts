import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { mappedBytes } from '../../base/arena.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import { threadCpuMs } from '../../base/thread-run.ts'

const LOOK_MS = 1000
/** While bodies wait: what makes memory short comes fast. */
const LOOK_WHEN_SHORT_MS = 200
const KIB = 1024
const MIB = KIB * KIB

/** What a look sees of a thread, and what was before. */
export interface ThreadLook {
  /** Objects and buffers of the heap, the dead ones too. */
  readonly usedBytes: number
  /** What that was after the last collection. */
  readonly leastBytes: number
  readonly sinceCollectedMs: number
  /** How long that took. */
  readonly pauseMs: number
  /** CPU time since the last look, as a share of the time. */
  readonly busy: number
  readonly memoryShort: boolean
}

/** Worth a collection: so much more than after the last one. */
const GROWN_BYTES = 4 * MIB
/** A thread that does so little pauses for nobody. */
const IDLE_SHARE = 0.1
const EVERY_MS = 10_000
const EVERY_WHEN_SHORT_MS = 1000
/** Most of the time that goes into collections then: a large heap pauses long. */
const PAUSE_SHARE = 1 / 20
/**
 * Worth a compaction, which takes some five times as long: so much of the old space is free between what is
 * in use.
 */
const SCATTERED_BYTES = 8 * MIB
const COMPACT_EVERY_MS = 15_000

/**
 * Is it time to collect? V8 does so when something is allocated: what thousands of clients have left behind
 * stays until then, and a thread that is idle keeps it for ever.
 */
export function mayCollect(look: ThreadLook): boolean {
  if (look.usedBytes - look.leastBytes < GROWN_BYTES) return false
  if (look.memoryShort)
    return look.sinceCollectedMs >= Math.max(EVERY_WHEN_SHORT_MS, look.pauseMs / PAUSE_SHARE)
  return look.busy < IDLE_SHARE && look.sinceCollectedMs >= EVERY_MS
}

/** What a look sees of free memory that V8 keeps. */
export interface ScatteredLook {
  /** Memory of the old space that is free, on pages that are not. */
  readonly scatteredBytes: number
  /** What the last compaction left of it: the next would do no better. */
  readonly leftBytes: number
  readonly sinceCompactedMs: number
  readonly busy: number
}

/**
 * Is it time to compact? What is collected leaves pages of which a little is still in use, and V8 gives only
 * empty ones back: after thousands of clients that came together half of the heap stays resident with nothing
 * in it.
 */
export function mayCompact({ scatteredBytes, leftBytes, sinceCompactedMs, busy }: ScatteredLook): boolean {
  if (scatteredBytes - leftBytes < SCATTERED_BYTES) return false
  return sinceCompactedMs >= COMPACT_EVERY_MS && busy < IDLE_SHARE
}

/** V8's collections, the second with compaction. */
export interface Collector {
  collect(): void
  compact(): void
}

/**
 * Tells the control thread what this thread's heap holds, inside and outside, and lets go of garbage when
 * nothing else is to be done.
 */
export class ThreadMemory {
  readonly #env: ThreadEnv
  readonly #collector: Collector
  #cpuMs = threadCpuMs()
  #lookedMs = 0
  #collectedMs = 0
  #pauseMs = 0
  #compactedMs = Number.NEGATIVE_INFINITY
  #leftBytes = 0
  /** What was in use at the last compaction: once much of it is gone, the next does better. */
  #compactedBytes = 0
  #leastBytes = Number.POSITIVE_INFINITY

  /** `collector`: for tests. */
  constructor(env: ThreadEnv, collector: Collector = ofThisThread()) {
    this.#env = env
    this.#collector = collector
  }

  /**
   * To be called at every tick of the thread. `bodiesWait`: for want of memory, so that garbage takes what
   * they could have.
   */
  ticked(bodiesWait: boolean): void {
    const nowMs = this.#env.clock.now()
    const elapsedMs = nowMs - this.#lookedMs
    if (elapsedMs < (bodiesWait ? LOOK_WHEN_SHORT_MS : LOOK_MS)) return
    this.#lookedMs = nowMs
    this.#tell()
    const usedBytes = usedByHeap()
    this.#leastBytes = Math.min(this.#leastBytes, usedBytes)
    const cpuMs = threadCpuMs()
    const busy = (cpuMs - this.#cpuMs) / elapsedMs
    this.#cpuMs = cpuMs
    const sinceCollectedMs = nowMs - this.#collectedMs
    const memoryShort = bodiesWait || this.#env.shared.memoryPercent() > 0
    const leastBytes = this.#leastBytes
    const pauseMs = this.#pauseMs
    if (mayCollect({ usedBytes, leastBytes, sinceCollectedMs, pauseMs, busy, memoryShort }))
      this.#collect(nowMs)
    else this.#compact(nowMs, busy, usedBytes)
  }

  #collect(nowMs: number): void {
    this.#collector.collect()
    this.#collectedMs = nowMs
    this.#pauseMs = this.#env.clock.now() - nowMs
    this.#leastBytes = usedByHeap()
    this.#tell()
  }

  /** At a look of its own: one pause may be over before the next begins. */
  #compact(nowMs: number, busy: number, usedBytes: number): void {
    const sinceCompactedMs = nowMs - this.#compactedMs
    const leftBytes = usedBytes < this.#compactedBytes - GROWN_BYTES ? 0 : this.#leftBytes
    if (!mayCompact({ scatteredBytes: scatteredBytes(), leftBytes, sinceCompactedMs, busy })) return
    this.#collector.compact()
    this.#leftBytes = scatteredBytes()
    this.#compactedMs = nowMs
    this.#leastBytes = usedByHeap()
    this.#compactedBytes = this.#leastBytes
    this.#tell()
  }

  #tell(): void {
    const { total_heap_size, external_memory } = getHeapStatistics()
    this.#env.shared.setHeldKib(this.#env.thread, Math.round((total_heap_size + external_memory) / KIB))
  }
}

/**
 * To be called before a data thread is made: V8's collection is a function of its global object from then on.
 */
export function offerCollection(): void {
  setFlagsFromString('--expose-gc')
}

function ofThisThread(): Collector {
  const { gc } = globalThis
  if (gc === undefined) return { collect: () => {}, compact: () => {} }
  return {
    collect: () => gc(),
    compact: () => void gc({ type: 'major', flavor: 'last-resort' }),
  }
}

/**
 * Without the arenas, which are no garbage: they come and go by themselves, and would hide what does not. Not
 * by `process.memoryUsage`, which opens a file and throws where no descriptor is left.
 */
function usedByHeap(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory - mappedBytes()
}

function scatteredBytes(): number {
  const old = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')
  return old === undefined ? 0 : old.space_size - old.space_used_size
}
