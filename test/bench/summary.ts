import type { Memory, Sample, Traffic } from './measure.ts'
import type { CaseName } from './options.ts'

/** Median of the rounds with the lowest and the highest. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface TrafficRow {
  readonly case: CaseName
  readonly peer: string
  readonly cpuMicrosPerRequest: Spread
  /** CPU time beside nginx in the same round; undefined where nginx did not run. */
  readonly ratioToNginx: Spread | undefined
  readonly requestsPerSecond: Spread
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  readonly failed: number
}

export interface MemoryRow {
  readonly peer: string
  readonly idleMiB: Spread | undefined
  readonly loadMiB: Spread | undefined
  readonly connectionKiB: Spread | undefined
}

export interface Mark {
  readonly name: string
  readonly limit: number
  readonly unit: string
  readonly value: number | undefined
  readonly verdict: 'pass' | 'fail' | 'not measured'
}

export interface Summary {
  readonly traffic: readonly TrafficRow[]
  readonly memory: readonly MemoryRow[]
  readonly marks: readonly Mark[]
}

/** The median of some values with their lowest and highest; undefined where there are none. */
export function spread(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1]
  const high = sorted[Math.floor(middle)]
  const min = sorted[0]
  const max = sorted.at(-1)
  if (low === undefined || high === undefined || min === undefined || max === undefined) return undefined
  return { median: (low + high) / 2, min, max }
}

const NOTHING: Spread = { median: 0, min: 0, max: 0 }
export const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)]

/** What one peer spent on one piece of work of a case, in one round. */
export type Spent = Pick<Traffic, 'round' | 'peer' | 'cpuMicrosPerRequest'> & { readonly case: string }

/** The CPU time of one peer divided by that of another in the same round, over all rounds. */
export function ratio(
  samples: readonly Spent[],
  name: string,
  peer: string,
  base: string,
): Spread | undefined {
  const quotients = samples.flatMap(one => {
    if (one.case !== name || one.peer !== peer) return []
    const other = samples.find(s => s.case === name && s.peer === base && s.round === one.round)
    return other === undefined ? [] : [one.cpuMicrosPerRequest / other.cpuMicrosPerRequest]
  })
  return spread(quotients)
}

function trafficRow(samples: readonly Traffic[], name: CaseName, peer: string): TrafficRow {
  const mine = samples.filter(one => one.case === name && one.peer === peer)
  const of = (value: (one: Traffic) => number) => spread(mine.map(value)) ?? NOTHING
  return {
    case: name,
    peer,
    cpuMicrosPerRequest: of(one => one.cpuMicrosPerRequest),
    ratioToNginx: ratio(samples, name, peer, 'nginx'),
    requestsPerSecond: of(one => one.requestsPerSecond),
    p50Ms: of(one => one.p50Us / 1000),
    p99Ms: of(one => one.p99Us / 1000),
    failed: mine.reduce((sum, one) => sum + one.failed, 0),
  }
}

/** The highest of each round: under load that is the peak over all cases. */
function peaks(samples: readonly Memory[], peer: string, what: Memory['what']): readonly number[] {
  const mine = samples.filter(one => one.peer === peer && one.what === what)
  return unique(mine.map(one => one.round)).map(round =>
    Math.max(...mine.filter(one => one.round === round).map(one => one.kib)),
  )
}

function memoryRow(samples: readonly Memory[], peer: string): MemoryRow {
  const of = (what: Memory['what'], unit: number) => spread(peaks(samples, peer, what).map(kib => kib / unit))
  return { peer, idleMiB: of('idle', 1024), loadMiB: of('load', 1024), connectionKiB: of('connection', 1) }
}

/** Holds a value against its limit. */
export function mark(name: string, value: number | undefined, limit: number, unit: string): Mark {
  const verdict = value === undefined ? 'not measured' : value <= limit ? 'pass' : 'fail'
  return { name, limit, unit, value, verdict }
}

function marks(traffic: readonly Traffic[], memory: readonly MemoryRow[]): readonly Mark[] {
  const beside = (name: CaseName, base: string) => ratio(traffic, name, 'causeway', base)?.median
  const own = memory.find(row => row.peer === 'causeway')
  return [
    mark('proxied, beside nginx', beside('proxied', 'nginx'), 1.3, '×'),
    mark('proxied, beside Caddy', beside('proxied', 'caddy'), 0.3, '×'),
    mark('static 10 KB, beside nginx', beside('static-10k', 'nginx'), 1.2, '×'),
    mark('memory, idle', own?.idleMiB?.median, 130, 'MiB'),
    mark('memory, under load', own?.loadMiB?.median, 220, 'MiB'),
    mark('memory of an idle connection', own?.connectionKiB?.median, 12, 'KiB'),
  ]
}

/** Medians over the rounds, ratios within each round, and the marks that Causeway is held to. */
export function summarise(samples: readonly Sample[]): Summary {
  const traffic = samples.filter(one => one.kind === 'traffic')
  const memory = samples.filter(one => one.kind === 'memory')
  const rows = unique(traffic.map(one => one.case)).flatMap(name =>
    unique(traffic.filter(one => one.case === name).map(one => one.peer)).map(peer =>
      trafficRow(traffic, name, peer),
    ),
  )
  const memoryRows = unique(memory.map(one => one.peer)).map(peer => memoryRow(memory, peer))
  return { traffic: rows, memory: memoryRows, marks: marks(traffic, memoryRows) }
}
