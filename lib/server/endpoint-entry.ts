import { stallNote } from '../../upstreams/stall-remedy.ts'
import { STATE } from '../base/shared-state.ts'
import type { EndpointConfig, EndpointProtocol, UpstreamConfig } from '../config/model.ts'
import { addressText } from './address-text.ts'
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
  /** The last active check; undefined before the first or without checks. */
  readonly check: CheckStatus | undefined
}

export interface CheckStatus {
  readonly ok: boolean
  readonly at: string
  readonly duration_ms: number
  readonly message: string
}

/** Flat facts of one endpoint. Its ways of being down are machines of their own: a worker may run and fail its checks. */
export interface EndpointEntry {
  readonly upstream: string
  readonly upstreamSlot: number
  readonly slot: number
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
  upstreamSlot: number,
  slot: number,
  wallMs: number,
): EndpointEntry {
  const managed = pool.run !== undefined && config.name.startsWith('worker-')
  return {
    upstream: pool.name,
    upstreamSlot,
    slot,
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

/** An endpoint's shared words, and when they were read. */
interface EndpointWords {
  readonly bits: number
  readonly ramp: number
  readonly inflight: number
  readonly nowMs: number
}

/** What the shared words and the entry say of an endpoint. */
export function endpointStatus(
  entry: EndpointEntry,
  { bits, ramp, inflight, nowMs }: EndpointWords,
): EndpointStatus {
  const { name, address, protocol, weight } = entry.config
  const state = stateWord(bits)
  return {
    name,
    address: addressText(address),
    protocol,
    state,
    since: new Date(entry.sinceWallMs).toISOString(),
    reason: reasonOf(entry, state),
    weight,
    ramp: ramp < 100 ? ramp : undefined,
    inflight,
    note: entry.stallsUntilMs > nowMs ? stallNote(entry.config) : undefined,
    check: entry.check,
  }
}

/** What keeps it down by the checks or for want of a process. */
export function downReason({ withoutProcess, failsChecks }: EndpointEntry): string | undefined {
  return withoutProcess ?? failsChecks
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
