import { SharedState, type SharedStateMemory } from '../base/shared-state.ts'
import type { Agenda } from './agenda.ts'

interface Waiter {
  wake(): void
}

/**
 * The shared words of a simulated process. All its threads have this one view, and wakes come by promises:
 * real ones (`Atomics.waitAsync`) come when the machine likes, and time out by its clock.
 */
export class VirtualState extends SharedState {
  readonly #agenda: Agenda
  /** By thread and upstream. */
  readonly #waiters = new Map<string, Waiter>()
  /** Somebody was woken, and has not run yet. */
  #woken = false

  constructor(memory: SharedStateMemory, agenda: Agenda) {
    super(memory)
    this.#agenda = agenda
  }

  override wakeThread(upstream: number, thread: number): void {
    super.wakeThread(upstream, thread)
    this.#wake(keyOf(upstream, thread))
  }

  override waitForWake(upstream: number, thread: number, ticket: number, timeoutMs: number): Promise<void> {
    this.#woken = true
    if (this.wakeTicket(upstream, thread) !== ticket) return Promise.resolve()
    return new Promise(resolve => {
      const waiter = { wake: resolve }
      const key = keyOf(upstream, thread)
      this.#waiters.set(key, waiter)
      this.#agenda.after(timeoutMs, () => {
        if (this.#waiters.get(key) === waiter) this.#wake(key)
      })
    })
  }

  override wakeSelf(act: () => void): void {
    this.#woken = true
    super.wakeSelf(act)
  }

  /**
   * Resolves when all that were woken have run as far as they can without the time going on; undefined if
   * nobody was.
   */
  settled(): Promise<void> | undefined {
    if (!this.#woken) return undefined
    this.#woken = false
    // Runs when no promise has anything left to do.
    return new Promise(resolve => setImmediate(resolve))
  }

  #wake(key: string): void {
    const waiter = this.#waiters.get(key)
    if (waiter === undefined) return
    this.#waiters.delete(key)
    this.#woken = true
    waiter.wake()
  }
}

function keyOf(upstream: number, thread: number): string {
  return `${upstream} ${thread}`
}
