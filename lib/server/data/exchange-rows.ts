import { NO_ROUTE, type Placement } from '../shared/placement.ts'

/**
 * The first row of each listener's and route's cells. An exchange that began before a reload is counted where
 * it belongs, even if its route is gone; only once that place is another's it counts as one without a route.
 */
export class ExchangeRows {
  readonly #rows = new Map<string, Map<string, number>>()
  /** For whom there is no place any more. */
  #anywhere = 0

  learn({ exchanges }: Placement): void {
    this.#forget(new Set(exchanges.map(({ row }) => row)))
    this.#anywhere = exchanges[0]?.row ?? this.#anywhere
    for (const { listener, route, row } of exchanges) {
      let rows = this.#rows.get(listener)
      if (rows === undefined) {
        rows = new Map()
        this.#rows.set(listener, rows)
      }
      rows.set(route, row)
    }
  }

  /** Hot: two look-ups. Every name that a snapshot has is known. */
  rowOf(listener: string, route: string | undefined): number {
    const rows = this.#rows.get(listener)
    return rows?.get(route ?? NO_ROUTE) ?? rows?.get(NO_ROUTE) ?? this.#anywhere
  }

  /** These rows are about to be given to whom they belong now. */
  #forget(taken: ReadonlySet<number>): void {
    for (const [listener, rows] of this.#rows) {
      for (const [route, row] of rows) if (taken.has(row)) rows.delete(route)
      if (rows.size === 0) this.#rows.delete(listener)
    }
  }
}
