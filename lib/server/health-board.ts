import type { HealthTally } from '../../metrics/health-tally.ts'
import type { Clock } from '../base/clock.ts'
import { type SharedState, STATE } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { EndpointConfig, EndpointProtocol, Snapshot, UpstreamConfig } from '../config/model.ts'
import { addressText } from './address-text.ts'
import { Ejection } from './ejection.ts'
import type { Placement } from './placement.ts'
import type { ServerLog } from './server-log.ts'

/** What the health board is given. */
export interface HealthBoardOptions {
  readonly shared: SharedState
  readonly clock: Clock
  readonly timers: Timers
  readonly tally: HealthTally
  readonly log: ServerLog
}

/** The one word for an endpoint: the most serious of what keeps it from being ready. */
export type EndpointState = 'up' | 'down' | 'ejected' | 'draining'

/** One endpoint as the status page shows it. Times are ISO 8601. */
export interface EndpointStatus {
  readonly name: string
  readonly address: string
  readonly protocol: EndpointProtocol
  readonly state: EndpointState
  readonly since: string
  /** Why it is not up. */
  readonly reason: string | undefined
  readonly weight: number
  readonly inflight: number
  /** The last active check; undefined before the first or without checks. */
  readonly check: CheckStatus | undefined
}

export interface CheckStatus {
  readonly ok: boolean
  readonly at: string
  readonly duration_ms: number
  readonly message: string
}

/** Flat facts of one endpoint. Its two ways of being down are machines of their own: a worker may run and fail its checks. */
interface Entry {
  readonly upstream: string
  readonly upstreamSlot: number
  readonly slot: number
  config: EndpointConfig
  ejectMs: number
  failsChecks: string | undefined
  withoutProcess: string | undefined
  sinceWallMs: number
  ejectedBecause: string | undefined
  check: CheckStatus | undefined
}

/**
 * Keeps every endpoint's shared state words: brings active checks, processes of managed workers and ejections together,
 * logs each flip once, and tells the data threads.
 */
export class HealthBoard {
  readonly #options: HealthBoardOptions
  #entries: ReadonlyMap<string, Entry> = new Map()
  /** By slot, for the life of the process: an endpoint that leaves and comes back is not forgiven. */
  readonly #ejections = new Map<number, Ejection>()

  constructor(options: HealthBoardOptions) {
    this.#options = options
  }

  /**
   * What the configuration has now. Before the data threads get it. An endpoint with the same name and address keeps its state;
   * a new one is up until something says otherwise, but a managed worker is down until it accepts connections.
   */
  place(snapshot: Snapshot, placement: Placement): void {
    const entries = new Map<string, Entry>()
    for (const [i, upstream] of snapshot.upstreams.entries()) {
      const places = placement.upstreams[i]
      for (const [j, config] of upstream.endpoints.entries()) {
        const slot = places?.endpoints[j]?.slot
        if (places === undefined || slot === undefined) continue
        const key = keyOf(upstream.name, config.name)
        entries.set(key, this.#entryFor(key, upstream, config, places.slot, slot))
      }
    }
    this.#entries = entries
  }

  /** An active check has changed its mind; `reason` is undefined when the endpoint is up. */
  checkFlipped(upstream: string, endpoint: string, reason: string | undefined): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined) return
    entry.failsChecks = reason
    this.#settle(entry)
  }

  /** An active check has ended. */
  checked(upstream: string, endpoint: string, ok: boolean, durationMs: number, message: string): void {
    this.#options.tally.checked(upstream, endpoint, ok, durationMs)
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry === undefined) return
    entry.check = {
      ok,
      at: new Date(this.#options.clock.wall()).toISOString(),
      duration_ms: Math.round(durationMs * 10) / 10,
      message: ok ? 'passed' : message,
    }
  }

  /** A managed worker accepts connections (`reason` undefined), or has ended. */
  processFlipped(upstream: string, worker: string, reason: string | undefined): void {
    const entry = this.#entries.get(keyOf(upstream, worker))
    if (entry === undefined) return
    entry.withoutProcess = reason
    this.#settle(entry)
  }

  /** A data thread has taken the endpoint out because of what it saw in traffic. */
  ejected(upstream: string, endpoint: string, reason: string): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry !== undefined) this.#eject(entry, reason)
  }

  /** A data thread could not connect, and has marked the endpoint. */
  unreachable(upstream: string, endpoint: string, reason: string): void {
    const entry = this.#entries.get(keyOf(upstream, endpoint))
    if (entry !== undefined) this.#options.log.warn({ ...nameOf(entry), reason }, 'endpoint unreachable')
  }

  /** Something failed there. */
  suspected(_upstream: string, _endpoint: string): void {}

  /** A data thread died: takes up ejections that it could not report any more. */
  adoptEjections(): void {
    for (const entry of this.#entries.values()) {
      const ejected = (this.#options.shared.state(entry.slot) & STATE.ejected) !== 0
      if (ejected && this.#ejections.get(entry.slot)?.running !== true)
        this.#eject(entry, 'failures in traffic')
    }
  }

  /** Wakes everything that waits for a slot of any upstream. */
  wakeAll(): void {
    for (const slot of new Set([...this.#entries.values()].map(entry => entry.upstreamSlot))) {
      this.#options.shared.changed(slot)
    }
  }

  /** Endpoints of one upstream, in the order of the configuration. */
  status(upstream: string): EndpointStatus[] {
    return [...this.#entries.values()].filter(it => it.upstream === upstream).map(it => this.#statusOf(it))
  }

  /** Slots in use by the present configuration. */
  slots(): Set<number> {
    return new Set([...this.#entries.values()].map(entry => entry.slot))
  }

  #entryFor(
    key: string,
    upstream: UpstreamConfig,
    config: EndpointConfig,
    upstreamSlot: number,
    slot: number,
  ): Entry {
    const { clock, shared } = this.#options
    const { ejectMs } = upstream.passive
    const known = this.#entries.get(key)
    if (known !== undefined && known.slot === slot) {
      known.config = config
      known.ejectMs = ejectMs
      return known
    }
    const managed = upstream.run !== undefined && config.name.startsWith('worker-')
    const withoutProcess = managed ? 'the process has not started yet' : undefined
    // The slot may remember a time when the endpoint was in the configuration before.
    shared.setState(slot, STATE.down, withoutProcess !== undefined)
    return {
      upstream: upstream.name,
      upstreamSlot,
      slot,
      config,
      ejectMs,
      failsChecks: undefined,
      withoutProcess,
      sinceWallMs: clock.wall(),
      ejectedBecause: undefined,
      check: undefined,
    }
  }

  #settle(entry: Entry): void {
    const { shared, clock, log, tally } = this.#options
    const reason = entry.withoutProcess ?? entry.failsChecks
    if (!shared.setState(entry.slot, STATE.down, reason !== undefined)) return
    shared.changed(entry.upstreamSlot)
    const wallMs = clock.wall()
    const fields = { ...nameOf(entry), lasted_ms: Math.round(wallMs - entry.sinceWallMs) }
    entry.sinceWallMs = wallMs
    tally.changed(entry.upstream, entry.config.name, reason === undefined ? 'up' : 'down')
    // One that was down and passes its probes again is another process: what its predecessor did in traffic is forgiven.
    if (reason === undefined) this.#ejections.get(entry.slot)?.forgive()
    if (reason === undefined) log.info(fields, 'endpoint up')
    else log.warn({ ...fields, reason }, 'endpoint down')
  }

  #eject(entry: Entry, reason: string): void {
    const { clock, timers, log, tally } = this.#options
    let ejection = this.#ejections.get(entry.slot)
    if (ejection === undefined) {
      ejection = new Ejection(clock, timers, () => this.#readmit(entry.slot))
      this.#ejections.set(entry.slot, ejection)
    }
    const forMs = ejection.begin(entry.ejectMs)
    entry.sinceWallMs = clock.wall()
    entry.ejectedBecause = reason
    tally.changed(entry.upstream, entry.config.name, 'ejected')
    log.warn({ ...nameOf(entry), reason, for_ms: forMs }, 'endpoint ejected')
  }

  #readmit(slot: number): void {
    const { shared, clock, log, tally } = this.#options
    shared.clearFailures(slot)
    shared.setState(slot, STATE.ejected, false)
    const entry = [...this.#entries.values()].find(it => it.slot === slot)
    if (entry === undefined) return
    shared.changed(entry.upstreamSlot)
    entry.sinceWallMs = clock.wall()
    entry.ejectedBecause = undefined
    tally.changed(entry.upstream, entry.config.name, 'readmitted')
    log.info(nameOf(entry), 'endpoint readmitted')
  }

  #statusOf(entry: Entry): EndpointStatus {
    const { shared } = this.#options
    const { name, address, protocol, weight } = entry.config
    const state = stateWord(shared.state(entry.slot))
    return {
      name,
      address: addressText(address),
      protocol,
      state,
      since: new Date(entry.sinceWallMs).toISOString(),
      reason: reasonOf(entry, state),
      weight,
      inflight: shared.inflight(entry.slot),
      check: entry.check,
    }
  }
}

function stateWord(bits: number): EndpointState {
  if ((bits & STATE.down) !== 0) return 'down'
  if ((bits & STATE.ejected) !== 0) return 'ejected'
  return (bits & STATE.draining) !== 0 ? 'draining' : 'up'
}

function reasonOf(entry: Entry, state: EndpointState): string | undefined {
  switch (state) {
    case 'up':
    case 'draining':
      return undefined
    case 'down':
      return entry.withoutProcess ?? entry.failsChecks
    case 'ejected':
      return entry.ejectedBecause
  }
}

function nameOf({ upstream, config }: Entry): { upstream: string; endpoint: string } {
  return { upstream, endpoint: config.name }
}

function keyOf(upstream: string, endpoint: string): string {
  return `${upstream}\n${endpoint}`
}
