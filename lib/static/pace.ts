import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'

/** Less than this share of a second's bytes is not worth a wake-up. */
const SHARE = 0.1

/** Whoever sends at a pace. */
export interface Paced {
  resume(): void
}

/**
 * So many bytes a second since the beginning, and those of one second ahead, as nginx's limit_rate has it.
 * Whoever is given nothing is resumed later. `stop` must be called at the end.
 */
export class Pace implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #env: ThreadEnv
  readonly #bytesPerSecond: number
  readonly #startMs: number
  #sender: Paced | undefined
  #taken = 0

  /** `bytesPerSecond` is more than 0. */
  constructor(env: ThreadEnv, bytesPerSecond: number) {
    this.#env = env
    this.#bytesPerSecond = bytesPerSecond
    this.#startMs = env.clock.now()
  }

  /** How many of `wanted` bytes may go now; 0: `sender` is resumed when there are some. */
  take(wanted: number, sender: Paced): number {
    const rate = this.#bytesPerSecond
    const elapsedMs = this.#env.clock.now() - this.#startMs
    const allowed = Math.floor(rate * (elapsedMs / 1000 + 1)) - this.#taken
    const least = Math.min(wanted, Math.max(1, Math.floor(rate * SHARE)))
    if (allowed < least) {
      this.#sender = sender
      this.#env.timers.arm(this, ((least - allowed) / rate) * 1000)
      return 0
    }
    const granted = Math.min(wanted, allowed)
    this.#taken += granted
    return granted
  }

  /** So many of the bytes taken last did not go. */
  giveBack(bytes: number): void {
    this.#taken -= bytes
  }

  stop(): void {
    this.#sender = undefined
    this.#env.timers.disarm(this)
  }

  expired(): void {
    this.#sender?.resume()
  }
}
