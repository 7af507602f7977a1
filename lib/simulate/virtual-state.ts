import { SharedState, type SharedStateMemory } from '../base/shared-state.ts'
import type { Agenda } from './agenda.ts'

interface Waiter {
  wake(): void
}

/**
 * The shared words of a simulated process. All its threads have this one view, and wakes come by promises: real ones
 * (`Atomics.waitAsync`) come when the machine likes, and time out by its clock.
 */
export class VirtualState extends SharedState {
  readonly #agenda: Agenda
  /** By upstream, in the order in which they began to wait. */
  readonly #waiters = new Map<number, Waiter[]>()
  /** Somebody was woken, and has not run yet. */
  #woken = false

  constructor(memory: SharedStateMemory, agenda: Agenda) {
    super(memory)
    this.#agenda = agenda
  }

  override wakeOne(upstream: number): void {
    super.wakeOne(upstream)
    this.#waiters.get(upstream)?.shift()?.wake()
  }

  override wakeAll(upstream: number): void {
    super.wakeAll(upstream)
    for (const waiter of this.#waiters.get(upstream)?.splice(0) ?? []) waiter.wake()
  }

  override waitForWake(upstream: number, ticket: number, timeoutMs: number): Promise<void> {
    this.#woken = true
    if (this.wakeTicket(upstream) !== ticket) return Promise.resolve()
    return new Promise(resolve => {
      const waiter = {
        wake: () => {
          this.#woken = true
          resolve()
        },
      }
      const waiters = this.#waiters.get(upstream) ?? []
      this.#waiters.set(upstream, waiters)
      waiters.push(waiter)
      this.#agenda.after(timeoutMs, () => {
        const at = waiters.indexOf(waiter)
        if (at < 0) return
        waiters.splice(at, 1)
        waiter.wake()
      })
    })
  }

  override wakeSelf(act: () => void): void {
    this.#woken = true
    super.wakeSelf(act)
  }

  /** Resolves when all that were woken have run as far as they can without the time going on; undefined if nobody was. */
  settled(): Promise<void> | undefined {
    if (!this.#woken) return undefined
    this.#woken = false
    // Runs when no promise has anything left to do.
    return new Promise(resolve => setImmediate(resolve))
  }
}
