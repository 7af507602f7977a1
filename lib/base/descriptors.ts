import type { SharedState } from './shared-state.ts'

/** Descriptors that the process may have open for its traffic; Infinity: the system does not tell. */
export interface DescriptorLimits {
  /** While so many are taken no further client is let in. */
  readonly clients: number
  /**
   * All of them: clients, and what is opened for them. The rest of the process's limit is for the admin
   * listener, probes and logs.
   */
  readonly all: number
}

/** Clients that may be sent away: all without a request, or only those that have had one. */
export type Idlers = 'all' | 'served'

/**
 * What a thread can close to make room. Each gives back one descriptor; false if there is nothing of the
 * kind.
 */
export interface Closable {
  /** A connection to an app on which nothing runs: it costs less to make anew than a client's. */
  closeResting(): boolean
  /** The client's connection that has been without a request longest. */
  closeIdlest(whom: Idlers): boolean
}

const UNLIMITED: DescriptorLimits = { clients: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY }

/**
 * A connection that runs several requests may run a fourth as many as there are descriptors free: so those
 * with hundreds of streams leave room to the others, however many they are (dynamic thresholds; Choudhury and
 * Hahne, IEEE/ACM ToN 1998).
 */
const FREE_FOR_EACH = 4

/**
 * A thread that can close nothing itself may take so many on credit: the others close idle clients for it at
 * their next tick. Beyond `all` there is room for them (16 at least, of which the admin listener has 8).
 */
const MOST_OWED = 4

const NOTHING: Closable = { closeResting: () => false, closeIdlest: () => false }

/**
 * One data thread's view of the descriptors that clients cause to be open: their own connections, connections
 * to apps, files that are sent, files of bodies that wait. All threads share one account, since the limit is
 * the process's. Whoever takes one gives it back once it is closed.
 */
export class Descriptors {
  readonly #shared: SharedState
  readonly #thread: number
  readonly #limits: DescriptorLimits
  /** Set by whoever knows what is idle. */
  closable: Closable = NOTHING

  constructor(shared: SharedState, thread: number, limits: DescriptorLimits = UNLIMITED) {
    this.#shared = shared
    this.#thread = thread
    this.#limits = limits
  }

  /** Client connections that the process may have. */
  get mostClients(): number {
    return this.#limits.clients
  }

  /** How many more may be taken for what clients ask. */
  get free(): number {
    return this.#limits.all - this.#shared.descriptors.taken
  }

  /** For a client's connection. False: there is no room for one more client. */
  takeForClient(): boolean {
    return this.#takeWithin(this.#limits.clients)
  }

  /**
   * For what a request needs; `siblings`: requests that its client runs on that connection, this one
   * included. False: it is refused. No client is sent away for another's second request.
   */
  takeFor(siblings: number): boolean {
    if (siblings <= 1) return this.#takeWithin(this.#limits.all)
    return this.#take(siblings * FREE_FOR_EACH <= this.free || this.closable.closeResting())
  }

  /**
   * For a file of a body that waits. `open`: such files so far. They never take more than half of what is
   * free.
   */
  takeForBody(open: number): boolean {
    return this.#take(open < this.free || this.closable.closeResting())
  }

  give(): void {
    this.#shared.descriptors.give(this.#thread)
  }

  /**
   * The system itself had none left, whatever this account says: what rests makes room, here and in the other
   * threads. Clients do not: nobody knows who has taken the descriptors, nor whether theirs would be enough.
   */
  ranShort(): void {
    this.closable.closeResting()
    this.#shared.descriptors.miss()
  }

  /**
   * Called from time to time: does what other threads want. A newcomer of this thread is no worse than that
   * for which they want it.
   */
  look(): void {
    const { descriptors } = this.#shared
    if (descriptors.learnMissed(this.#thread)) this.closable.closeResting()
    for (let wanted = descriptors.learnWanted(this.#thread); wanted > 0; wanted -= 1)
      if (descriptors.taken <= this.#limits.clients || !this.closable.closeIdlest('served')) return
  }

  #takeWithin(most: number): boolean {
    const { descriptors } = this.#shared
    if (descriptors.taken < most || this.closable.closeResting() || this.closable.closeIdlest('all'))
      return this.#take(true)
    descriptors.want(this.#thread)
    return this.#take(descriptors.taken < most + MOST_OWED)
  }

  #take(fits: boolean): boolean {
    if (!fits) {
      this.#shared.descriptors.miss()
      return false
    }
    this.#shared.descriptors.take(this.#thread)
    return true
  }
}
