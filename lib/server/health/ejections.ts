import { Ejection, type EjectionOptions } from './ejection.ts'

/** What all ejections share. */
export interface EjectionsOptions extends Omit<EjectionOptions, 'over'> {
  /** An ejection has run out, or was forgiven. */
  over(slot: number): void
}

/** The ejections of all endpoints by their slots, for the life of the process: an endpoint that leaves and comes back is not forgiven. */
export class Ejections {
  readonly #options: EjectionsOptions
  readonly #bySlot = new Map<number, { readonly owner: string; readonly ejection: Ejection }>()

  constructor(options: EjectionsOptions) {
    this.#options = options
  }

  isRunning(slot: number): boolean {
    return this.#bySlot.get(slot)?.ejection.running === true
  }

  /** Returns how long it lasts, in milliseconds. */
  begin(slot: number, owner: string, ejectMs: number): number {
    const known = this.#bySlot.get(slot)
    if (known !== undefined) return known.ejection.begin(ejectMs)
    const { clock, timers, random, over } = this.#options
    const ejection = new Ejection({ clock, timers, random, over: () => over(slot) })
    this.#bySlot.set(slot, { owner, ejection })
    return ejection.begin(ejectMs)
  }

  forgive(slot: number): void {
    this.#bySlot.get(slot)?.ejection.forgive()
  }

  /** The slot is this owner's from now on; what another one did is forgotten. Returns whether there was anything to forget. */
  claim(slot: number, owner: string): boolean {
    const past = this.#bySlot.get(slot)
    if (past === undefined || past.owner === owner) return false
    past.ejection.drop()
    return this.#bySlot.delete(slot)
  }
}
