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
  rate: required(count('Requests a second.', undefined, { min: 1, max: 1_000_000 })),
  arrivals: choice(
    'By chance, as from many clients, or one like the other.',
    ['poisson', 'uniform'],
    'poisson',
  ),
  durationMs: duration('How long requests come.', '60s', { min: '10ms', max: '7d' }),
  postShare: percent('Requests that must not be repeated.', '0%'),
  highShare: percent('Requests of high priority.', '0%'),
  lowShare: percent('Requests of low priority.', '0%'),
}

/** [[endpoints]] service = { … }: one of its laws. */
const serviceSection = {
  constantMs: optional(shortTime('All take the same time.')),
  exponentialMs: optional(shortTime('Mean of an exponential distribution.')),
  p50Ms: optional(shortTime('Median of a lognormal distribution.')),
  p99Ms: optional(shortTime('Its 99th percentile.')),
  times: optional(list(shortTime('Times that were measured; each is as likely as the others.'), undefined)),
}

/** [[endpoints]] */
const endpointSection = {
  name: required(text('Its name, for the faults and the result.', 'name', readName)),
  copies: count('So many that are alike: `NAME-1`, `NAME-2`, …', 1, { min: 1, max: 1000 }),
  workers: count('Requests that it works on at a time.', 1, { min: 1, max: 1_000_000 }),
  backlog: count('Requests that may wait in its listen queue.', 2048, { min: 0, max: 1_000_000 }),
  service: optional(
    shortOrTable(shortTime('How long it works on a request.'), serviceSection, constantMs => ({
      constantMs,
      exponentialMs: undefined,
      p50Ms: undefined,
      p99Ms: undefined,
      times: undefined,
    })),
  ),
  weight: count('Share of the traffic, compared with the other endpoints.', 1, { min: 1, max: 1000 }),
  backup: flag('Gets traffic only while no other endpoint is ready.', false),
}

/** [[faults]] */
const faultSection = {
  endpoint: required(text('Name of an endpoint, or of all its copies.', 'name', readName)),
  kind: required(choice('What happens.', FAULT_KINDS, undefined)),
  fromMs: duration('When it begins.', '0s', RANGE),
  toMs: optional(duration('When it is over; for good where this is not written.', undefined, RANGE)),
  factor: count('`slow`: how many times longer it takes.', 10, { min: 1, max: 100_000 }),
  share: percent('`errors`: how many of its answers are 500.', '100%'),
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
  roundTripMs: shortTime('Over the network to an app and back.', '0.2ms'),
  warmUpMs: duration('Requests of this time are played, but not counted.', '0s', RANGE),
  patienceMs: wordOr(
    'endless',
    duration('How long a client waits for its answer.', undefined, { min: '1ms', max: '1d' }),
  ),
  load: optionalTable('Requests that come by themselves. Not with an access log.', loadSection),
  endpoints: optional(list(table('The apps.', endpointSection), undefined)),
  faults: list(table('What happens to the apps.', faultSection), []),
  upstream: table('Words of `[upstreams.NAME]`, in place of those of the configuration.', dispatcherRows),
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
