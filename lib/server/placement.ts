import { EXCHANGE_BLOCK, LISTENER_BLOCK } from '../../metrics/blocks.ts'
import type { Placement as MetricsPlacement, PlacedUpstream } from '../../metrics/placement.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../upstreams/measures.ts'
import type { UpstreamPlacement } from '../../upstreams/upstream.ts'
import { type BlockLayout, RowAllocator } from '../base/cells.ts'
import { MAX_ENDPOINTS, MAX_UPSTREAMS } from '../base/shared-state.ts'
import type { Address, Snapshot, UpstreamConfig } from '../config/model.ts'
import { SPOOL_BLOCK } from '../proxy/spool-measures.ts'
import { STATIC_BLOCK } from '../static/static-measures.ts'
import { addressText } from './address-text.ts'

/** Name under which exchanges that matched no route are counted. */
export const NO_ROUTE = ''

/** Where the names of one snapshot stand in the memory that threads share. Posted to the data threads. */
export interface Placement extends MetricsPlacement {
  readonly upstreams: readonly (PlacedUpstream & UpstreamPlacement)[]
}

/** There is no room left for a name. */
export class PlacementFull extends Error {
  override readonly name = 'PlacementFull'
}

/**
 * Gives names their rows and slots. A name keeps its rows for the life of the process, so a reload resets no counter. A slot
 * belongs to a name and an address: health does not pass from one address to another. Names that
 * are gone keep what they have, so there is an end to it (PlacementFull).
 */
export class Placer {
  readonly #rows: RowAllocator
  readonly #endpointSlots = new RowAllocator(MAX_ENDPOINTS)
  readonly #upstreamSlots = new RowAllocator(MAX_UPSTREAMS)

  constructor(rowCapacity: number) {
    this.#rows = new RowAllocator(rowCapacity)
  }

  /** Throws PlacementFull. */
  place(snapshot: Snapshot): Placement {
    const routes = [NO_ROUTE, ...snapshot.routes.map(route => route.name)]
    return {
      spool: { row: this.#row('spool', SPOOL_BLOCK) },
      static: { row: this.#row('static', STATIC_BLOCK) },
      listeners: snapshot.listeners.map(({ name }) => ({
        name,
        row: this.#row(`listener:${name}`, LISTENER_BLOCK),
      })),
      exchanges: snapshot.listeners.flatMap(({ name: listener }) =>
        routes.map(route => ({
          listener,
          route,
          row: this.#row(`exchange:${listener}|${route}`, EXCHANGE_BLOCK),
        })),
      ),
      upstreams: snapshot.upstreams.map(upstream => this.#placeUpstream(upstream)),
    }
  }

  #placeUpstream({ name, endpoints }: UpstreamConfig): PlacedUpstream & UpstreamPlacement {
    return {
      name,
      slot: slotIn(this.#upstreamSlots, `upstream:${name}`, 'upstreams', MAX_UPSTREAMS),
      row: this.#row(`upstream:${name}`, UPSTREAM_BLOCK),
      endpoints: endpoints.map(endpoint => ({
        name: endpoint.name,
        weight: endpoint.weight,
        slot: this.#endpointSlot(name, endpoint.name, endpoint.address),
        row: this.#row(`endpoint:${name}|${endpoint.name}`, ENDPOINT_BLOCK),
      })),
    }
  }

  #endpointSlot(upstream: string, endpoint: string, address: Address): number {
    const key = `endpoint:${upstream}|${endpoint}|${addressText(address)}`
    return slotIn(this.#endpointSlots, key, 'endpoints', MAX_ENDPOINTS)
  }

  #row<K extends string>(key: string, block: BlockLayout<K>): number {
    const row = this.#rows.rowOf(key, block.size)
    if (row === undefined)
      throw new PlacementFull(`no counters left for ${key}: restart to forget removed names`)
    return row
  }
}

function slotIn(slots: RowAllocator, key: string, what: string, max: number): number {
  const slot = slots.rowOf(key, 1)
  if (slot !== undefined) return slot
  throw new PlacementFull(
    `more than ${max} ${what} since the start, at ${key}: restart to forget removed names`,
  )
}
