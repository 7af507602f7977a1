/**
 * Words of one endpoint: connections that all threads have open there, and 1 where a thread wants one of them
 * closed because it has none itself.
 */
const WORD = { open: 0, wanted: 1 } as const
const ENDPOINT_WORDS = 2
/**
 * Words of one endpoint in one thread: connections that it has open, and how often it was asked to close one.
 */
const OWN = { open: 0, asked: 1 } as const
const OWN_WORDS = 2

/** Words that the account of so many endpoints and data threads takes. */
export function connectionWords(endpoints: number, threads: number): number {
  return endpoints * (ENDPOINT_WORDS + OWN_WORDS * threads)
}

/**
 * Connections of HTTP/1 that all data threads have open to each endpoint, in memory that they share. They are
 * counted whether there is a bound or not, so that a reload may set one. A thread that finds the bound
 * reached asks the others to close a connection that they do not need.
 */
export class ConnectionAccount {
  readonly #words: Int32Array
  readonly #endpoints: number
  readonly #threads: number

  /** `words`: as many as `connectionWords` says. */
  constructor(words: Int32Array, endpoints: number, threads: number) {
    this.#words = words
    this.#endpoints = endpoints
    this.#threads = threads
  }

  /** Over all threads. */
  open(endpoint: number): number {
    return Atomics.load(this.#words, endpoint * ENDPOINT_WORDS + WORD.open)
  }

  /** Counts one more connection of a thread, unless there are `most` (0: no bound); false if there are. */
  take(endpoint: number, thread: number, most: number): boolean {
    const at = endpoint * ENDPOINT_WORDS + WORD.open
    // Compared and exchanged: one that is added and taken back would keep another thread from the last place,
    // and nobody would wake that one.
    for (let open = this.open(endpoint); ; ) {
      if (most > 0 && open >= most) return false
      const found = Atomics.compareExchange(this.#words, at, open, open + 1)
      if (found === open) break
      open = found
    }
    Atomics.add(this.#words, this.#ownAt(endpoint, thread) + OWN.open, 1)
    return true
  }

  /** It is closed. */
  give(endpoint: number, thread: number): void {
    Atomics.sub(this.#words, this.#ownAt(endpoint, thread) + OWN.open, 1)
    Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.open, 1)
  }

  /** The thread needs a connection, and the others have all that may be: they are asked to close one. */
  want(endpoint: number, thread: number): void {
    Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + WORD.wanted, 1)
    for (let other = 0; other < this.#threads; other += 1)
      if (other !== thread && this.#ownOpen(endpoint, other) > 0) this.ask(endpoint, other)
  }

  /** Nobody has closed a connection since one was wanted. */
  isWanted(endpoint: number): boolean {
    return Atomics.load(this.#words, endpoint * ENDPOINT_WORDS + WORD.wanted) === 1
  }

  /**
   * True for one who asks, if a connection is wanted: that one closes it. Hot: only a load as long as none
   * is.
   */
  takeWanted(endpoint: number): boolean {
    const at = endpoint * ENDPOINT_WORDS + WORD.wanted
    return this.#words[at] !== 0 && Atomics.exchange(this.#words, at, 0) === 1
  }

  /** Wakes the thread if it waits in `untilAsked`. */
  ask(endpoint: number, thread: number): void {
    const at = this.#ownAt(endpoint, thread) + OWN.asked
    Atomics.add(this.#words, at, 1)
    Atomics.notify(this.#words, at)
  }

  /**
   * Number to hand to `untilAsked`: read it before the last look at `takeWanted`, so that no request is
   * missed.
   */
  ticket(endpoint: number, thread: number): number {
    return Atomics.load(this.#words, this.#ownAt(endpoint, thread) + OWN.asked)
  }

  /** Resolves when this thread was asked since the ticket was read. */
  async untilAsked(endpoint: number, thread: number, ticket: number): Promise<void> {
    const asked = Atomics.waitAsync(this.#words, this.#ownAt(endpoint, thread) + OWN.asked, ticket)
    if (asked.async) await asked.value
  }

  /** Takes those of a dead thread off the account: the system has closed them. */
  releaseAllOf(thread: number): void {
    for (let endpoint = 0; endpoint < this.#endpoints; endpoint += 1) {
      const held = this.#ownOpen(endpoint, thread)
      if (held === 0) continue
      Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.open, held)
      Atomics.store(this.#words, this.#ownAt(endpoint, thread) + OWN.open, 0)
    }
  }

  /** The index is given to another address. Only while no connection is open there. */
  forget(endpoint: number): void {
    Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + WORD.wanted, 0)
  }

  #ownOpen(endpoint: number, thread: number): number {
    return Atomics.load(this.#words, this.#ownAt(endpoint, thread) + OWN.open)
  }

  #ownAt(endpoint: number, thread: number): number {
    return this.#endpoints * ENDPOINT_WORDS + (thread * this.#endpoints + endpoint) * OWN_WORDS
  }
}
