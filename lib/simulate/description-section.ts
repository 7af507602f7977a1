import {
  choice,
  count,
  duration,
  flag,
  list,
  optional,
  optionalTable,
  percent,
  required,
  shortOrTable,
  table,
  text,
  wordOr,
} from '../config/option.ts'
import { upstreamSection } from '../config/upstream-section.ts'
import { FAULT_KINDS } from './fault.ts'

type Read = { readonly value: number } | { readonly fault: string; readonly hint?: string }

const TIME = /^(\d+(?:\.\d+)?)(us|ms|s)$/
const TIME_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 }
const RANGE = { min: '0s', max: '30d' } as const

/** A short time, with a fraction: to the configuration's durations a millisecond is whole. */
const shortTime = (doc: string, fallback?: string) => text(doc, 'time', readShortTime, fallback)

/** [load] */
const loadSection = {
  rate: required(count('Requests per second.', undefined, { min: 1, max: 1_000_000 })),
  arrivals: choice(
    'Arrival process: random, as from many clients, or evenly spaced.',
    ['poisson', 'uniform'],
    'poisson',
  ),
  durationMs: duration('Duration of the load.', '60s', { min: '10ms', max: '7d' }),
  postShare: percent('Share of non-idempotent requests.', '0%'),
  highShare: percent('Share of requests with high priority.', '0%'),
  lowShare: percent('Share of requests with low priority.', '0%'),
}

/** [[endpoints]] service = { … }: one of its laws. */
const serviceSection = {
  constantMs: optional(shortTime('Constant service time.')),
  exponentialMs: optional(shortTime('Mean of an exponential distribution.')),
  p50Ms: optional(shortTime('Median of a lognormal distribution.')),
  p99Ms: optional(shortTime('Its 99th percentile.')),
  times: optional(list(shortTime('Measured service times, drawn with equal probability.'), undefined)),
}

/** [[endpoints]] */
const endpointSection = {
  name: required(text('Name, for the faults and the result.', 'name', readName)),
  copies: count('Number of identical endpoints: `NAME-1`, `NAME-2`, …', 1, { min: 1, max: 1000 }),
  workers: count('Number of requests that it processes concurrently.', 1, { min: 1, max: 1_000_000 }),
  backlog: count('Maximum number of requests in its listen backlog.', 2048, { min: 0, max: 1_000_000 }),
  service: optional(
    shortOrTable(shortTime('Service time of a request.'), serviceSection, constantMs => ({
      constantMs,
      exponentialMs: undefined,
      p50Ms: undefined,
      p99Ms: undefined,
      times: undefined,
    })),
  ),
  weight: count('Share of the traffic relative to the other endpoints.', 1, { min: 1, max: 1000 }),
  backup: flag('Receives traffic only while no other endpoint is ready.', false),
}

/** [[faults]] */
const faultSection = {
  endpoint: required(text('Name of an endpoint, or of all its copies.', 'name', readName)),
  kind: required(choice('Kind of the fault.', FAULT_KINDS, undefined)),
  fromMs: duration('Start of the fault.', '0s', RANGE),
  toMs: optional(duration('End of the fault. Default: never.', undefined, RANGE)),
  factor: count('`slow`: factor by which the service time increases.', 10, { min: 1, max: 100_000 }),
  share: percent('`errors`: share of responses with status 500.', '100%'),
}

const {
  endpoints: _endpoints,
  endpointsFile: _file,
  run: _run,
  sticky: _sticky,
  ...dispatcherRows
} = upstreamSection

/** A described simulation: one TOML file. */
export const descriptionSection = {
  threads: count('Data threads.', 1, { min: 1, max: 256 }),
  roundTripMs: shortTime('Network round-trip time to an app.', '0.2ms'),
  warmUpMs: duration('Initial period whose requests are simulated but not counted.', '0s', RANGE),
  patienceMs: wordOr(
    'endless',
    duration('How long a client waits for its response.', undefined, { min: '1ms', max: '1d' }),
  ),
  load: optionalTable('Generated load. Not with an access log.', loadSection),
  endpoints: optional(list(table('Simulated endpoints.', endpointSection), undefined)),
  faults: list(table('Faults of the endpoints.', faultSection), []),
  upstream: table('Settings of `[upstreams.NAME]`, in place of those in the configuration.', dispatcherRows),
}

function readShortTime(written: string): Read {
  const [, digits, unit = ''] = TIME.exec(written) ?? []
  if (digits === undefined) return { fault: 'expected a time such as "12.5ms", "800us" or "2s"' }
  return { value: Number(digits) * (TIME_MS[unit] as number) }
}

function readName(value: string): { readonly value: string } | { readonly fault: string } {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}$/.test(value)) return { value }
  return { fault: 'expected a name of letters, digits, "_", "-", ".", ":" and "/"' }
}
