import { NO_ROUTE, type Placement } from './placement.ts'

/**
 * The first row of each listener's and route's cells. It only learns: an exchange that began before a reload is counted where it belongs,
 * even if its route is gone.
 */
export class ExchangeRows {
  readonly #rows = new Map<string, Map<string, number>>()

  learn({ exchanges }: Placement): void {
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
    return this.#rows.get(listener)?.get(route ?? NO_ROUTE) as number
  }
}
