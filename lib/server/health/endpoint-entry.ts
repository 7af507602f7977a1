import type { CheckResult } from '../../../metrics/facts.ts'
import type { Probe } from '../../../upstreams/health/health.ts'
import { stallNote } from '../../../upstreams/stall-remedy.ts'
import { type SharedState, STATE } from '../../base/shared-state.ts'
import type { EndpointConfig, EndpointProtocol, UpstreamConfig } from '../../config/model.ts'
import { addressText } from '../shared/address-text.ts'
import { slotsOf } from './endpoint-traffic.ts'
import type { Revival } from './revival.ts'

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
  /** Percent of its share that it gets by now; undefined once that is all of it. */
  readonly ramp: number | undefined
  readonly inflight: number
  /** What somebody should look at although it is up; undefined if there is nothing. */
  readonly note: string | undefined
  /** Requests that it may run at a time, by its cap and by what was learned; undefined: no cap. */
  readonly slots: number | undefined
  /** A worker of ours that has just been started, and has not been up so far. */
  readonly starting: boolean
  /** The last active check; undefined before the first or without checks. */
  readonly check: CheckStatus | undefined
}

export interface CheckStatus {
  readonly ok: boolean
  /** Not ok, which is no failure: the endpoint ran as many requests as it can. */
  readonly busy: boolean
  readonly at: string
  readonly duration_ms: number
  readonly message: string
}

/**
 * Flat facts of one endpoint. Its ways of being down are machines of their own: a worker may run and fail its
 * checks.
 */
export interface EndpointEntry {
  readonly upstream: string
  readonly upstreamIndex: number
  readonly index: number
  config: EndpointConfig
  /** The upstream's configuration. */
  pool: UpstreamConfig
  failsChecks: string | undefined
  withoutProcess: string | undefined
  /** Connects fail; a revival runs until one does not. */
  unreachable: string | undefined
  revival: Revival | undefined
  /** When it could be reached again, and how often that did not last. */
  reachedAtMs: number
  flaps: number
  ejectedBecause: string | undefined
  /** It was said that it is down. What was never checked is held back without a word. */
  announcedDown: boolean
  sinceWallMs: number
  /** Until then answers on used connections are known to come late. */
  stallsUntilMs: number
  check: CheckStatus | undefined
}

/** Why an endpoint with checks is held back before its first. */
const NOT_CHECKED = 'not checked yet'

/** An endpoint of which nothing is known: what can be asked about it has to be asked first. */
export function newEntry(
  pool: UpstreamConfig,
  config: EndpointConfig,
  upstreamIndex: number,
  index: number,
  wallMs: number,
): EndpointEntry {
  const managed = pool.run !== undefined && config.name.startsWith('worker-')
  return {
    upstream: pool.name,
    upstreamIndex,
    index,
    config,
    pool,
    failsChecks: pool.health === undefined ? undefined : NOT_CHECKED,
    withoutProcess: managed ? 'the process has not started yet' : undefined,
    unreachable: undefined,
    revival: undefined,
    reachedAtMs: Number.NEGATIVE_INFINITY,
    flaps: 0,
    ejectedBecause: undefined,
    announcedDown: false,
    sinceWallMs: wallMs,
    stallsUntilMs: Number.NEGATIVE_INFINITY,
    check: undefined,
  }
}

/**
 * Another configuration has it, too. What was found of its answers counts no more where it is asked
 * otherwise, or the finding out is turned off.
 */
export function reconfigure(entry: EndpointEntry, pool: UpstreamConfig, config: EndpointConfig): void {
  if (config.protocol !== entry.config.protocol || pool.keepalive.idleMs !== undefined)
    entry.stallsUntilMs = Number.NEGATIVE_INFINITY
  entry.config = config
  entry.pool = pool
}

/** What the shared words and the entry say of an endpoint. */
export function endpointStatus(
  entry: EndpointEntry,
  shared: SharedState,
  { starting, nowMs }: { readonly starting: boolean; readonly nowMs: number },
): EndpointStatus {
  const { name, address, protocol, weight } = entry.config
  const { index, pool } = entry
  const ramp = shared.ramp(index)
  const slots = slotsOf(pool.maxInflight, shared.limit(index))
  const state = stateWord(shared.state(index))
  return {
    name,
    address: addressText(address),
    protocol,
    state,
    since: new Date(entry.sinceWallMs).toISOString(),
    reason: reasonOf(entry, state),
    weight,
    ramp: ramp < 100 ? ramp : undefined,
    inflight: shared.inflight(index),
    slots: slots > 0 ? slots : undefined,
    starting: starting && state === 'down',
    note: entry.stallsUntilMs > nowMs ? stallNote(entry.config) : undefined,
    check: entry.check,
  }
}

/** What keeps it down by the checks or for want of a process. */
export function downReason({ withoutProcess, failsChecks }: EndpointEntry): string | undefined {
  return withoutProcess ?? failsChecks
}

/** What a check counts as. */
export function resultOf(probe: Probe): CheckResult {
  if (probe.ok) return 'pass'
  return probe.alibi === undefined ? 'fail' : 'busy'
}

/** A check has ended. While the endpoint is down for its checks, the reason is that of the last one. */
export function takeCheck(entry: EndpointEntry, probe: Probe, durationMs: number, wallMs: number): void {
  entry.check = {
    ok: probe.ok,
    busy: resultOf(probe) === 'busy',
    at: new Date(wallMs).toISOString(),
    duration_ms: Math.round(durationMs * 10) / 10,
    message: probe.ok ? 'passed' : probe.reason,
  }
  if (entry.failsChecks === undefined) return
  const rise = entry.pool.health?.rise ?? 1
  entry.failsChecks = probe.ok ? `its last check passed; ${rise} consecutive passes are needed` : probe.reason
}

/** The entry's name among all. */
export function keyOf(upstream: string, endpoint: string): string {
  return `${upstream}\n${endpoint}`
}

/** Whose the ejections of an index are. */
export function ownerOf({ upstream, config }: EndpointEntry): string {
  return JSON.stringify([upstream, config.name, config.address])
}

/** For log lines. */
export function nameOf({ upstream, config }: EndpointEntry): { upstream: string; endpoint: string } {
  return { upstream, endpoint: config.name }
}

function stateWord(bits: number): EndpointState {
  if ((bits & (STATE.down | STATE.unreachable)) !== 0) return 'down'
  if ((bits & STATE.ejected) !== 0) return 'ejected'
  return (bits & STATE.draining) !== 0 ? 'draining' : 'up'
}

function reasonOf(entry: EndpointEntry, state: EndpointState): string | undefined {
  switch (state) {
    case 'up':
    case 'draining':
      return undefined
    case 'down':
      return downReason(entry) ?? entry.unreachable
    case 'ejected':
      return entry.ejectedBecause
  }
}
