import type { Deadline, Timers } from '../base/timers.ts'
import type { LineBatch } from './messages.ts'

/** Characters after which a batch is handed over at once. */
const BATCH_CHARS = 32 * 1024
/** Longest time a line waits for company. */
const BATCH_MS = 100
/** Characters on their way to the control thread; beyond this, lines are dropped and counted. */
const MAX_UNTAKEN_CHARS = 4 * 1024 * 1024

/** Takes a batch; answers later with `taken`. */
export type HandOver = (batch: LineBatch) => void

/**
 * Gathers a data thread's access lines, so that one message carries hundreds. Bounded: a control thread that
 * cannot keep up costs lines, never memory or traffic.
 */
export class AccessBatch implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #timers: Timers
  readonly #handOver: HandOver
  #text = ''
  #lines = 0
  #untakenChars = 0
  #dropped = 0

  constructor(timers: Timers, handOver: HandOver) {
    this.#timers = timers
    this.#handOver = handOver
  }

  /** Hot: one concatenation. `line` ends with its line end. */
  write(line: string): void {
    if (this.#untakenChars + this.#text.length + line.length > MAX_UNTAKEN_CHARS) {
      this.#dropped += 1
      return
    }
    if (this.#text.length === 0) this.#timers.arm(this, BATCH_MS)
    this.#text += line
    this.#lines += 1
    if (this.#text.length >= BATCH_CHARS) this.flush()
  }

  /** The control thread has taken so many characters over. */
  taken(chars: number): void {
    this.#untakenChars -= chars
    if (this.#dropped > 0) this.flush()
  }

  /** Hands over what there is. */
  flush(): void {
    if (this.#text === '' && this.#dropped === 0) return
    const batch: LineBatch = { text: this.#text, lines: this.#lines, dropped: this.#dropped }
    this.#text = ''
    this.#lines = 0
    this.#dropped = 0
    this.#untakenChars += batch.text.length
    this.#timers.disarm(this)
    this.#handOver(batch)
  }

  expired(): void {
    this.flush()
  }
}
