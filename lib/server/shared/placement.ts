import { EXCHANGE_BLOCK, LISTENER_BLOCK } from '../../../metrics/blocks.ts'
import {
  type Placement as MetricsPlacement,
  type PlacedUpstream,
  tunnelRoute,
} from '../../../metrics/placement.ts'
import { mostKept } from '../../../metrics/shelves.ts'
import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../../upstreams/measures.ts'
import type { UpstreamPlacement } from '../../../upstreams/upstream.ts'
import { type BlockLayout, RowAllocator } from '../../base/cells.ts'
import { MAX_ENDPOINTS, MAX_UPSTREAMS } from '../../base/shared-layout.ts'
import { MAX_PAIRS, pairsOf } from '../../config/capacity.ts'
import type { ListenerConfig, Snapshot, UpstreamConfig } from '../../config/model.ts'
import { hasTunnel } from '../../config/tunnel-fit.ts'
import { SPOOL_BLOCK } from '../../proxy/spool-measures.ts'
import { STATIC_BLOCK } from '../../static/static-measures.ts'
import { addressText } from './address-text.ts'
import { Ledger, type LedgerOptions, type Moment } from './ledger.ts'
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

/** An index whose endpoint has gone may be another's after this. */
const INDEX_REST_MS = 60_000
/**
 * The counters of what was removed are shown for a quarter of an hour (metrics/scrape.ts); then they may be
 * another's.
 */
const ROW_REST_MS = 16 * 60_000
/** Listeners that are placed for at least, whatever the configuration at the start has. */
const MIN_LISTENERS = 64
/** The same for pairs of listener and route. */
const MIN_PAIRS = 2048
/** What a start leaves free for reloads: so many times what it needs itself. */
const GROWTH = 4

/** Rows for this configuration and those that may follow it: pages that nobody touches cost nothing. */
export function rowsFor(snapshot: Snapshot): number {
  const pairs = Math.min(MAX_PAIRS, Math.max(MIN_PAIRS, GROWTH * pairsOf(snapshot)))
  const listeners = Math.max(MIN_LISTENERS, GROWTH * snapshot.listeners.length)
  return (
    SPOOL_BLOCK.size +
    STATIC_BLOCK.size +
    listeners * LISTENER_BLOCK.size +
    pairs * EXCHANGE_BLOCK.size +
    MAX_UPSTREAMS * UPSTREAM_BLOCK.size +
    MAX_ENDPOINTS * ENDPOINT_BLOCK.size
  )
}

/**
 * Gives names their rows and indexes. A name keeps its rows, so a reload resets no counter. An index belongs
 * to a name and an address: health does not pass from one address to another. What a name had goes to another
 * once it has been away for long, or behind many others, nothing goes on there and no data thread knows it
 * any more: so reloads may bring new names for ever, and PlacementFull means too many at a time.
 */
export class Placer {
  readonly #rows: RowAllocator
  readonly #memory: PlaceMemory
  readonly #listeners: Places
  readonly #exchanges: Places
  readonly #upstreams: Places
  readonly #pools: Places
  readonly #indexes: Places
  readonly #endpoints: Places
  /** Indexes of all endpoints that an upstream ever had: who ran there before may still do. */
  readonly #members = new Map<string, Set<number>>()

  constructor(rowCapacity: number, memory: PlaceMemory) {
    this.#rows = new RowAllocator(rowCapacity)
    this.#memory = memory
    const thrifty = true
    this.#listeners = this.#rowsOf('listener', LISTENER_BLOCK.size, {
      thrifty,
      mayPass: row => memory.rowRests('listener', row),
    })
    this.#exchanges = this.#rowsOf('exchange', EXCHANGE_BLOCK.size, { thrifty, mayPass: () => true })
    this.#upstreams = this.#rowsOf('upstream', UPSTREAM_BLOCK.size, {
      thrifty,
      mayPass: (row, name) => memory.rowRests('upstream', row) && this.#membersRest(name),
    })
    this.#endpoints = this.#rowsOf('endpoint', ENDPOINT_BLOCK.size, {
      most: MAX_ENDPOINTS,
      mayPass: row => memory.rowRests('endpoint', row),
    })
    this.#pools = new Places('upstreams', {
      thrifty,
      fresh: counted(MAX_UPSTREAMS, index => index),
      restMs: INDEX_REST_MS,
      mostGone: mostKept,
      mayPass: (index, name) => memory.poolRests(index) && this.#membersRest(name),
      passed: index => memory.forgetPool(index),
    })
    this.#indexes = new Places('endpoints', {
      fresh: counted(MAX_ENDPOINTS, index => index),
      restMs: INDEX_REST_MS,
      mayPass: index => memory.endpointRests(index),
      passed: index => memory.forgetEndpoint(index),
    })
  }

  /** Throws PlacementFull. */
  place(snapshot: Snapshot, moment: Moment): Placement {
    try {
      const placement = this.#place(snapshot, moment)
      for (const places of this.#all) places.settle(moment)
      this.#remember(placement)
      return placement
    } catch (error) {
      for (const places of this.#all) places.undo()
      throw error
    }
  }

  get #all(): readonly Places[] {
    return [this.#listeners, this.#exchanges, this.#upstreams, this.#pools, this.#indexes, this.#endpoints]
  }

  #place(snapshot: Snapshot, moment: Moment): Placement {
    return {
      spool: { row: this.#row('spool', SPOOL_BLOCK) },
      static: { row: this.#row('static', STATIC_BLOCK) },
      listeners: snapshot.listeners.map(({ name }) => ({ name, row: this.#listeners.placeOf(name, moment) })),
      exchanges: snapshot.listeners.flatMap(listener =>
        routesOf(snapshot, listener).map(route => ({
          listener: listener.name,
          route,
          row: this.#exchanges.placeOf(`${listener.name}|${route}`, moment),
        })),
      ),
      upstreams: snapshot.upstreams.map(upstream => this.#placeUpstream(upstream, moment)),
    }
  }

  #placeUpstream({ name, endpoints }: UpstreamConfig, moment: Moment): PlacedUpstream & UpstreamPlacement {
    return {
      name,
      index: this.#pools.placeOf(name, moment),
      row: this.#upstreams.placeOf(name, moment),
      endpoints: endpoints.map(endpoint => ({
        name: endpoint.name,
        weight: endpoint.weight,
        index: this.#indexes.placeOf(endpointKey(name, endpoint), moment),
        row: this.#endpoints.placeOf(`${name}|${endpoint.name}`, moment),
      })),
    }
  }

  /** `most`: by default as many as there is room for. */
  #rowsOf(
    what: string,
    size: number,
    {
      most = Number.POSITIVE_INFINITY,
      ...rest
    }: Pick<LedgerOptions, 'mayPass' | 'thrifty'> & { most?: number },
  ): Places {
    return new Places('counters', {
      ...rest,
      fresh: counted(most, number => this.#rows.rowOf(`${what}#${number}`, size)),
      restMs: ROW_REST_MS,
      mostGone: mostKept,
      passed: row => {
        if (what === 'exchange') this.#memory.forgetting(row)
        this.#memory.forgetRow(row, size)
      },
    })
  }

  #row<K extends string>(key: string, block: BlockLayout<K>): number {
    return this.#rows.rowOf(key, block.size) ?? full('counters', key)
  }

  #remember({ upstreams }: Placement): void {
    for (const name of this.#members.keys())
      if (!this.#upstreams.has(name) && !this.#pools.has(name)) this.#members.delete(name)
    for (const { name, endpoints } of upstreams) {
      const indexes = this.#members.get(name) ?? new Set()
      for (const { index } of endpoints) indexes.add(index)
      this.#members.set(name, indexes)
    }
  }

  /** No request runs at any endpoint that the upstream had. */
  #membersRest(name: string): boolean {
    const indexes = this.#members.get(name) ?? []
    return [...indexes].every(index => !this.#memory.endpointRuns(index))
  }
}

/** Places of one kind, and the names that the placement in the making has for them. */
class Places {
  readonly #what: string
  readonly #ledger: Ledger
  #names = new Set<string>()

  constructor(what: string, options: LedgerOptions) {
    this.#what = what
    this.#ledger = new Ledger(options)
  }

  /** Throws PlacementFull. */
  placeOf(name: string, moment: Moment): number {
    this.#names.add(name)
    return this.#ledger.placeOf(name, moment) ?? full(this.#what, name)
  }

  has(name: string): boolean {
    return this.#ledger.has(name)
  }

  settle(moment: Moment): void {
    this.#ledger.settle(this.#names, moment)
    this.#names = new Set()
  }

  undo(): void {
    this.#ledger.undo()
    this.#names = new Set()
  }
}

/** All that exchanges and connections of a listener are counted under. */
function routesOf({ routes, tunnels }: Snapshot, listener: ListenerConfig): string[] {
  const own = tunnels.filter(tunnel => hasTunnel(listener, tunnel))
  return [NO_ROUTE, ...routes.map(({ name }) => name), ...own.map(({ name }) => tunnelRoute(name))]
}

/** Health does not pass from one address to another. */
function endpointKey(upstream: string, { name, address }: UpstreamConfig['endpoints'][number]): string {
  return `${upstream}|${name}|${addressText(address)}`
}

/** The first, the second and so on, up to `most`; undefined where there is no such place. */
function counted(most: number, place: (number: number) => number | undefined): () => number | undefined {
  let count = 0
  return () => {
    const next = count < most ? place(count) : undefined
    if (next !== undefined) count += 1
    return next
  }
}

function full(what: string, name: string): never {
  throw new PlacementFull(
    `no ${what} left, at ${name}: restart to drop removed names and to reserve what this configuration needs`,
  )
}
