/** Words of the process: descriptors taken for traffic, and how often one was missed. Words of each thread: taken, and misses that it knows of. */
const PROCESS = { taken: 0, missed: 1 } as const
const PROCESS_WORDS = 2
const THREAD_WORDS = 2

/** Words that the account of so many data threads takes. */
export function accountWords(threads: number): number {
  return PROCESS_WORDS + THREAD_WORDS * threads
}

/** Descriptors that all data threads have taken for traffic, in memory that they share; see `Descriptors`, which decides. */
export class DescriptorAccount {
  readonly #words: Int32Array
  readonly #threads: number

  /** `words`: as many as `accountWords` says. */
  constructor(words: Int32Array, threads: number) {
    this.#words = words
    this.#threads = threads
  }

  get taken(): number {
    return Atomics.load(this.#words, PROCESS.taken)
  }

  take(thread: number): void {
    Atomics.add(this.#words, PROCESS.taken, 1)
    this.#addTo(thread, 1)
  }

  give(thread: number): void {
    Atomics.sub(this.#words, PROCESS.taken, 1)
    this.#addTo(thread, -1)
  }

  /** Somebody needed a descriptor and got none. */
  miss(): void {
    Atomics.add(this.#words, PROCESS.missed, 1)
  }

  /** How often `miss` was called; wraps around. */
  get missed(): number {
    return Atomics.load(this.#words, PROCESS.missed)
  }

  /** True if one was missed since this thread asked last. */
  learnMissed(thread: number): boolean {
    const at = PROCESS_WORDS + this.#threads + thread
    const { missed } = this
    if (this.#words[at] === missed) return false
    this.#words[at] = missed
    return true
  }

  /** Gives back what a dead thread had taken: the system has closed it. */
  releaseAllOf(thread: number): void {
    const at = PROCESS_WORDS + thread
    Atomics.sub(this.#words, PROCESS.taken, this.#words[at] as number)
    this.#words[at] = 0
  }

  /** A thread writes its own word only. */
  #addTo(thread: number, by: 1 | -1): void {
    const at = PROCESS_WORDS + thread
    this.#words[at] = (this.#words[at] as number) + by
  }
}
