/** Of each data thread: beats, by how much its event loop is late, and KiB that its heap holds. */
const THREAD_WORDS = 3
/** Of the process: percent of the memory in use while it is short, and how much there is, MiB. */
const PROCESS_WORDS = 2

/** How many words it takes for so many data threads. */
export function vitalWords(threads: number): number {
  return THREAD_WORDS * threads + PROCESS_WORDS
}

/**
 * What threads tell each other of how they are. Each word of a thread is written by that thread, those of the
 * process by the control thread.
 */
export class VitalWords {
  /** Data threads that share them. */
  readonly threads: number
  readonly #words: Int32Array
  readonly #at: number

  /** `at`: the first of these among all shared words. */
  constructor(words: Int32Array, at: number, threads: number) {
    this.#words = words
    this.#at = at
    this.threads = threads
  }

  /** A data thread's sign of life. */
  beat(thread: number): void {
    Atomics.add(this.#words, this.#at + thread, 1)
  }

  beats(thread: number): number {
    return Atomics.load(this.#words, this.#at + thread)
  }

  /** By how many milliseconds a data thread is late, while that is too much; else 0. */
  loopDelay(thread: number): number {
    return this.#words[this.#at + this.threads + thread] as number
  }

  setLoopDelay(thread: number, delayMs: number): void {
    Atomics.store(this.#words, this.#at + this.threads + thread, delayMs)
  }

  /** KiB that the heap of a data thread holds, inside and outside; 0 before it has looked. */
  heldKib(thread: number): number {
    return this.#words[this.#at + 2 * this.threads + thread] as number
  }

  setHeldKib(thread: number, kib: number): void {
    Atomics.store(this.#words, this.#at + 2 * this.threads + thread, kib)
  }

  /** Data threads that are too late. */
  lateThreads(): number {
    let late = 0
    for (let thread = 0; thread < this.threads; thread += 1) if (this.loopDelay(thread) > 0) late += 1
    return late
  }

  /** Percent of its memory that the process uses, while that is too much; else 0. */
  memoryPercent(): number {
    return this.#words[this.#processAt] as number
  }

  memoryLimitMib(): number {
    return this.#words[this.#processAt + 1] as number
  }

  setMemoryShort(percent: number, limitMib: number): void {
    Atomics.store(this.#words, this.#processAt + 1, limitMib)
    Atomics.store(this.#words, this.#processAt, percent)
  }

  get #processAt(): number {
    return this.#at + THREAD_WORDS * this.threads
  }
}
