import type { Timers } from '../../base/timers.ts'
import { Alarm } from '../shared/alarm.ts'

/** So long a worker that we have started may refuse before somebody should look. */
const GRACE_MS = 15_000

/**
 * The first moments of app workers that Causeway itself starts: until one has been up, or its time is over,
 * failed checks are no news.
 */
export class StartupGrace {
  readonly #timers: Timers
  readonly #starting = new Map<string, Alarm>()

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** `over` is called if the time passes in vain. */
  begin(key: string, over: () => void): void {
    this.end(key)
    const alarm = new Alarm(this.#timers, () => {
      this.#starting.delete(key)
      over()
    })
    alarm.set(GRACE_MS)
    this.#starting.set(key, alarm)
  }

  isStarting(key: string): boolean {
    return this.#starting.has(key)
  }

  /** It is up, or has left. */
  end(key: string): void {
    this.#starting.get(key)?.clear()
    this.#starting.delete(key)
  }

  stop(): void {
    for (const key of [...this.#starting.keys()]) this.end(key)
  }
}
