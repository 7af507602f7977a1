/** Whom a place belongs to: the pool. */
export interface PlaceKeeper {
  /** A request waits for the close of the connection that has it. */
  makesRoom(): void
  /** It is free again. `madeRoom`: it was announced by `makesRoom`. */
  placeGiven(madeRoom: boolean): void
}

/**
 * The place of one connection among those that may be open to its endpoint, and its descriptor. Whoever owns
 * the connection gives both back once it is closed, on every way that this can happen.
 */
export class Place<E> {
  readonly endpoint: E
  readonly #keeper: PlaceKeeper
  #state: 'taken' | 'making room' | 'given' = 'taken'

  constructor(endpoint: E, keeper: PlaceKeeper) {
    this.endpoint = endpoint
    this.#keeper = keeper
  }

  /** The connection closes because a request waits for its place. */
  makeRoom(): void {
    if (this.#state !== 'taken') return
    this.#state = 'making room'
    this.#keeper.makesRoom()
  }

  /** The connection is closed, or was never made. The first call counts. */
  give(): void {
    if (this.#state === 'given') return
    const madeRoom = this.#state === 'making room'
    this.#state = 'given'
    this.#keeper.placeGiven(madeRoom)
  }
}
