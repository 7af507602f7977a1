import { totalmem } from 'node:os'
import { Periodic } from '../base/periodic.ts'
import type { ServerLog } from '../base/server-log.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { OverloadConfig } from '../config/model.ts'

const LOOK_MS = 1000
const MIB = 1024 * 1024
/**
 * The memory is no longer short below this share of what makes it short. A process gives little back of what it once had: with a wider
 * gap it might refuse for ever.
 */
const LEAVE_SHARE = 0.95

export interface OverloadWatchParts {
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  readonly threads: number
  /** Of the running configuration. */
  config(): OverloadConfig
  /** For tests; else what the process holds. */
  readonly usedBytes?: () => number | undefined
  /** For tests; else what the process may have. */
  readonly limitBytes?: () => number
}

/** Is memory short, given that it was (`before`)? `share` 0: never. */
export function isMemoryShort(before: boolean, usedShare: number, share: number): boolean {
  return share > 0 && usedShare >= (before ? share * LEAVE_SHARE : share)
}

/** Looks each second how much of its memory the process has, tells the data threads if that is too much, and logs each flip. */
export class OverloadWatch {
  readonly #parts: OverloadWatchParts
  readonly #looks: Periodic
  readonly #late: boolean[]
  #short = false

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
    const { shared, log, config, usedBytes = rssBytes, limitBytes = memoryLimitBytes } = this.#parts
    const { memoryShare } = config()
    const before = this.#short
    if (memoryShare === 0 && !before) return
    const used = usedBytes()
    // Could not be read: it is as it was.
    if (used === undefined) return
    const limit = limitBytes()
    this.#short = isMemoryShort(before, used / limit, memoryShare)
    const percent = Math.max(1, Math.round((100 * used) / limit))
    shared.setMemoryShort(this.#short ? percent : 0, Math.round(limit / MIB))
    if (before === this.#short) return
    const facts = { cause: 'memory', used_bytes: used, limit_bytes: limit }
    if (this.#short) log.warn(facts, 'overloaded: requests are refused')
    else log.info(facts, 'overload is over')
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
