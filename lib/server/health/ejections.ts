import { Ejection, type EjectionOptions } from './ejection.ts'

/** What all ejections share. */
export interface EjectionsOptions extends Omit<EjectionOptions, 'over'> {
  /** An ejection has run out, or was forgiven. */
  over(index: number): void
}

/**
 * The ejections of all endpoints by their indexes in shared memory, for the life of the process: an endpoint
 * that leaves and comes back is not forgiven.
 */
export class Ejections {
  readonly #options: EjectionsOptions
  readonly #byIndex = new Map<number, { readonly owner: string; readonly ejection: Ejection }>()

  constructor(options: EjectionsOptions) {
    this.#options = options
  }

  isRunning(index: number): boolean {
    return this.#byIndex.get(index)?.ejection.running === true
  }

  /** Returns how long it lasts, in milliseconds. */
  begin(index: number, owner: string, ejectMs: number): number {
    const known = this.#byIndex.get(index)
    if (known !== undefined) return known.ejection.begin(ejectMs)
    const { clock, timers, random, over } = this.#options
    const ejection = new Ejection({ clock, timers, random, over: () => over(index) })
    this.#byIndex.set(index, { owner, ejection })
    return ejection.begin(ejectMs)
  }

  forgive(index: number): void {
    this.#byIndex.get(index)?.ejection.forgive()
  }

  /**
   * The index is this owner's from now on; what another one did is forgotten. Returns whether there was
   * anything to forget.
   */
  claim(index: number, owner: string): boolean {
    const past = this.#byIndex.get(index)
    if (past === undefined || past.owner === owner) return false
    past.ejection.drop()
    return this.#byIndex.delete(index)
  }
}
