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
  /**
   * Names that have gone are remembered for that time, but no more of them than this beside so many that are
   * there; by default all.
   */
  readonly mostGone?: (present: number) => number
  /** A place that has rested goes before a fresh one, so that places stay as few as they can. */
  readonly thrifty?: boolean
  /** False while anything still goes on there. */
  mayPass(place: number, name: string): boolean
  /** The place belongs to another name from now on. */
  passed(place: number, name: string): void
}

interface Entry {
  readonly place: number
  gone: { readonly sinceMs: number; readonly serial: number } | undefined
}

/**
 * Who has which place in memory. A name keeps its place as long as it is there, and for a while longer. Then
 * the place of the name that has been gone for longest may be handed on: if nothing goes on there, and no
 * data thread knows the old name any more.
 */
export class Ledger {
  readonly #options: LedgerOptions
  /** Those that are gone in the order in which they went. */
  readonly #entries = new Map<string, Entry>()
  /** Names since the last `settle`, and places that were given back by `undo`. */
  readonly #added = new Set<string>()
  readonly #free: number[] = []
  /** Names asked for since the last `settle`: they are about to stay. */
  readonly #asked = new Set<string>()
  #present: ReadonlySet<string> = new Set()

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  /** Undefined if every place is taken. */
  placeOf(name: string, moment: Moment): number | undefined {
    this.#asked.add(name)
    const known = this.#entries.get(name)
    if (known !== undefined) return known.place
    const place = this.#free.pop() ?? this.#next(moment)
    if (place === undefined) return undefined
    this.#entries.set(name, { place, gone: undefined })
    this.#added.add(name)
    return place
  }

  /** Is this name's place still its own? */
  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Nothing came of the names since the last `settle`: nobody has been told of their places. */
  undo(): void {
    for (const name of this.#added) {
      const entry = this.#entries.get(name)
      if (entry !== undefined) this.#free.push(entry.place)
      this.#entries.delete(name)
    }
    this.#added.clear()
    this.#asked.clear()
  }

  /** These names are there now, and no others. All of them have their place. */
  settle(present: ReadonlySet<string>, { nowMs, serial }: Moment): void {
    for (const name of this.#present) if (!present.has(name)) this.#leave(name, { sinceMs: nowMs, serial })
    for (const name of present) this.#stay(name)
    this.#present = present
    this.#added.clear()
    this.#asked.clear()
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

  #next(moment: Moment): number | undefined {
    const { fresh, thrifty } = this.#options
    if (thrifty === true) return this.#passOn(moment) ?? fresh()
    return fresh() ?? this.#passOn(moment)
  }

  /** Those that are neither there nor new. */
  get #gone(): number {
    return this.#entries.size - this.#added.size - this.#present.size
  }

  #passOn(moment: Moment): number | undefined {
    const gone = this.#gone
    if (gone <= 0) return undefined
    const { mostGone, mayPass, passed } = this.#options
    let surplus = gone - (mostGone?.(this.#present.size) ?? gone)
    for (const [name, entry] of this.#entries) {
      if (entry.gone === undefined) continue
      surplus -= 1
      if (this.#asked.has(name) || !this.#rested(entry.gone, surplus >= 0, moment)) continue
      if (!mayPass(entry.place, name)) continue
      this.#entries.delete(name)
      passed(entry.place, name)
      return entry.place
    }
    return undefined
  }

  /** `surplus`: it is one of the oldest of too many. */
  #rested(gone: NonNullable<Entry['gone']>, surplus: boolean, { nowMs, applied }: Moment): boolean {
    return (surplus || nowMs - gone.sinceMs >= this.#options.restMs) && applied >= gone.serial
  }
}
