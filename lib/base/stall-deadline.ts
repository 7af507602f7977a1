import type { Deadline, Timers } from './timers.ts'

/** What is watched. */
export interface TakenStream {
  readonly allSent: boolean
  /** Bytes that the kernel has taken so far. */
  readonly taken: number
  stalled(): void
}

/** Runs while a peer owes us the taking of bytes; a peer that takes some, however slowly, gets a new term. */
export class StallDeadline implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #stream: TakenStream
  readonly #timers: Timers
  readonly #stallMs: number
  #taken = 0

  constructor(stream: TakenStream, timers: Timers, stallMs: number) {
    this.#stream = stream
    this.#timers = timers
    this.#stallMs = stallMs
  }

  /** A running term is not put off: only what the peer takes counts, not what we go on writing. */
  watch(): void {
    if (this.tick !== undefined) return
    this.#taken = this.#stream.taken
    this.#timers.arm(this, this.#stallMs)
  }

  expired(): void {
    if (this.#stream.allSent) return
    if (this.#stream.taken > this.#taken) this.watch()
    else this.#stream.stalled()
  }
}
