import { EXCHANGE_BLOCK, LISTENER_BLOCK } from '../../metrics/blocks.ts'
import {
  type Placement as MetricsPlacement,
  type PlacedUpstream,
  tunnelRoute,
} from '../../metrics/placement.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../upstreams/measures.ts'
import type { UpstreamPlacement } from '../../upstreams/upstream.ts'
import { type BlockLayout, RowAllocator } from '../base/cells.ts'
import { MAX_ENDPOINTS, MAX_UPSTREAMS } from '../base/shared-state.ts'
import type { ListenerConfig, Snapshot, UpstreamConfig } from '../config/model.ts'
import { hasTunnel } from '../config/tunnel-fit.ts'
import { SPOOL_BLOCK } from '../proxy/spool-measures.ts'
import { STATIC_BLOCK } from '../static/static-measures.ts'
import { addressText } from './address-text.ts'
import { Ledger, type Moment } from './ledger.ts'
import type { PlaceMemory } from './place-memory.ts'

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

/** A slot whose endpoint has gone may be another's after this. */
const SLOT_REST_MS = 60_000
/** The counters of a removed endpoint are shown for a quarter of an hour (metrics/scrape.ts); then they may be another's. */
const ROW_REST_MS = 16 * 60_000

/**
 * Gives names their rows and slots. A name keeps its rows, so a reload resets no counter. A slot belongs to a name and an address:
 * health does not pass from one address to another. What an endpoint had goes to another once it has been away for long, and only when
 * nothing else is left; all other names keep what they have for the life of the process, so there is an end to it (PlacementFull).
 */
export class Placer {
  readonly #rows: RowAllocator
  readonly #upstreamSlots = new RowAllocator(MAX_UPSTREAMS)
  readonly #slots: Ledger
  readonly #endpointRows: Ledger

  constructor(rowCapacity: number, memory: PlaceMemory) {
    const slots = new RowAllocator(MAX_ENDPOINTS)
    this.#rows = new RowAllocator(rowCapacity)
    this.#slots = new Ledger({
      fresh: numbered(key => slots.rowOf(key, 1)),
      restMs: SLOT_REST_MS,
      mayPass: slot => memory.slotRests(slot),
      passed: slot => memory.forgetSlot(slot),
    })
    this.#endpointRows = new Ledger({
      fresh: numbered(key => this.#rows.rowOf(key, ENDPOINT_BLOCK.size)),
      restMs: ROW_REST_MS,
      mayPass: row => memory.rowRests(row),
      passed: row => memory.forgetRow(row),
    })
  }

  /** Throws PlacementFull. */
  place(snapshot: Snapshot, moment: Moment): Placement {
    const names: EndpointNames = { slots: new Set(), rows: new Set() }
    try {
      const placement = this.#place(snapshot, moment, names)
      this.#slots.settle(names.slots, moment)
      this.#endpointRows.settle(names.rows, moment)
      return placement
    } catch (error) {
      this.#slots.undo()
      this.#endpointRows.undo()
      throw error
    }
  }

  #place(snapshot: Snapshot, moment: Moment, names: EndpointNames): Placement {
    return {
      spool: { row: this.#row('spool', SPOOL_BLOCK) },
      static: { row: this.#row('static', STATIC_BLOCK) },
      listeners: snapshot.listeners.map(({ name }) => ({
        name,
        row: this.#row(`listener:${name}`, LISTENER_BLOCK),
      })),
      exchanges: snapshot.listeners.flatMap(listener =>
        routesOf(snapshot, listener).map(route => ({
          listener: listener.name,
          route,
          row: this.#row(`exchange:${listener.name}|${route}`, EXCHANGE_BLOCK),
        })),
      ),
      upstreams: snapshot.upstreams.map(upstream => this.#placeUpstream(upstream, moment, names)),
    }
  }

  #placeUpstream(
    { name, endpoints }: UpstreamConfig,
    moment: Moment,
    names: EndpointNames,
  ): PlacedUpstream & UpstreamPlacement {
    return {
      name,
      slot: this.#upstreamSlot(name),
      row: this.#row(`upstream:${name}`, UPSTREAM_BLOCK),
      endpoints: endpoints.map(endpoint => {
        const rowName = `endpoint:${name}|${endpoint.name}`
        const slotName = `${rowName}|${addressText(endpoint.address)}`
        names.rows.add(rowName)
        names.slots.add(slotName)
        return {
          name: endpoint.name,
          weight: endpoint.weight,
          slot:
            this.#slots.placeOf(slotName, moment) ?? full(`more than ${MAX_ENDPOINTS} endpoints`, slotName),
          row: this.#endpointRows.placeOf(rowName, moment) ?? full('no counters left', rowName),
        }
      }),
    }
  }

  #upstreamSlot(name: string): number {
    const slot = this.#upstreamSlots.rowOf(name, 1)
    return slot ?? full(`more than ${MAX_UPSTREAMS} upstreams since the start`, name)
  }

  #row<K extends string>(key: string, block: BlockLayout<K>): number {
    return this.#rows.rowOf(key, block.size) ?? full('no counters left', key)
  }
}

/** All that exchanges and connections of a listener are counted under. */
function routesOf({ routes, tunnels }: Snapshot, listener: ListenerConfig): string[] {
  const own = tunnels.filter(tunnel => hasTunnel(listener, tunnel))
  return [NO_ROUTE, ...routes.map(({ name }) => name), ...own.map(({ name }) => tunnelRoute(name))]
}

/** Names of the endpoints of one placement, as the ledgers know them. */
interface EndpointNames {
  readonly slots: Set<string>
  readonly rows: Set<string>
}

/** Endpoints have no fixed place in the allocator: there they are counted. Most of them ever: MAX_ENDPOINTS. */
function numbered(rowOf: (key: string) => number | undefined): () => number | undefined {
  let count = 0
  return () => {
    if (count >= MAX_ENDPOINTS) return undefined
    const place = rowOf(`endpoint#${count}`)
    if (place !== undefined) count += 1
    return place
  }
}

function full(what: string, name: string): never {
  throw new PlacementFull(`${what}, at ${name}: restart to forget removed names`)
}
