import { LISTENER_BLOCK } from '../../../metrics/blocks.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../../upstreams/measures.ts'
import { CellColumn, type CellMemory, CellReader } from '../../base/cells.ts'
import { type SharedState, STATE } from '../../base/shared-state.ts'

const { at: ENDPOINT } = ENDPOINT_BLOCK
/** Cells that say what there is at the moment, not what there was. */
const GAUGES = {
  listener: [LISTENER_BLOCK.at.active, LISTENER_BLOCK.at.inflight],
  upstream: [UPSTREAM_BLOCK.at.queueDepth],
  endpoint: [ENDPOINT.inflight, ENDPOINT.idle, ENDPOINT.active, ENDPOINT.tunnels, ENDPOINT.abandonedNow],
} as const

/** The memory of names, as far as it passes from one that has gone to one that comes. */
export class PlaceMemory {
  readonly #shared: SharedState
  readonly #reader: CellReader
  readonly #columns: readonly CellColumn[]
  readonly forgetting: (row: number) => void

  /** `forgetting`: told of an exchange's row before its counts are gone. */
  constructor(shared: SharedState, cells: CellMemory, forgetting: (row: number) => void = () => {}) {
    this.forgetting = forgetting
    this.#shared = shared
    this.#reader = new CellReader(cells)
    this.#columns = Array.from({ length: cells.columns }, (_, column) => new CellColumn(cells, column))
  }

  /** Nothing runs there, no connection is open, and its ejection is over. */
  endpointRests(index: number): boolean {
    const isOpen = this.#shared.connections.open(index) > 0
    return !this.endpointRuns(index) && !isOpen && (this.#shared.state(index) & STATE.ejected) === 0
  }

  endpointRuns(index: number): boolean {
    return this.#shared.inflight(index) > 0
  }

  forgetEndpoint(index: number): void {
    this.#shared.forget(index)
  }

  /** Nobody waits for a slot of this upstream. */
  poolRests(upstream: number): boolean {
    return this.#shared.queued(upstream) === 0 && this.#shared.waiting(upstream) === 0
  }

  forgetPool(upstream: number): void {
    this.#shared.setNewestFirst(upstream, false)
  }

  rowRests(kind: keyof typeof GAUGES, row: number): boolean {
    return GAUGES[kind].every(at => this.#reader.total(row + at) === 0)
  }

  /** A thread writes its own column only, but none writes here any more. */
  forgetRow(row: number, size: number): void {
    for (const column of this.#columns) {
      for (let at = 0; at < size; at += 1) column.set(row + at, 0)
    }
  }
}
