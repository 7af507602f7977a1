/**
 * Words of the process: descriptors taken for traffic, how often one was missed, and how often an idle
 * client's was wanted.
 */
const PROCESS = { taken: 0, missed: 1, wanted: 2 } as const
const PROCESS_WORDS = 3
/** Words of each thread, one table after the other: taken, and the misses and wants that it knows of. */
const TABLE = { taken: 0, missed: 1, wanted: 2 } as const
const THREAD_WORDS = 3

/** Words that the account of so many data threads takes. */
export function accountWords(threads: number): number {
  return PROCESS_WORDS + THREAD_WORDS * threads
}

/**
 * Descriptors that all data threads have taken for traffic, in memory that they share; see `Descriptors`,
 * which decides.
 */
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
    return this.#learn(PROCESS.missed, TABLE.missed, thread) !== 0
  }

  /** A thread without idle clients needs that another closes one of its own. */
  want(thread: number): void {
    Atomics.add(this.#words, PROCESS.wanted, 1)
    const at = this.#at(TABLE.wanted, thread)
    this.#words[at] = ((this.#words[at] as number) + 1) | 0
  }

  /** How often other threads have called `want` since this one asked last. */
  learnWanted(thread: number): number {
    return this.#learn(PROCESS.wanted, TABLE.wanted, thread)
  }

  /** Gives back what a dead thread had taken: the system has closed it. */
  releaseAllOf(thread: number): void {
    const at = this.#at(TABLE.taken, thread)
    Atomics.sub(this.#words, PROCESS.taken, this.#words[at] as number)
    this.#words[at] = 0
  }

  /** By how much a count of the process has grown since the thread asked last; it may have wrapped around. */
  #learn(count: number, table: number, thread: number): number {
    const at = this.#at(table, thread)
    const now = Atomics.load(this.#words, count)
    const grown = (now - (this.#words[at] as number)) | 0
    this.#words[at] = now
    return grown
  }

  /** A thread writes its own word only. */
  #addTo(thread: number, by: 1 | -1): void {
    const at = this.#at(TABLE.taken, thread)
    this.#words[at] = (this.#words[at] as number) + by
  }

  #at(table: number, thread: number): number {
    return PROCESS_WORDS + table * this.#threads + thread
  }
}
