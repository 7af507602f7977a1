import type { Scrape } from '../../metrics/scrape.ts'
import type { Prober } from '../../upstreams/health/prober.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { Snapshot } from '../config/model.ts'
import { AddressTaken } from './address-claim.ts'
import { pause } from './alarm.ts'
import type { HealthBoard } from './health-board.ts'
import { type Addressed, ListenerAddresses } from './listener-addresses.ts'
import type { ManagedWorkers } from './managed-workers.ts'
import { withNames } from './membership.ts'
import type { ListenFailure } from './messages.ts'
import { type Placement, PlacementFull, type Placer } from './placement.ts'
import { probeTargets } from './probe-targets.ts'
import type { ThreadPool } from './thread-pool.ts'

/** How often it is looked whether old workers have finished their requests. */
const IDLE_LOOK_MS = 100

/** Everyone who has to know of a new configuration. */
export interface RolloutParts {
  readonly placer: Placer
  readonly managed: ManagedWorkers
  readonly board: HealthBoard
  readonly scrape: Scrape
  readonly prober: Prober
  readonly pool: ThreadPool
  readonly shared: SharedState
  readonly timers: Timers
}

/** The configuration could not be taken; the one before, if any, goes on untouched. */
export class RolloutRefused extends Error {
  override readonly name = 'RolloutRefused'
}

/** Brings a checked configuration into all threads. Everything that can be refused is refused before anything has changed. */
export class Rollout {
  readonly #parts: RolloutParts
  readonly #addresses = new ListenerAddresses()
  #generation = 0
  #snapshot: Snapshot | undefined
  #placement: Placement | undefined

  constructor(parts: RolloutParts) {
    this.#parts = parts
  }

  /** Counts the configurations of this process; 0 before the first. */
  get generation(): number {
    return this.#generation
  }

  /** What runs, with real ports and managed workers; undefined before the first. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** Where its counters are. */
  get placement(): Placement | undefined {
    return this.#placement
  }

  /** Throws RolloutRefused. Resolves when all threads run it, with what they could not bind. */
  async take(configured: Snapshot): Promise<ListenFailure[]> {
    const { managed, pool, placer } = this.#parts
    let addressed: Addressed | undefined
    try {
      const prepared = await managed.prepare(withNames(configured))
      await this.#waitForWorkers()
      addressed = await this.#addresses.resolve(prepared)
      const placement = placer.place(addressed.snapshot)
      this.#adopt(configured, addressed.snapshot, placement)
      const { snapshot } = addressed
      return await pool.apply({ type: 'snapshot', generation: this.#generation, snapshot, placement })
    } catch (error) {
      await managed.abandon()
      if (error instanceof AddressTaken || error instanceof PlacementFull)
        throw new RolloutRefused(error.message)
      throw error
    } finally {
      addressed?.release()
    }
  }

  /** Stops workers of the configuration before, once their requests are done; `limitMs` is the longest wait. */
  async stopLeaving(slotsBefore: ReadonlySet<number>, limitMs: number): Promise<void> {
    const { board, shared, timers, managed } = this.#parts
    const present = board.slots()
    const left = [...slotsBefore].filter(slot => !present.has(slot))
    for (
      let waitedMs = 0;
      waitedMs < limitMs && left.some(slot => shared.inflight(slot) > 0);
      waitedMs += IDLE_LOOK_MS
    ) {
      await pause(timers, IDLE_LOOK_MS)
    }
    await managed.stopLeaving()
  }

  /** At the start nobody waits: requests are held in the queue until a worker is there. At a reload the old ones still answer. */
  async #waitForWorkers(): Promise<void> {
    if (this.#snapshot === undefined) return
    const late = await this.#parts.managed.whenReachable()
    if (late !== undefined) throw new RolloutRefused(late)
  }

  #adopt(configured: Snapshot, snapshot: Snapshot, placement: Placement): void {
    const { board, managed, scrape, prober } = this.#parts
    this.#addresses.adopt(configured, snapshot)
    this.#generation += 1
    this.#snapshot = snapshot
    this.#placement = placement
    board.place(snapshot, placement)
    managed.adopt()
    scrape.place(placement)
    prober.reconcile(probeTargets(snapshot))
  }
}
