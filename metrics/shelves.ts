import type { CellReader } from '../lib/base/cells.ts'
import { EXCHANGE_BLOCK } from './blocks.ts'
import type { Labels } from './labels.ts'
import type { Placement } from './placement.ts'

/** One object of the configuration that has cells. */
export interface Placed {
  readonly labels: Labels
  /** First row of its block. */
  readonly row: number
}

/**
 * Counters of objects that were removed are kept for at most so many of a kind, beside so many that are
 * there.
 */
export function mostKept(present: number): number {
  return Math.max(64, 2 * present)
}

/** What is not shown any more but still counts in sums over several objects. */
export interface Rest {
  /** Their cells are still theirs. */
  readonly objects: readonly Placed[]
  /** What others had counted before their cells were given to new names, by route. */
  readonly sums: ReadonlyMap<string, Float64Array>
}

/** Routes whose sums are kept apart; of more, those that are not there any more are one. */
const MOST_SUMS = 1024

export interface ShelvedUpstream extends Placed {
  readonly upstream: string
}

export interface ShelvedEndpoint extends ShelvedUpstream {
  readonly server: string
  readonly index: number
  readonly weight: number
}

export interface Shelf {
  readonly spool: readonly Placed[]
  readonly static: readonly Placed[]
  readonly listener: readonly Placed[]
  readonly exchange: readonly Placed[]
  readonly upstream: readonly ShelvedUpstream[]
  readonly endpoint: readonly ShelvedEndpoint[]
}

/**
 * Which objects a scrape shows. What a reload removes stays for a time on the shelf of counters, so that
 * every Prometheus sees its last value; later it goes, or its series would stay for ever.
 */
export class Shelves {
  readonly #spool: Retained<Placed>
  readonly #static: Retained<Placed>
  readonly #listener: Retained<Placed>
  readonly #exchange: Retained<Placed>
  readonly #upstream: Retained<ShelvedUpstream>
  readonly #endpoint: Retained<ShelvedEndpoint>
  readonly #sums = new Map<string, Float64Array>()

  constructor(retainMs: number) {
    this.#spool = new Retained(retainMs)
    this.#static = new Retained(retainMs)
    this.#listener = new Retained(retainMs)
    this.#exchange = new Retained(retainMs)
    this.#upstream = new Retained(retainMs)
    this.#endpoint = new Retained(retainMs)
  }

  place(placement: Placement, nowMs: number): void {
    const { spool, listeners, exchanges, upstreams } = placement
    this.#spool.place([{ labels: {}, row: spool.row }], nowMs)
    this.#static.place([{ labels: {}, row: placement.static.row }], nowMs)
    this.#listener.place(
      listeners.map(({ name, row }) => ({ labels: { listener: name }, row })),
      nowMs,
    )
    this.#exchange.place(
      exchanges.map(({ listener, route, row }) => ({ labels: { listener, route }, row })),
      nowMs,
    )
    this.#upstream.place(
      upstreams.map(({ name, row }) => ({ labels: { upstream: name }, row, upstream: name })),
      nowMs,
    )
    this.#endpoint.place(endpointsOf(placement), nowMs)
  }

  /** Of exchanges. */
  get rest(): Rest {
    return { objects: this.#exchange.dropped, sums: this.#sums }
  }

  /** The cells of an exchange's block are about to be another's: what they have counted stays in sums. */
  forgetting(row: number, reader: CellReader): void {
    const route = this.#exchange.labelsOf(row)?.['route']
    if (route === undefined) return
    const sums = this.#sums.get(route) ?? new Float64Array(EXCHANGE_BLOCK.size)
    for (let at = 0; at < sums.length; at += 1) sums[at] = (sums[at] as number) + reader.total(row + at)
    this.#sums.set(route, sums)
    if (this.#sums.size > MOST_SUMS) this.#mergeSums()
  }

  /** Nobody is shown under a name that has gone: all of these count as one. */
  #mergeSums(): void {
    const routes = new Set(this.#exchange.live.map(({ labels }) => labels['route']))
    const all = this.#sums.get(NAMELESS) ?? new Float64Array(EXCHANGE_BLOCK.size)
    for (const [route, sums] of this.#sums) {
      if (route === NAMELESS || routes.has(route)) continue
      for (const [at, value] of sums.entries()) all[at] = (all[at] as number) + value
      this.#sums.delete(route)
    }
    this.#sums.set(NAMELESS, all)
  }

  live(): Shelf {
    return {
      spool: this.#spool.live,
      static: this.#static.live,
      listener: this.#listener.live,
      exchange: this.#exchange.live,
      upstream: this.#upstream.live,
      endpoint: this.#endpoint.live,
    }
  }

  /** The live ones and those that went not long ago. */
  kept(nowMs: number): Shelf {
    return {
      spool: this.#spool.kept(nowMs),
      static: this.#static.kept(nowMs),
      listener: this.#listener.kept(nowMs),
      exchange: this.#exchange.kept(nowMs),
      upstream: this.#upstream.kept(nowMs),
      endpoint: this.#endpoint.kept(nowMs),
    }
  }
}

class Retained<T extends Placed> {
  readonly #retainMs: number
  readonly #gone = new Map<string, { readonly placed: T; readonly sinceMs: number }>()
  /** Not shown any more, by row, until that is another's. */
  readonly #dropped = new Map<number, T>()
  #live: readonly T[] = []

  constructor(retainMs: number) {
    this.#retainMs = retainMs
  }

  get live(): readonly T[] {
    return this.#live
  }

  get dropped(): readonly T[] {
    return [...this.#dropped.values()]
  }

  /** Of whoever had this row and is gone. */
  labelsOf(row: number): Labels | undefined {
    const gone = [...this.#gone.values()].find(({ placed }) => placed.row === row)
    return (gone?.placed ?? this.#dropped.get(row))?.labels
  }

  place(next: readonly T[], nowMs: number): void {
    for (const placed of this.#live) {
      this.#gone.delete(keyOf(placed))
      this.#gone.set(keyOf(placed), { placed, sinceMs: nowMs })
    }
    const rows = new Set(next.map(({ row }) => row))
    for (const [key, { placed }] of this.#gone) if (rows.has(placed.row)) this.#gone.delete(key)
    for (const placed of next) {
      this.#gone.delete(keyOf(placed))
      this.#dropped.delete(placed.row)
    }
    this.#live = next
    this.#forgetSome()
  }

  /** The oldest of too many. */
  #forgetSome(): void {
    let surplus = this.#gone.size - mostKept(this.#live.length)
    for (const key of this.#gone.keys()) {
      if (surplus <= 0) return
      this.#drop(key)
      surplus -= 1
    }
  }

  kept(nowMs: number): readonly T[] {
    const kept = [...this.#live]
    for (const [key, { placed, sinceMs }] of this.#gone) {
      if (nowMs - sinceMs >= this.#retainMs) this.#drop(key)
      else kept.push(placed)
    }
    return kept
  }

  #drop(key: string): void {
    const placed = this.#gone.get(key)?.placed
    if (placed !== undefined) this.#dropped.set(placed.row, placed)
    this.#gone.delete(key)
  }
}

/** No route of the configuration can have this name. */
const NAMELESS = 'forgotten:'

function endpointsOf(placement: Placement): ShelvedEndpoint[] {
  return placement.upstreams.flatMap(({ name: upstream, endpoints }) =>
    endpoints.map(({ name: server, row, index, weight }) => {
      return { labels: { upstream, server }, row, upstream, server, index, weight }
    }),
  )
}

function keyOf(placed: Placed): string {
  return JSON.stringify(Object.values(placed.labels))
}
