import { Periodic } from '../../base/periodic.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'

const LOOK_MS = 1000
/** Looks without a want after which it is over. */
const CALM_LOOKS = 10

export interface DescriptorWatchParts {
  readonly timers: Timers
  readonly shared: SharedState
  readonly log: ServerLog
  /** Descriptors that the process may have open for its traffic; Infinity: nobody knows. */
  readonly descriptors: number
}

/**
 * Says once when something could not be opened for want of descriptors, ports or buffers, and once when that
 * is over.
 */
export class DescriptorWatch {
  readonly #parts: DescriptorWatchParts
  readonly #looks: Periodic
  #missed = 0
  #calm = CALM_LOOKS

  constructor(parts: DescriptorWatchParts) {
    this.#parts = parts
    this.#looks = new Periodic(parts.timers, LOOK_MS, () => this.#look())
  }

  start(): void {
    this.#looks.start()
  }

  stop(): void {
    this.#looks.stop()
  }

  #look(): void {
    const { shared, log, descriptors } = this.#parts
    const missed = shared.descriptors.missed
    const wasShort = this.#calm < CALM_LOOKS
    this.#calm = missed === this.#missed ? Math.min(CALM_LOOKS, this.#calm + 1) : 0
    this.#missed = missed
    const isShort = this.#calm < CALM_LOOKS
    if (isShort === wasShort) return
    const facts = {
      in_use: shared.descriptors.taken,
      limit: Number.isFinite(descriptors) ? descriptors : undefined,
    }
    if (isShort) log.warn(facts, 'short of descriptors, ports or buffers: what needs one is refused')
    else log.info(facts, 'descriptors, ports and buffers suffice again')
  }
}
