import type { CellColumn } from '../../base/cells.ts'
import type { Idlers } from '../../base/descriptors.ts'

/** A connection that may wait between two requests. */
export interface MayIdle {
  /** True: its client has said nothing yet, and may be about to. */
  readonly isNewcomer?: boolean
  /**
   * Closes at once if nothing is under way. False: something is, say an answer that its client has not taken.
   */
  closeIdle(): boolean
}

/**
 * How many connections are looked at for one that can be closed; those that cannot go to the end of the list.
 */
const LOOKS = 8

/** The place of one connection in an `IdleList`, made once. Links of the list are its own. */
export class IdlePlace {
  readonly connection: MayIdle
  before: IdlePlace | undefined = undefined
  after: IdlePlace | undefined = undefined
  listed = false
  /** The later it was listed the higher, in all lists of the thread. */
  turn = 0

  constructor(connection: MayIdle) {
    this.connection = connection
  }
}

let turns = 0

/**
 * Connections of one listener without a request, the one that has been so longest first. Every step costs the
 * same, however many there are.
 */
export class IdleList {
  readonly #cells: CellColumn
  readonly #row: number
  #oldest: IdlePlace | undefined = undefined
  #newest: IdlePlace | undefined = undefined

  /** `row`: the cell that counts them. */
  constructor(cells: CellColumn, row: number) {
    this.#cells = cells
    this.#row = row
  }

  /** It waits from now on. Hot. */
  add(place: IdlePlace): void {
    if (place.listed) return
    place.listed = true
    this.#cells.add(this.#row, 1)
    turns += 1
    place.turn = turns
    place.before = this.#newest
    place.after = undefined
    if (this.#newest === undefined) this.#oldest = place
    else this.#newest.after = place
    this.#newest = place
  }

  /** It waits no more. Hot. */
  remove(place: IdlePlace): void {
    if (!place.listed) return
    place.listed = false
    this.#cells.add(this.#row, -1)
    if (place.before === undefined) this.#oldest = place.after
    else place.before.after = place.after
    if (place.after === undefined) this.#newest = place.before
    else place.after.before = place.before
    place.before = undefined
    place.after = undefined
  }

  /** The turn of the one that has waited longest; Infinity if none does. */
  get turn(): number {
    return this.#oldest?.turn ?? Number.POSITIVE_INFINITY
  }

  /**
   * Closes the one that has waited longest, to make room; `whom`: newcomers too, or only those that have
   * asked for something. False: none could be closed.
   */
  closeOldest(whom: Idlers): boolean {
    let place = this.#oldest
    for (let looks = 0; looks < LOOKS && place !== undefined; looks += 1) {
      const next: IdlePlace | undefined = place.after
      if (whom === 'all' || place.connection.isNewcomer !== true) {
        this.remove(place)
        if (place.connection.closeIdle()) return true
        this.add(place)
      }
      place = next
    }
    return false
  }
}
