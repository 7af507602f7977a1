import type { HealthTally } from '../../../metrics/health-tally.ts'
import { handshakePeer } from '../../../upstreams/health/handshake-probe.ts'
import type { Probe } from '../../../upstreams/health/health.ts'
import { stallRemedy } from '../../../upstreams/stall-remedy.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import { type SharedState, STATE } from '../../base/shared-state.ts'
import type { Timers } from '../../base/timers.ts'
import type { EndpointConfig, Snapshot, UpstreamConfig } from '../../config/model.ts'
import type { Placement } from '../shared/placement.ts'
import { Ejections } from './ejections.ts'
import {
  downReason,
  type EndpointEntry,
  type EndpointStatus,
  endpointStatus,
  keyOf,
  nameOf,
  newEntry,
  ownerOf,
  reconfigure,
  resultOf,
  takeCheck,
} from './endpoint-entry.ts'
import { Revival } from './revival.ts'
import { SlowStart } from './slow-start.ts'
import { StartupGrace } from './startup-grace.ts'

/** What the health board is given. */
export interface HealthBoardOptions {
  readonly shared: SharedState
  readonly clock: Clock
  readonly timers: Timers
  readonly tally: HealthTally
  readonly log: ServerLog
  /** Uniform in [0, 1). */
  random(): number
  /** An endpoint is worth an active check now. */
  hasten(upstream: string, endpoint: string): void
  /** An endpoint gets no traffic any more, be it for a moment. */
  wentOut(index: number): void
}

/** How long it takes to find out whether an endpoint still stalls. */
const STALL_LOOK_MS = 600_000
/** An endpoint that refuses again so soon after it could be reached has not come back. */
const FLAP_MS = 10_000

/**
 * Keeps every endpoint's shared state words: brings active checks, processes of managed workers, refused
 * connects, ejections and drains together, logs each flip once, and tells the data threads.
 */
export class HealthBoard {
  readonly #options: HealthBoardOptions
  readonly #slowStart: SlowStart
  readonly #ejections: Ejections
  readonly #startup: StartupGrace
  #entries: ReadonlyMap<string, EndpointEntry> = new Map()
  #pools: ReadonlyMap<string, readonly EndpointEntry[]> = new Map()

  constructor(options: HealthBoardOptions) {
    this.#options = options
    this.#slowStart = new SlowStart(options)
    this.#ejections = new Ejections({ ...options, over: index => this.#readmit(index) })
    this.#startup = new StartupGrace(options.timers)
  }

  /**
   * What the configuration has now, before the data threads get it. Known endpoints keep their state; a new
   * one is up unless it has active checks to pass, or is a managed worker that has yet to accept.
   */
  place(snapshot: Snapshot, placement: Placement): void {
    const entries = new Map<string, EndpointEntry>()
    for (const [i, upstream] of snapshot.upstreams.entries()) {
      const places = placement.upstreams[i]
      for (const [j, config] of upstream.endpoints.entries()) {
        const index = places?.endpoints[j]?.index
        if (places === undefined || index === undefined) continue
        const key = keyOf(upstream.name, config.name)
        entries.set(key, this.#entryFor(key, upstream, config, places.index, index))
      }
    }
    for (const [key, entry] of this.#entries) {
      if (entries.get(key) === entry) continue
      entry.revival?.stop()
      this.#slowStart.end(entry.index)
      if (!entries.has(key)) this.#startup.end(key)
    }
    this.#entries = entries
    this.#pools = Map.groupBy(entries.values(), entry => entry.upstream)
  }

  /** An active check has changed its mind; `reason` is undefined when the endpoint is up. */
  checkFlipped(upstream: string, endpoint: string, reason: string | undefined): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined) return
    entry.failsChecks = reason
    const starting = reason !== undefined && this.#startup.isStarting(keyOf(upstream, endpoint))
    if (starting) this.#options.log.info({ ...nameOf(entry), reason }, 'endpoint starting')
    this.#settle(entry, starting ? undefined : reason)
  }

  /** An active check has ended. */
  checked(upstream: string, endpoint: string, probe: Probe, durationMs: number): void {
    const { tally, clock } = this.#options
    tally.checked(upstream, endpoint, resultOf(probe), durationMs)
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined) return
    takeCheck(entry, probe, durationMs, clock.wall())
    if (probe.ok) this.#reached(entry)
  }

  /** A managed worker accepts connections (`reason` undefined), or has ended. */
  processFlipped(upstream: string, worker: string, reason: string | undefined): void {
    const entry = this.#entries.get(keyOf(upstream, worker))
    if (entry === undefined) return
    entry.withoutProcess = reason
    if (reason === undefined) {
      this.#reached(entry)
      this.#options.hasten(upstream, worker)
    }
    this.#settle(entry, reason)
  }

  /** A data thread has taken the endpoint out because of what it saw in traffic. */
  ejected(upstream: string, endpoint: string, reason: string): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry !== undefined && this.#has(entry, STATE.ejected)) this.#eject(entry, reason)
  }

  /** Takes an endpoint out for a time; false if it is out already. */
  eject(upstream: string, endpoint: string, reason: string): boolean {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined || !this.#options.shared.setState(entry.index, STATE.ejected, true)) return false
    this.#eject(entry, reason)
    return true
  }

  /** A data thread could not connect, and has marked the endpoint. A later passed check knows better. */
  unreachable(upstream: string, endpoint: string, reason: string): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry !== undefined && this.#has(entry, STATE.unreachable)) this.#revive(entry, reason)
  }

  /** Something failed there. */
  suspected(upstream: string, endpoint: string): void {
    this.#options.hasten(upstream, endpoint)
  }

  /** Answers on used connections come late there; believed for so long, said once while it lasts. */
  stalls(upstream: string, endpoint: string, forMs: number): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined) return
    const nowMs = this.#options.clock.now()
    const known = entry.stallsUntilMs > nowMs
    entry.stallsUntilMs = Math.max(entry.stallsUntilMs, nowMs + forMs + STALL_LOOK_MS)
    if (!known) this.#options.log.warn({ ...nameOf(entry), ...stallRemedy(entry.config) }, 'endpoint stalls')
  }

  /** No new work for the endpoint, or for all of the upstream; false if there is none. Outlives reloads. */
  drain(upstream: string, endpoint: string | undefined): boolean {
    const entries = this.#named(upstream, endpoint)
    for (const entry of entries) this.#drain(entry)
    return entries.length > 0
  }

  /** Takes `drain` back. */
  undrain(upstream: string, endpoint: string | undefined): boolean {
    const entries = this.#named(upstream, endpoint)
    for (const entry of entries) {
      if (this.#unmark(entry, STATE.draining)) this.#tell(entry, 'undrained', 'endpoint undrained')
    }
    return entries.length > 0
  }

  /** A data thread died: takes up marks that it could not report any more. */
  adoptMarks(): void {
    for (const entry of this.#entries.values()) {
      const ejected = this.#has(entry, STATE.ejected)
      if (ejected && !this.#ejections.isRunning(entry.index)) this.#eject(entry, 'failures in traffic')
      if (this.#has(entry, STATE.unreachable))
        this.#revive(entry, entry.unreachable ?? 'connects are failing')
    }
  }

  /** Wakes everything that waits for a slot of any upstream. */
  wakeAll(): void {
    for (const index of new Set([...this.#entries.values()].map(entry => entry.upstreamIndex))) {
      this.#options.shared.changed(index)
    }
  }

  /** True while requests wait for an endpoint of the upstream; ejections alone never make it so. */
  isHeld(upstream: string): boolean {
    const { shared } = this.#options
    const pool = this.#pools.get(upstream) ?? []
    return pool.every(entry => (shared.state(entry.index) & ~STATE.ejected) !== 0)
  }

  /** True if no check holds the endpoint back. */
  serves(upstream: string, endpoint: string): boolean {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    return entry !== undefined && entry.failsChecks === undefined
  }

  /** Gives up connects under way. */
  stop(): void {
    this.#startup.stop()
    for (const entry of this.#entries.values()) entry.revival?.stop()
  }

  /** Endpoints of one upstream, in the order of the configuration. */
  status(upstream: string): EndpointStatus[] {
    const { shared, clock } = this.#options
    return (this.#pools.get(upstream) ?? []).map(entry =>
      endpointStatus(entry, shared, {
        starting: this.#startup.isStarting(keyOf(upstream, entry.config.name)),
        nowMs: clock.now(),
      }),
    )
  }

  /** Indexes in use by the present configuration. */
  indexes(): Set<number> {
    return new Set([...this.#entries.values()].map(entry => entry.index))
  }

  #entryFor(
    key: string,
    upstream: UpstreamConfig,
    config: EndpointConfig,
    upstreamIndex: number,
    index: number,
  ): EndpointEntry {
    const known = this.#entries.get(key)
    if (known !== undefined && known.index === index) {
      reconfigure(known, upstream, config)
      return known
    }
    const entry = newEntry(upstream, config, upstreamIndex, index, this.#options.clock.wall())
    this.#resetSlot(entry)
    if (entry.withoutProcess !== undefined)
      this.#startup.begin(key, () => this.#settle(entry, downReason(entry)))
    return entry
  }

  /** The index may remember this endpoint from before, or even another one. */
  #resetSlot(entry: EndpointEntry): void {
    const { shared } = this.#options
    const { index } = entry
    shared.setState(index, STATE.down | STATE.unreachable | STATE.draining, false)
    shared.setState(index, STATE.down, downReason(entry) !== undefined)
    this.#slowStart.end(index)
    if (this.#ejections.claim(index, ownerOf(entry))) shared.setState(index, STATE.ejected, false)
  }

  /** `news` is why it is down, if somebody has found that out just now. */
  #settle(entry: EndpointEntry, news: string | undefined): void {
    if (downReason(entry) === undefined) {
      if (this.#unmark(entry, STATE.down)) this.#cameUp(entry)
      return
    }
    if (this.#options.shared.setState(entry.index, STATE.down, true)) this.#wentOut(entry)
    if (news === undefined || entry.announcedDown) return
    const { log, tally } = this.#options
    const fields = { ...nameOf(entry), lasted_ms: this.#flip(entry), reason: news }
    entry.announcedDown = true
    if (entry.unreachable === undefined) tally.changed(entry.upstream, entry.config.name, 'down')
    log.warn(fields, 'endpoint down')
  }

  #cameUp(entry: EndpointEntry): void {
    const { log, tally } = this.#options
    const counted = entry.announcedDown && entry.unreachable === undefined
    entry.announcedDown = false
    this.#startup.end(keyOf(entry.upstream, entry.config.name))
    if (counted) tally.changed(entry.upstream, entry.config.name, 'up')
    // One that was down and passes its probes again is another process: what its predecessor did in traffic
    // is forgiven.
    this.#ejections.forgive(entry.index)
    log.info({ ...nameOf(entry), lasted_ms: this.#flip(entry) }, 'endpoint up')
  }

  #revive(entry: EndpointEntry, reason: string): void {
    const known = entry.unreachable !== undefined
    entry.unreachable = reason
    if (known) return
    const { log, tally, clock, timers, random } = this.#options
    entry.flaps = clock.now() - entry.reachedAtMs < FLAP_MS ? entry.flaps + 1 : 0
    entry.revival = new Revival({
      flaps: entry.flaps,
      peer: () => handshakePeer(entry.config, entry.pool),
      clock,
      timers,
      random,
      held: () => this.isHeld(entry.upstream),
      failed: news => {
        entry.unreachable = news
      },
      reached: () => this.#reached(entry),
    })
    this.#wentOut(entry)
    if (!entry.announcedDown) tally.changed(entry.upstream, entry.config.name, 'down')
    log.warn({ ...nameOf(entry), lasted_ms: this.#flip(entry), reason }, 'endpoint unreachable')
    this.#options.hasten(entry.upstream, entry.config.name)
  }

  /** Somebody has connected. */
  #reached(entry: EndpointEntry): void {
    this.#unmark(entry, STATE.unreachable)
    if (entry.unreachable === undefined) return
    entry.revival?.stop()
    entry.revival = undefined
    entry.unreachable = undefined
    entry.reachedAtMs = this.#options.clock.now()
    const { log, tally } = this.#options
    if (!entry.announcedDown) tally.changed(entry.upstream, entry.config.name, 'up')
    log.info({ ...nameOf(entry), lasted_ms: this.#flip(entry) }, 'endpoint reachable')
    this.#options.hasten(entry.upstream, entry.config.name)
  }

  #eject(entry: EndpointEntry, reason: string): void {
    const { log, tally } = this.#options
    const forMs = this.#ejections.begin(entry.index, ownerOf(entry), entry.pool.passive.ejectMs)
    this.#flip(entry)
    entry.ejectedBecause = reason
    this.#wentOut(entry)
    tally.changed(entry.upstream, entry.config.name, 'ejected')
    log.warn({ ...nameOf(entry), reason, for_ms: forMs }, 'endpoint ejected')
    this.#options.hasten(entry.upstream, entry.config.name)
  }

  #readmit(index: number): void {
    const { shared } = this.#options
    shared.clearFailures(index)
    shared.clearBadAnswers(index)
    const entry = [...this.#entries.values()].find(it => it.index === index)
    if (entry === undefined) {
      shared.setState(index, STATE.ejected, false)
      return
    }
    this.#unmark(entry, STATE.ejected)
    entry.ejectedBecause = undefined
    this.#tell(entry, 'readmitted', 'endpoint readmitted')
  }

  #drain(entry: EndpointEntry): void {
    if (!this.#options.shared.setState(entry.index, STATE.draining, true)) return
    this.#wentOut(entry)
    this.#tell(entry, 'draining', 'endpoint draining')
  }

  /** Takes bits away; what becomes ready by that starts slowly, and not before its ramp is known. */
  #unmark(entry: EndpointEntry, bits: number): boolean {
    const { shared } = this.#options
    const before = shared.state(entry.index)
    if ((before & bits) === 0) return false
    if ((before & ~bits) === 0)
      this.#slowStart.begin(entry.index, entry.upstreamIndex, entry.pool.slowStartMs)
    shared.setState(entry.index, bits, false)
    shared.changed(entry.upstreamIndex)
    return true
  }

  /** It has been marked. If it was the last one, requests wait for whichever comes back first. */
  #wentOut(entry: EndpointEntry): void {
    this.#slowStart.end(entry.index)
    this.#options.wentOut(entry.index)
    this.#options.shared.changed(entry.upstreamIndex)
    if (!this.isHeld(entry.upstream)) return
    for (const each of this.#pools.get(entry.upstream) ?? []) {
      each.revival?.hasten()
      this.#options.hasten(each.upstream, each.config.name)
    }
  }

  #tell(entry: EndpointEntry, to: 'readmitted' | 'draining' | 'undrained', event: string): void {
    const { log, tally } = this.#options
    this.#flip(entry)
    tally.changed(entry.upstream, entry.config.name, to)
    log.info(nameOf(entry), event)
  }

  /** Now is the time of its last change; returns how long it was as it was. */
  #flip(entry: EndpointEntry): number {
    const wallMs = this.#options.clock.wall()
    const lastedMs = Math.round(wallMs - entry.sinceWallMs)
    entry.sinceWallMs = wallMs
    return lastedMs
  }

  #has({ index }: EndpointEntry, bits: number): boolean {
    return (this.#options.shared.state(index) & bits) !== 0
  }

  #named(upstream: string, endpoint: string | undefined): readonly EndpointEntry[] {
    const pool = this.#pools.get(upstream) ?? []
    return endpoint === undefined ? pool : pool.filter(entry => entry.config.name === endpoint)
  }
}
