import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { Clock } from '../../base/clock.ts'
import { Periodic } from '../../base/periodic.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { OverloadConfig } from '../../config/model.ts'
import { afterLook, type MemoryPressure, NEVER_SHORT } from './memory-pressure.ts'

const LOOK_MS = 1000
const KIB = 1024
const MIB = KIB * KIB

export interface OverloadWatchParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  readonly threads: number
  /** Of the running configuration. */
  config(): OverloadConfig
  /** For tests; else what the process holds. */
  readonly usedBytes?: () => number | undefined
  /** For tests; else what its heaps hold, inside and outside. */
  readonly heldBytes?: () => number
  /** For tests; else what the process may have. */
  readonly limitBytes?: () => number
}

/**
 * Looks each second how much of its memory the process has and uses, tells the data threads if that is too
 * much, and logs each flip.
 */
export class OverloadWatch {
  readonly #parts: OverloadWatchParts
  readonly #looks: Periodic
  readonly #late: boolean[]
  #memory: MemoryPressure = NEVER_SHORT
  /** What is resident beside the heaps when least is: code, stacks, the system's libraries. */
  #besideBytes = Number.POSITIVE_INFINITY

  constructor(parts: OverloadWatchParts) {
    this.#parts = parts
    this.#looks = new Periodic(parts.timers, LOOK_MS, () => this.#look())
    this.#late = Array.from({ length: parts.threads }, () => false)
  }

  /** Looks now, and from now on. */
  look(): void {
    this.#looks.run()
  }

  stop(): void {
    this.#looks.stop()
  }

  #look(): void {
    this.#late.forEach((before, thread) => {
      this.#lookAtLoop(before, thread)
    })
    this.#lookAtMemory()
  }

  #lookAtMemory(): void {
    const {
      shared,
      log,
      config,
      clock,
      usedBytes = rssBytes,
      limitBytes: limit = memoryLimitBytes,
    } = this.#parts
    const { memoryShare: share } = config()
    const before = this.#memory.state
    if (share === 0 && before === 'calm') return
    const residentBytes = usedBytes()
    // Could not be read: it is as it was.
    if (residentBytes === undefined) return
    const limitBytes = limit()
    const inUseBytes = this.#inUse(residentBytes)
    const look = { residentBytes, inUseBytes, limitBytes, share, nowMs: clock.now() }
    this.#memory = afterLook(this.#memory, look)
    const { state } = this.#memory
    const percent = Math.max(1, Math.round((100 * Math.max(residentBytes, inUseBytes)) / limitBytes))
    shared.setMemoryShort(state === 'short' ? percent : 0, Math.round(limitBytes / MIB))
    if (before === state) return
    const facts = {
      cause: 'memory',
      used_bytes: residentBytes,
      in_use_bytes: inUseBytes,
      limit_bytes: limitBytes,
    }
    if (state === 'short') log.warn(facts, 'overloaded: requests are refused')
    else log.info(facts, 'overload is over')
  }

  /**
   * What the heaps hold and what is always there beside them. The rest of what is resident is garbage of the
   * system's allocator.
   */
  #inUse(residentBytes: number): number {
    const { heldBytes = () => this.#heaps() } = this.#parts
    const heaps = heldBytes()
    this.#besideBytes = Math.min(this.#besideBytes, Math.max(0, residentBytes - heaps))
    return this.#besideBytes + heaps
  }

  #heaps(): number {
    const { shared, threads } = this.#parts
    const { total_heap_size, external_memory } = getHeapStatistics()
    let kib = 0
    for (let thread = 0; thread < threads; thread += 1) kib += shared.heldKib(thread)
    return total_heap_size + external_memory + kib * KIB
  }

  #lookAtLoop(before: boolean, thread: number): void {
    const { shared, log } = this.#parts
    const delayMs = shared.loopDelay(thread)
    const late = delayMs > 0
    if (before === late) return
    this.#late[thread] = late
    if (late) log.warn({ cause: 'loop', thread, loop_delay_ms: delayMs }, 'overloaded: requests are refused')
    else log.info({ cause: 'loop', thread }, 'overload is over')
  }
}

/** undefined while the process has no descriptor left for /proc. */
function rssBytes(): number | undefined {
  try {
    return process.memoryUsage.rss()
  } catch {
    return undefined
  }
}

/** The cgroup's limit, or all memory of the machine. */
function memoryLimitBytes(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}
