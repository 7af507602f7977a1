import { isIdempotent } from '../http/idempotent.ts'
import type { Arrival } from './load.ts'
import { randomStream } from './random.ts'

/** One request as the log has it. */
export interface LoggedRequest {
  /** When it was ready for the dispatcher, milliseconds since the epoch. */
  readonly atMs: number
  /** How long its last attempt took at the app; undefined if it never got there. */
  readonly tookMs: number | undefined
  readonly endpoint: string | undefined
  readonly idempotent: boolean
}

/** The requests of one upstream. */
export interface AccessLog {
  readonly upstream: string
  /** In the order of time; never empty. */
  readonly requests: readonly LoggedRequest[]
  /** By endpoint, how its usual time (median) compares with that of all: 2 is twice as slow. */
  readonly factors: ReadonlyMap<string, number>
  /** Lines that are no access lines of a proxied request. */
  readonly skipped: number
}

/** The fields that are used of an access line; the values of a stranger's file may be anything. */
type Line = Readonly<Record<string, unknown>>

/**
 * Reads access lines of Causeway. `wanted` is the upstream; it may be left out if the log has only one. A
 * text says why there is nothing to play.
 */
export async function readAccessLog(
  lines: AsyncIterable<string>,
  wanted: string | undefined,
): Promise<AccessLog | string> {
  const byUpstream = new Map<string, LoggedRequest[]>()
  let skipped = 0
  for await (const text of lines) {
    const line = parse(text)
    const request = line === undefined ? undefined : requestOf(line)
    const upstream = line === undefined ? undefined : textOf(line, 'upstream')
    if (request === undefined || upstream === undefined) {
      skipped += 1
      continue
    }
    const requests = byUpstream.get(upstream)
    if (requests === undefined) byUpstream.set(upstream, [request])
    else requests.push(request)
  }
  const upstream = wanted ?? (byUpstream.size === 1 ? [...byUpstream.keys()][0] : undefined)
  const requests = byUpstream.get(upstream ?? '')
  if (upstream !== undefined && requests !== undefined) {
    const sorted = requests.toSorted((a, b) => a.atMs - b.atMs)
    return { upstream, requests: sorted, factors: factorsOf(sorted), skipped }
  }
  return complaint(wanted, [...byUpstream.keys()])
}

function complaint(wanted: string | undefined, upstreams: readonly string[]): string {
  if (upstreams.length === 0) return 'contains no access log line of a proxied request'
  const there = `its upstreams are ${upstreams.join(', ')}`
  return wanted === undefined
    ? `contains several upstreams: choose one with --upstream; ${there}`
    : `contains no request for upstream "${wanted}"; ${there}`
}

/**
 * The requests as they came, `speed` times as fast. One that never got to an app asks for as much work as
 * some other, drawn at random.
 */
export function* loggedArrivals(log: AccessLog, speed: number, seed: number): Generator<Arrival> {
  const draws = randomStream(seed, 'requests')
  const worked = log.requests.filter(({ tookMs }) => tookMs !== undefined)
  const startMs = log.requests[0]?.atMs ?? 0
  for (const request of log.requests) {
    const luck = draws()
    const placeDraw = draws()
    const like = request.tookMs === undefined ? worked[Math.floor(draws() * worked.length)] : request
    yield {
      atMs: (request.atMs - startMs) / speed,
      demand: { quantile: draws(), loggedMs: like?.tookMs, loggedAt: like?.endpoint },
      luck,
      placeDraw,
      priority: 'normal',
      idempotent: request.idempotent,
    }
  }
}

function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Line) : undefined
  } catch {
    return undefined
  }
}

/** The line is written at the end; its body may have come long after its head. */
function requestOf(line: Line): LoggedRequest | undefined {
  const endMs = Date.parse(textOf(line, 'time') ?? '')
  const durationMs = numberOf(line, 'dur_ms')
  if (line['msg'] !== 'access' || Number.isNaN(endMs) || durationMs === undefined) return undefined
  const upstreamMs = numberOf(line, 'upstream_ms')
  return {
    atMs: endMs - durationMs + (numberOf(line, 'body_ms') ?? 0),
    tookMs: upstreamMs === undefined ? undefined : upstreamMs - Math.min(upstreamMs, connectMs(line)),
    endpoint: textOf(line, 'endpoint'),
    idempotent: isIdempotent(textOf(line, 'method') ?? ''),
  }
}

/** Counts over all attempts, while the time at the app is that of the last. */
function connectMs(line: Line): number {
  return line['attempts'] === 1 ? (numberOf(line, 'connect_ms') ?? 0) : 0
}

function factorsOf(requests: readonly LoggedRequest[]): ReadonlyMap<string, number> {
  const allMs: number[] = []
  const byEndpoint = new Map<string, number[]>()
  for (const { tookMs, endpoint } of requests) {
    if (tookMs === undefined || endpoint === undefined) continue
    allMs.push(tookMs)
    const own = byEndpoint.get(endpoint)
    if (own === undefined) byEndpoint.set(endpoint, [tookMs])
    else own.push(tookMs)
  }
  const usualMs = median(allMs)
  return new Map(
    [...byEndpoint].map(([name, ms]) => [name, usualMs > 0 ? Math.max(median(ms) / usualMs, 0.001) : 1]),
  )
}

function median(ms: readonly number[]): number {
  const sorted = Float64Array.from(ms).sort()
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function textOf(line: Line, key: string): string | undefined {
  const value = line[key]
  return typeof value === 'string' ? value : undefined
}

function numberOf(line: Line, key: string): number | undefined {
  const value = line[key]
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
