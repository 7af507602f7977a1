import type { Scrape } from '../../../metrics/scrape.ts'
import type { Prober } from '../../../upstreams/health/prober.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { Snapshot, UpstreamConfig } from '../../config/model.ts'
import type { HealthBoard } from '../health/health-board.ts'
import { AddressTaken } from '../shared/address-claim.ts'
import { addressText } from '../shared/address-text.ts'
import { pause, within } from '../shared/alarm.ts'
import type { ListenFailure } from '../shared/messages.ts'
import { type Placement, PlacementFull, type Placer } from '../shared/placement.ts'
import type { RunningPool } from '../shared/running-pool.ts'
import type { ThreadPool } from '../threads/thread-pool.ts'
import type { ManagedWorkers } from '../workers/managed-workers.ts'
import type { CertificateKeeping } from './certificate-keeping.ts'
import { type Addressed, ListenerAddresses } from './listener-addresses.ts'
import type { Members, Membership, QuietEndpoint } from './membership.ts'
import { probeTargets } from './probe-targets.ts'

/** How often it is looked whether old workers have finished their requests. */
const IDLE_LOOK_MS = 100
/** A data thread that takes longer for a change of members does not keep the next change waiting. */
const REFRESH_MS = 1000

/** Everyone who has to know of a new configuration. */
export interface RolloutParts {
  readonly placer: Placer
  readonly managed: ManagedWorkers
  readonly membership: Membership
  readonly board: HealthBoard
  readonly scrape: Scrape
  readonly prober: Prober
  readonly pool: ThreadPool
  readonly certificates: CertificateKeeping
  readonly shared: SharedState
  readonly timers: Timers
  readonly clock: Clock
  readonly log: ServerLog
}

/** A change that is on its way to the threads, in an object: a promise of a promise would wait for it. */
interface HandedOut {
  /** Settles when every thread runs it. */
  readonly everywhere: Promise<unknown>
}

const NOTHING_HANDED_OUT: HandedOut = { everywhere: Promise.resolve() }

/** The configuration could not be taken; the one before, if any, goes on untouched. */
export class RolloutRefused extends Error {
  override readonly name = 'RolloutRefused'
}

/**
 * Brings a checked configuration into all threads. Everything that can be refused is refused before anything
 * has changed.
 */
export class Rollout {
  readonly #parts: RolloutParts
  readonly #addresses = new ListenerAddresses()
  #generation = 0
  #serial = 0
  /** What is configured, with real ports and managed workers, before names and deploys. */
  #base: Snapshot | undefined
  #snapshot: Snapshot | undefined
  #placement: Placement | undefined
  /** Why the members of now have no place; undefined while they have. */
  #full: string | undefined
  /** Endpoints that get no traffic because a deploy says so. */
  #quiet: ReadonlyMap<string, QuietEndpoint> = new Map()
  #refreshing: Promise<HandedOut> = Promise.resolve(NOTHING_HANDED_OUT)
  #refreshNext: Promise<HandedOut> | undefined

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

  /** What is configured, before names and deploys; undefined before the first. */
  get configured(): Snapshot | undefined {
    return this.#base
  }

  /** Why endpoints of names and files are not those that they should be; undefined if they are. */
  get endpointProblem(): string | undefined {
    return this.#full && `new endpoints rejected, the previous ones stay in use: ${this.#full}`
  }

  /** True for an endpoint that gets no traffic because of a deploy. */
  isQuiet(upstream: string, endpoint: string): boolean {
    const quiet = [...this.#quiet.values()]
    return quiet.some(one => one.upstream === upstream && one.endpoint.name === endpoint)
  }

  /** Its upstreams; none before the first. */
  get pools(): readonly RunningPool[] {
    const places = this.#placement?.upstreams ?? []
    return places.map((place, i) => ({ config: this.#snapshot?.upstreams[i] as UpstreamConfig, place }))
  }

  /** Where its counters are. */
  get placement(): Placement | undefined {
    return this.#placement
  }

  /** Throws RolloutRefused. Resolves when all threads run it, with what they could not bind. */
  async take(configured: Snapshot): Promise<ListenFailure[]> {
    const { managed, membership } = this.#parts
    let addressed: Addressed | undefined
    try {
      const prepared = await managed.prepare(configured)
      await Promise.all([this.#waitForWorkers(), membership.prepare(prepared)])
      addressed = await this.#addresses.resolve(prepared)
      return await this.#adopt(configured, addressed.snapshot)
    } catch (error) {
      await managed.abandon()
      membership.abandon()
      if (error instanceof AddressTaken || error instanceof PlacementFull)
        throw new RolloutRefused(error.message)
      throw error
    } finally {
      addressed?.release()
    }
  }

  /**
   * The members or the certificates of the running configuration are others: all threads get them, and
   * nothing else changes. Changes that come while one is on its way go together with the next. Resolves when
   * the threads run it, or take long. Never rejects.
   */
  async refresh(): Promise<void> {
    await this.#refresh()
  }

  /**
   * The same; resolves only when every thread runs it, also one that is busy for long. Who answers for it
   * must not be asked before. Never rejects.
   */
  async publish(): Promise<void> {
    const { everywhere } = await this.#refresh()
    await everywhere
  }

  #refresh(): Promise<HandedOut> {
    this.#refreshNext ??= this.#refreshing.then(() => {
      this.#refreshNext = undefined
      this.#refreshing = this.#takeMembers()
      return this.#refreshing
    })
    return this.#refreshNext
  }

  /**
   * Stops workers of the configuration before, once their requests are done; `limitMs` is the longest wait.
   */
  async stopLeaving(indexesBefore: ReadonlySet<number>, limitMs: number): Promise<void> {
    const { board, shared, timers, managed } = this.#parts
    const present = board.indexes()
    const left = [...indexesBefore].filter(index => !present.has(index))
    for (
      let waitedMs = 0;
      waitedMs < limitMs && left.some(index => shared.inflight(index) > 0);
      waitedMs += IDLE_LOOK_MS
    ) {
      await pause(timers, IDLE_LOOK_MS)
    }
    await managed.stopLeaving()
  }

  /**
   * At the start nobody waits: requests are held in the queue until a worker is there. At a reload the old
   * ones still answer.
   */
  async #waitForWorkers(): Promise<void> {
    if (this.#snapshot === undefined) return
    const late = await this.#parts.managed.whenReachable()
    if (late !== undefined) throw new RolloutRefused(late)
  }

  /** Nothing waits in here until the threads have it in their hands: no change of members comes between. */
  #adopt(configured: Snapshot, base: Snapshot): Promise<ListenFailure[]> {
    const { managed, membership, certificates } = this.#parts
    const members = membership.membersOf(base)
    const placement = this.#place(members.snapshot)
    this.#addresses.adopt(configured, base)
    this.#generation += 1
    this.#base = base
    membership.adopt(base)
    certificates.take(base)
    this.#settle(members, placement)
    this.#full = undefined
    managed.adopt()
    return this.#handOut(members.snapshot, placement)
  }

  async #takeMembers(): Promise<HandedOut> {
    const { timers, log } = this.#parts
    try {
      this.#settleMembers()
      if (this.#snapshot === undefined || this.#placement === undefined) return NOTHING_HANDED_OUT
      const everywhere = this.#handOut(this.#snapshot, this.#placement)
      await within(timers, REFRESH_MS, everywhere, undefined)
      return { everywhere }
    } catch (error) {
      log.error({ err: error }, 'endpoints not taken')
      return NOTHING_HANDED_OUT
    }
  }

  /**
   * Where there is no place for all of them the members stay as they were: certificates go out all the same.
   */
  #settleMembers(): void {
    const { membership, log } = this.#parts
    if (this.#base === undefined) return
    const members = membership.membersOf(this.#base)
    try {
      this.#settle(members, this.#place(members.snapshot))
      if (this.#full !== undefined) log.info({}, 'endpoints taken again')
      this.#full = undefined
    } catch (error) {
      if (!(error instanceof PlacementFull)) throw error
      if (this.#full !== error.message) log.error({ problem: error.message }, 'endpoints not taken')
      this.#full = error.message
    }
  }

  #place(snapshot: Snapshot): Placement {
    const { placer, clock, pool } = this.#parts
    const moment = { nowMs: clock.now(), serial: this.#serial + 1, applied: pool.serial }
    return placer.place(snapshot, moment)
  }

  /** Everyone in this thread knows it from now on. */
  #settle({ snapshot, quiet }: Members, placement: Placement): void {
    const { board, scrape, prober } = this.#parts
    this.#snapshot = snapshot
    this.#placement = placement
    board.place(snapshot, placement)
    this.#hush(quiet)
    scrape.place(placement)
    prober.reconcile(probeTargets(snapshot))
  }

  /** Those that get traffic from now on come first: at no time is there nobody. */
  #hush(quiet: readonly QuietEndpoint[]): void {
    const { board } = this.#parts
    const before = this.#quiet
    this.#quiet = new Map(quiet.map(one => [quietKey(one), one]))
    for (const [key, { upstream, endpoint }] of before)
      if (!this.#quiet.has(key)) board.undrain(upstream, endpoint.name)
    for (const [key, { upstream, endpoint }] of this.#quiet)
      if (!before.has(key)) board.drain(upstream, endpoint.name)
  }

  #handOut(snapshot: Snapshot, placement: Placement): Promise<ListenFailure[]> {
    this.#serial += 1
    const { pool, certificates } = this.#parts
    const serial = this.#serial
    const tls = certificates.state
    return pool.apply({ type: 'snapshot', serial, generation: this.#generation, snapshot, placement, tls })
  }
}

function quietKey({ upstream, endpoint }: QuietEndpoint): string {
  return `${upstream}\n${endpoint.name}\n${addressText(endpoint.address)}`
}
