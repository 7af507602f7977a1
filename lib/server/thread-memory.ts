import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import type { ThreadEnv } from '../base/thread-env.ts'
import { threadCpuMs } from '../base/thread-run.ts'

const LOOK_MS = 1000
const KIB = 1024
const MIB = KIB * KIB

/** What a look sees of a thread, and what was before. */
export interface ThreadLook {
  readonly heldBytes: number
  /** What it held after its last collection. */
  readonly leastBytes: number
  readonly sinceCollectedMs: number
  /** CPU time since the last look, as a share of the time. */
  readonly busy: number
  readonly memoryShort: boolean
}

/** Worth a collection: so much more than after the last one. */
const GROWN_BYTES = 8 * MIB
/** A thread that does so little pauses for nobody. */
const IDLE_SHARE = 0.1
const EVERY_MS = 10_000
const EVERY_WHEN_SHORT_MS = 2000

/**
 * Is it time to collect? V8 does so when something is allocated: what thousands of clients have left behind stays until then, and a thread that is idle keeps
 * it for ever.
 */
export function mayCollect(look: ThreadLook): boolean {
  if (look.heldBytes - look.leastBytes < GROWN_BYTES) return false
  if (look.memoryShort) return look.sinceCollectedMs >= EVERY_WHEN_SHORT_MS
  return look.busy < IDLE_SHARE && look.sinceCollectedMs >= EVERY_MS
}

/** Tells the control thread what this thread's heap holds, inside and outside, and lets go of garbage when nothing else is to be done. */
export class ThreadMemory {
  readonly #env: ThreadEnv
  readonly #collect: () => void
  #cpuMs = threadCpuMs()
  #lookedMs = 0
  #collectedMs = 0
  #leastBytes = Number.POSITIVE_INFINITY

  /** `collect`: for tests. */
  constructor(env: ThreadEnv, collect: () => void = collector()) {
    this.#env = env
    this.#collect = collect
  }

  /** To be called at every tick of the thread. */
  ticked(): void {
    const nowMs = this.#env.clock.now()
    const elapsedMs = nowMs - this.#lookedMs
    if (elapsedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    const heldBytes = this.#look()
    this.#leastBytes = Math.min(this.#leastBytes, heldBytes)
    const cpuMs = threadCpuMs()
    const busy = (cpuMs - this.#cpuMs) / elapsedMs
    this.#cpuMs = cpuMs
    const sinceCollectedMs = nowMs - this.#collectedMs
    const memoryShort = this.#env.shared.memoryPercent() > 0
    if (!mayCollect({ heldBytes, leastBytes: this.#leastBytes, sinceCollectedMs, busy, memoryShort })) return
    this.#collect()
    this.#collectedMs = nowMs
    this.#leastBytes = this.#look()
  }

  #look(): number {
    const { total_heap_size, external_memory } = getHeapStatistics()
    const heldBytes = total_heap_size + external_memory
    this.#env.shared.setHeldKib(this.#env.thread, Math.round(heldBytes / KIB))
    return heldBytes
  }
}

/** To be called before a data thread is made: V8's collection is a function of its global object from then on. */
export function offerCollection(): void {
  setFlagsFromString('--expose-gc')
}

function collector(): () => void {
  const { gc } = globalThis
  return gc === undefined ? () => {} : () => void gc()
}
