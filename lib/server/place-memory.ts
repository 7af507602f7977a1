import { ENDPOINT_BLOCK } from '../../upstreams/measures.ts'
import { CellColumn, type CellMemory, CellReader } from '../base/cells.ts'
import { type SharedState, STATE } from '../base/shared-state.ts'

const AT = ENDPOINT_BLOCK.at
/** What an endpoint has at the moment, not what it has had. */
const GAUGES = [AT.inflight, AT.idle, AT.active, AT.tunnels, AT.abandonedNow] as const

/** The memory of endpoints, as far as it passes from one that has gone to one that comes. */
export class PlaceMemory {
  readonly #shared: SharedState
  readonly #reader: CellReader
  readonly #columns: readonly CellColumn[]

  constructor(shared: SharedState, cells: CellMemory) {
    this.#shared = shared
    this.#reader = new CellReader(cells)
    this.#columns = Array.from({ length: cells.columns }, (_, column) => new CellColumn(cells, column))
  }

  /** Nothing runs there, and its ejection is over. */
  slotRests(slot: number): boolean {
    return this.#shared.inflight(slot) === 0 && (this.#shared.state(slot) & STATE.ejected) === 0
  }

  forgetSlot(slot: number): void {
    this.#shared.forget(slot)
  }

  rowRests(row: number): boolean {
    return GAUGES.every(at => this.#reader.total(row + at) === 0)
  }

  /** A thread writes its own column only, but none writes here any more. */
  forgetRow(row: number): void {
    for (const column of this.#columns) {
      for (let at = 0; at < ENDPOINT_BLOCK.size; at += 1) column.set(row + at, 0)
    }
  }
}
