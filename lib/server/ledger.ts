/** How long a place rests, and which serial was the first to do without it. */
export interface Moment {
  readonly nowMs: number
  /** Counts the placements. */
  readonly serial: number
  /** The placement that all data threads have taken by now, or a later one. */
  readonly applied: number
}

/** What a ledger hands out. */
export interface LedgerOptions {
  /** A place that nobody ever had; undefined once there is none. */
  fresh(): number | undefined
  /** How long a place rests after its name has gone. */
  readonly restMs: number
  /** False while anything still goes on there. */
  mayPass(place: number): boolean
  /** The place belongs to another name from now on. */
  passed(place: number): void
}

interface Entry {
  readonly place: number
  gone: { readonly sinceMs: number; readonly serial: number } | undefined
}

/**
 * Who has which place in memory. A name keeps its place as long as it is there, and for a while longer. Only when there are no more
 * fresh ones, the place of the name that has been gone for longest is handed on: if nothing goes on there, and no data thread
 * knows the old name any more.
 */
export class Ledger {
  readonly #options: LedgerOptions
  /** Those that are gone in the order in which they went. */
  readonly #entries = new Map<string, Entry>()
  /** Names since the last `settle`, and places that were given back by `undo`. */
  readonly #added = new Set<string>()
  readonly #free: number[] = []
  #present: ReadonlySet<string> = new Set()

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  /** Undefined if every place is taken. */
  placeOf(name: string, moment: Moment): number | undefined {
    const known = this.#entries.get(name)
    if (known !== undefined) return known.place
    const place = this.#free.pop() ?? this.#options.fresh() ?? this.#passOn(moment)
    if (place === undefined) return undefined
    this.#entries.set(name, { place, gone: undefined })
    this.#added.add(name)
    return place
  }

  /** Nothing came of the names since the last `settle`: nobody has been told of their places. */
  undo(): void {
    for (const name of this.#added) {
      const entry = this.#entries.get(name)
      if (entry !== undefined) this.#free.push(entry.place)
      this.#entries.delete(name)
    }
    this.#added.clear()
  }

  /** These names are there now, and no others. All of them have their place. */
  settle(present: ReadonlySet<string>, { nowMs, serial }: Moment): void {
    for (const name of this.#present) if (!present.has(name)) this.#leave(name, { sinceMs: nowMs, serial })
    for (const name of present) this.#stay(name)
    this.#present = present
    this.#added.clear()
  }

  #leave(name: string, gone: Entry['gone']): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#entries.delete(name)
    this.#entries.set(name, { ...entry, gone })
  }

  #stay(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) entry.gone = undefined
  }

  #passOn({ nowMs, applied }: Moment): number | undefined {
    const { restMs, mayPass, passed } = this.#options
    for (const [name, { place, gone }] of this.#entries) {
      if (gone === undefined || nowMs - gone.sinceMs < restMs || applied < gone.serial) continue
      if (!mayPass(place)) continue
      this.#entries.delete(name)
      passed(place)
      return place
    }
    return undefined
  }
}
