import type { SharedState } from './shared-state.ts'

/** Descriptors that the process may have open for its traffic; Infinity: the system does not tell. */
export interface DescriptorLimits {
  /** While so many are taken no further client is let in. */
  readonly clients: number
  /** All of them: clients, and what is opened for them. The rest of the process's limit is for the admin listener, probes and logs. */
  readonly all: number
}

const UNLIMITED: DescriptorLimits = { clients: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY }

/**
 * A connection that runs several requests may run a fourth as many as there are descriptors free: so those with hundreds of streams leave room to
 * the others, however many they are (dynamic thresholds; Choudhury and Hahne, IEEE/ACM ToN 1998).
 */
const FREE_FOR_EACH = 4

/**
 * One data thread's view of the descriptors that clients cause to be open: their own connections, connections to apps, files that are sent, files
 * of bodies that wait. All threads share one account, since the limit is the process's. Whoever takes one gives it back once it is closed.
 */
export class Descriptors {
  readonly #shared: SharedState
  readonly #thread: number
  readonly #limits: DescriptorLimits
  /** Closes something that nobody needs now; false if there is nothing. Set by whoever knows what rests. */
  closeResting: () => boolean = () => false

  constructor(shared: SharedState, thread: number, limits: DescriptorLimits = UNLIMITED) {
    this.#shared = shared
    this.#thread = thread
    this.#limits = limits
  }

  /** How many more may be taken for what clients ask. */
  get free(): number {
    return this.#limits.all - this.#shared.descriptors.taken
  }

  /** For a client's connection. False: there is no room for one more client. */
  takeForClient(): boolean {
    return this.#take(this.#shared.descriptors.taken < this.#limits.clients)
  }

  /** For what a request needs; `siblings`: requests that its client runs on that connection, this one included. False: it is refused. */
  takeFor(siblings: number): boolean {
    const { free } = this
    return this.#take(free > 0 && (siblings <= 1 || siblings * FREE_FOR_EACH <= free))
  }

  /** For a file of a body that waits. `open`: such files so far. They never take more than half of what is free. */
  takeForBody(open: number): boolean {
    return this.#take(open < this.free)
  }

  give(): void {
    this.#shared.descriptors.give(this.#thread)
  }

  /** The system itself had none left, whatever this account says: what rests makes room, here and in the other threads. */
  ranShort(): void {
    this.closeResting()
    this.#shared.descriptors.miss()
  }

  /** Called from time to time: does what other threads want. */
  look(): void {
    if (this.#shared.descriptors.learnMissed(this.#thread)) this.closeResting()
  }

  #take(fits: boolean): boolean {
    if (!fits && !this.closeResting()) {
      this.#shared.descriptors.miss()
      return false
    }
    this.#shared.descriptors.take(this.#thread)
    return true
  }
}
