import type { Labels } from './family.ts'
import type { Placement } from './placement.ts'

/** One object of the configuration that has cells. */
export interface Placed {
  readonly labels: Labels
  /** First row of its block. */
  readonly row: number
}

export interface ShelvedUpstream extends Placed {
  readonly upstream: string
}

export interface ShelvedEndpoint extends ShelvedUpstream {
  readonly server: string
  readonly slot: number
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
 * Which objects a scrape shows. What a reload removes stays for a time on the shelf of counters, so that every
 * Prometheus sees its last value; later it goes, or its series would stay for ever.
 */
export class Shelves {
  readonly #spool: Retained<Placed>
  readonly #static: Retained<Placed>
  readonly #listener: Retained<Placed>
  readonly #exchange: Retained<Placed>
  readonly #upstream: Retained<ShelvedUpstream>
  readonly #endpoint: Retained<ShelvedEndpoint>

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
  #live: readonly T[] = []

  constructor(retainMs: number) {
    this.#retainMs = retainMs
  }

  get live(): readonly T[] {
    return this.#live
  }

  place(next: readonly T[], nowMs: number): void {
    for (const placed of this.#live) this.#gone.set(keyOf(placed), { placed, sinceMs: nowMs })
    for (const placed of next) this.#gone.delete(keyOf(placed))
    this.#live = next
  }

  kept(nowMs: number): readonly T[] {
    const kept = [...this.#live]
    for (const [key, { placed, sinceMs }] of this.#gone) {
      if (nowMs - sinceMs >= this.#retainMs) this.#gone.delete(key)
      else kept.push(placed)
    }
    return kept
  }
}

function endpointsOf(placement: Placement): ShelvedEndpoint[] {
  return placement.upstreams.flatMap(({ name: upstream, endpoints }) =>
    endpoints.map(({ name: server, row, slot, weight }) => {
      return { labels: { upstream, server }, row, upstream, server, slot, weight }
    }),
  )
}

function keyOf(placed: Placed): string {
  return JSON.stringify(Object.values(placed.labels))
}
