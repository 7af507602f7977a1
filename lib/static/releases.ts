const NONE: ReadonlySet<string> = new Set()

/**
 * Which names below a root tell their content: those of the newest manifest, and for a time those that only
 * an earlier one has. Pure: time comes in, files do not.
 */
export class Releases {
  readonly #keepMs: number
  /** Leaving names at most; the oldest go first. */
  readonly #maxLeaving: number
  #current: ReadonlySet<string> = NONE
  /** When each is forgotten, soonest first. */
  readonly #leaving = new Map<string, number>()
  #number = 0

  constructor(keepMs: number, maxLeaving: number) {
    this.#keepMs = keepMs
    this.#maxLeaving = maxLeaving
  }

  /** Rises whenever the answer of `names` may have changed. */
  get number(): number {
    return this.#number
  }

  /** True if any manifest is in force. */
  get known(): boolean {
    return this.#current.size > 0 || this.#leaving.size > 0
  }

  get current(): ReadonlySet<string> {
    return this.#current
  }

  /** Names that only earlier manifests have. */
  get leaving(): number {
    return this.#leaving.size
  }

  get leavingNames(): Iterable<string> {
    return this.#leaving.keys()
  }

  /** Is this a name whose content never changes? */
  names(relative: string): boolean {
    return this.#current.has(relative) || this.#leaving.has(relative)
  }

  /**
   * Takes the names of a new manifest; those that it lacks stay for `keepMs`. An empty set: there is no
   * manifest any more.
   */
  take(names: ReadonlySet<string>, nowMs: number): void {
    for (const name of this.#current) {
      if (!names.has(name) && this.#keepMs > 0) this.#leaving.set(name, nowMs + this.#keepMs)
    }
    for (const name of names) this.#leaving.delete(name)
    for (const name of this.#leaving.keys()) {
      if (this.#leaving.size <= this.#maxLeaving) break
      this.#leaving.delete(name)
    }
    this.#current = names
    this.#number += 1
  }

  /** Forgets what has been kept long enough. */
  expire(nowMs: number): void {
    const before = this.#leaving.size
    for (const [name, untilMs] of this.#leaving) {
      if (untilMs > nowMs) break
      this.#leaving.delete(name)
    }
    if (this.#leaving.size < before) this.#number += 1
  }
}
