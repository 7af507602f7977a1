import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { ENDPOINT_BLOCK } from './measures.ts'
import { Place, type PlaceKeeper } from './place.ts'

const AT = ENDPOINT_BLOCK.at
/**
 * A thread that has a connection to give up, and has not done so for this long, is stuck: longer than any
 * connection takes to close.
 */
const MUTE_MS = 1500

/**
 * How a connection goes that nobody needs. lingering: there is time to wait until the app has closed it as
 * well. making room: a request waits for its place, and should not wait for long where the app is too busy to
 * notice. at once: its descriptor is wanted.
 */
export type Leaving = 'lingering' | 'making room' | 'at once'

/** A connection that can wait in a pool. */
export interface Pooled {
  /** Closes it, with FIN. By default it makes room where all places are taken, else it lingers. */
  leave(how?: Leaving): void
}

/**
 * The connections of one thread to one endpoint: those that rest, and the places of all. With a bound the
 * places of all threads are as many at most: a thread that finds none free closes a connection that rests, or
 * has another thread close one, and is told when the place is free. Only what a stuck thread has is made up
 * for by places beyond the bound: its connections must not keep the others from every slot.
 */
export class ConnectionPool<C extends Pooled> implements PlaceKeeper {
  readonly #env: ThreadEnv
  readonly #index: number
  readonly #row: number
  /** Last in, first out: the busiest sockets stay warm, the others run out. */
  readonly #idle: C[] = []
  /** 0: no bound. */
  #most = 0
  #placeFreed: () => void = () => {}
  /** Connections that were closed to make room, and are not gone yet. */
  #makingRoom = 0
  /** Since when another thread is to close a connection. */
  #askedAtMs: number | undefined = undefined
  #listening = false
  #retired = false

  /** `index`, `row`: of the endpoint. */
  constructor(env: ThreadEnv, index: number, row: number) {
    this.#env = env
    this.#index = index
    this.#row = row
  }

  /**
   * `most`: connections that all threads may have, 0: any number. `placeFreed`: told when one of this thread
   * has closed while there is a bound.
   */
  bind(most: number, placeFreed: () => void): void {
    this.#most = most
    this.#placeFreed = placeFreed
    if (most === 0) return
    for (let excess = this.#open - most; excess > 0; excess -= 1) this.#closeOldest()
    this.#heed()
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0
  }

  /** As many are open as may be. */
  get isFull(): boolean {
    return this.#most > 0 && this.#open >= this.#most
  }

  /** There is a place for a new connection. */
  get hasRoom(): boolean {
    return !this.isFull || this.#othersAreStuck
  }

  /** The connection that was used last; undefined if none rests. */
  take(): C | undefined {
    const client = this.#idle.pop()
    if (client === undefined) return undefined
    this.#env.cells.add(this.#row + AT.idle, -1)
    this.#env.cells.add(this.#row + AT.reuses, 1)
    return client
  }

  /**
   * False if it is not to rest here: the caller then closes it. `most`: connections that may rest in this
   * thread.
   */
  put(client: C, most: number): boolean {
    if (this.#retired || this.#idle.length >= most || this.#isUnwanted) return false
    this.#idle.push(client)
    this.#env.cells.add(this.#row + AT.idle, 1)
    if (this.#most > 0) this.#heed()
    return true
  }

  remove(client: C): void {
    const index = this.#idle.indexOf(client)
    if (index < 0) return
    this.#idle.splice(index, 1)
    this.#env.cells.add(this.#row + AT.idle, -1)
  }

  /** Takes a place for a new connection; false if all are taken. `openPlace` follows. */
  reserve(): boolean {
    const { shared, thread } = this.#env
    if (shared.connections.take(this.#index, thread, this.#most)) {
      this.#askedAtMs = undefined
      return true
    }
    return this.#othersAreStuck && shared.connections.take(this.#index, thread, 0)
  }

  /**
   * The place that was reserved, and a descriptor for it; undefined, and the place is free again, if there is
   * none. `siblings`: see Descriptors.takeFor.
   */
  openPlace<E>(endpoint: E, siblings: number): Place<E> | undefined {
    if (this.#env.descriptors.takeFor(siblings)) return new Place(endpoint, this)
    this.#free()
    return undefined
  }

  /**
   * A request needs a place. Where a close that makes one is under way already, its end is worth waiting for.
   */
  makeRoom(): void {
    if (this.#makingRoom > 0 || this.#closeOldest('making room')) return
    const { shared, thread, clock } = this.#env
    if (!shared.connections.isWanted(this.#index)) this.#askedAtMs = undefined
    this.#askedAtMs ??= clock.now()
    shared.connections.want(this.#index, thread)
  }

  /** Closes the connection that has rested longest, at once; false if none does. */
  closeResting(): boolean {
    return this.#closeOldest('at once')
  }

  closeIdle(): void {
    while (this.#closeOldest()) {}
  }

  /** None rests here any more. */
  retire(): void {
    this.#retired = true
    this.closeIdle()
    const { shared, thread } = this.#env
    if (this.#listening) shared.connections.ask(this.#index, thread)
  }

  // PlaceKeeper.

  makesRoom(): void {
    this.#makingRoom += 1
  }

  placeGiven(madeRoom: boolean): void {
    if (madeRoom) this.#makingRoom -= 1
    this.#env.descriptors.give()
    this.#free()
  }

  get #open(): number {
    return this.#env.shared.connections.open(this.#index)
  }

  get #othersAreStuck(): boolean {
    const { shared, clock } = this.#env
    if (this.#askedAtMs === undefined || clock.now() - this.#askedAtMs < MUTE_MS) return false
    return shared.connections.isWanted(this.#index)
  }

  /** There are too many, or another thread needs its place. */
  get #isUnwanted(): boolean {
    if (!this.isFull) return false
    return this.#open > this.#most || this.#env.shared.connections.takeWanted(this.#index)
  }

  #free(): void {
    const { shared, thread } = this.#env
    shared.connections.give(this.#index, thread)
    if (this.#most > 0) this.#placeFreed()
  }

  #closeOldest(how?: Leaving): boolean {
    const client = this.#idle.shift()
    if (client === undefined) return false
    this.#env.cells.add(this.#row + AT.idle, -1)
    client.leave(how)
    return true
  }

  #heed(): void {
    if (!this.#listening) this.#listen().catch(() => {})
  }

  /** Gives up what rests when another thread wants it, as long as something does. */
  async #listen(): Promise<void> {
    const { shared, thread } = this.#env
    this.#listening = true
    while (this.#idle.length > 0) {
      const ticket = shared.connections.ticket(this.#index, thread)
      if (this.#isUnwanted) this.#closeOldest('making room')
      await shared.connections.untilAsked(this.#index, thread, ticket)
    }
    this.#listening = false
  }
}
