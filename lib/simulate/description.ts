import { type ReadDocument, readDocument } from '../config/document.ts'
import type { Environment } from '../config/interpolate.ts'
import type { EndpointConfig, UpstreamConfig } from '../config/model.ts'
import type { Model } from '../config/option.ts'
import type { Report } from '../config/problem.ts'
import { upstreamConfig } from '../config/snapshot.ts'
import { type Path, pathText, placeOf, type Table } from '../config/tree.ts'
import type { AppModel } from './app.ts'
import { descriptionSection } from './description-section.ts'
import type { Fault } from './fault.ts'
import type { DescribedLoad } from './load.ts'
import type { ServiceLaw } from './service-law.ts'

/** A described endpoint. Without a law it works as long as the access log says. */
export interface DescribedApp extends Omit<AppModel, 'service'>, Pick<EndpointConfig, 'weight' | 'backup'> {
  readonly service: ServiceLaw | undefined
}

/** What a description file says. */
export interface Description {
  readonly threads: number
  readonly roundTripMs: number
  readonly warmUpMs: number
  /** undefined: clients wait for ever. */
  readonly patienceMs: number | undefined
  /** undefined: it comes from an access log. */
  readonly load: DescribedLoad | undefined
  /** undefined: those of the access log. */
  readonly apps: readonly DescribedApp[] | undefined
  /** The words of the upstream, without endpoints; undefined where the file says nothing of them. */
  readonly upstream: UpstreamConfig
  /** The words stand in the file, and are not only defaults. */
  readonly saysUpstream: boolean
}

type Rows = Model<typeof descriptionSection>
type EndpointRow = NonNullable<Rows['endpoints']>[number]
type FaultRow = Rows['faults'][number]

/** Names of a file's rows with a place for complaints about them. */
interface Complaints {
  about(path: Path, fault: string, hint?: string): void
}

/** Reads a description. `logged`: load and times of work may be left to an access log. */
export function readDescription(
  path: string,
  env: Environment,
  logged: boolean,
): Promise<ReadDocument<Description>> {
  return readDocument(path, descriptionSection, env, (rows, root, report) => {
    return compile(rows, root, report, logged)
  })
}

function compile(rows: Rows, root: Table, report: Report, logged: boolean): Description {
  const { threads, roundTripMs, warmUpMs, patienceMs, upstream: words } = rows
  const complaints: Complaints = {
    about: (path, fault, hint) => {
      const where = path.length === 0 ? '' : `${pathText(path)}: `
      report.error(placeOf(root, path), `${where}${fault}`, hint)
    },
  }
  const upstream = upstreamConfig('simulated', {
    ...words,
    endpoints: undefined,
    endpointsFile: undefined,
    run: undefined,
    sticky: undefined,
  })
  return {
    threads,
    roundTripMs,
    warmUpMs,
    patienceMs,
    load: loadOf(rows, logged, complaints),
    apps: appsOf(rows, logged, complaints),
    upstream,
    saysUpstream: root.entries.has('upstream'),
  }
}

function loadOf(
  { load, warmUpMs }: Rows,
  logged: boolean,
  complaints: Complaints,
): DescribedLoad | undefined {
  if (load === undefined) {
    if (!logged) complaints.about([], 'no load is defined', 'write [load] with a rate, or pass --log FILE')
    return undefined
  }
  const { rate, arrivals, durationMs, postShare, highShare, lowShare } = load
  if (logged) complaints.about(['load'], 'the load comes from the access log', 'remove [load], or --log')
  if (highShare + lowShare > 1) complaints.about(['load', 'low'], 'high and low exceed 100% of the requests')
  if (warmUpMs >= durationMs) complaints.about(['warm_up'], 'expected less than the duration of the load')
  return { perSecond: rate, arrivals, durationMs, postShare, highShare, lowShare }
}

function appsOf(
  { endpoints, faults }: Rows,
  logged: boolean,
  complaints: Complaints,
): readonly DescribedApp[] | undefined {
  if (endpoints === undefined || endpoints.length === 0) {
    if (!logged) complaints.about([], 'no endpoints are defined', 'write [[endpoints]]')
    if (faults.length > 0) complaints.about(['faults'], 'faults require [[endpoints]]')
    return undefined
  }
  const faultsOf = faultsByEndpoint(faults, endpoints, complaints)
  const apps = endpoints.flatMap((row, i) => {
    const path = ['endpoints', i]
    if (row.service === undefined && !logged) complaints.about(path, 'service is missing')
    const service =
      row.service === undefined ? undefined : lawOf(row.service, [...path, 'service'], complaints)
    return namesOf(row).map(name => appOf(row, name, service, faultsOf))
  })
  for (const [i, row] of endpoints.entries()) {
    const twice = namesOf(row).find(name => apps.filter(app => app.name === name).length > 1)
    if (twice !== undefined) complaints.about(['endpoints', i, 'name'], `two endpoints are named "${twice}"`)
  }
  return apps
}

function appOf(
  { name: group, workers, backlog, weight, backup }: EndpointRow,
  name: string,
  service: ServiceLaw | undefined,
  faultsOf: ReadonlyMap<string, readonly Fault[]>,
): DescribedApp {
  const faults = [...(faultsOf.get(name) ?? []), ...(name === group ? [] : (faultsOf.get(group) ?? []))]
  return { name, workers, backlog, service, faults, weight, backup }
}

function namesOf({ name, copies }: EndpointRow): string[] {
  return copies === 1 ? [name] : Array.from({ length: copies }, (_, i) => `${name}-${i + 1}`)
}

function faultsByEndpoint(
  rows: readonly FaultRow[],
  endpoints: readonly EndpointRow[],
  complaints: Complaints,
): ReadonlyMap<string, readonly Fault[]> {
  const known = new Set(endpoints.flatMap(row => [row.name, ...namesOf(row)]))
  const faults = new Map<string, Fault[]>()
  for (const [i, row] of rows.entries()) {
    const { endpoint, fromMs, toMs } = row
    if (!known.has(endpoint)) {
      const hint = `the endpoints are ${[...known].join(', ')}`
      complaints.about(['faults', i, 'endpoint'], `unknown endpoint "${endpoint}"`, hint)
    }
    if (toMs !== undefined && toMs <= fromMs) {
      complaints.about(['faults', i, 'to'], 'expected a time after "from"')
    }
    faults.set(endpoint, [...(faults.get(endpoint) ?? []), faultOf(row)])
  }
  return faults
}

function faultOf({ kind, fromMs, toMs = Number.POSITIVE_INFINITY, factor, share }: FaultRow): Fault {
  switch (kind) {
    case 'slow':
      return { kind, fromMs, toMs, factor }
    case 'errors':
      return { kind, fromMs, toMs, share }
    case 'down':
    case 'restart':
    case 'hung':
      return { kind, fromMs, toMs }
  }
}

const LAWS = '"10ms", { exponential = "10ms" }, { p50 = "10ms", p99 = "80ms" } or { times = ["8ms", "12ms"] }'

function lawOf(
  { constantMs, exponentialMs, p50Ms, p99Ms, times }: NonNullable<EndpointRow['service']>,
  path: Path,
  complaints: Complaints,
): ServiceLaw | undefined {
  const laws: ServiceLaw[] = []
  if (constantMs !== undefined) laws.push({ law: 'constant', ms: constantMs })
  if (exponentialMs !== undefined) laws.push({ law: 'exponential', meanMs: exponentialMs })
  if (p50Ms !== undefined && p99Ms !== undefined) laws.push({ law: 'lognormal', p50Ms, p99Ms })
  if (times !== undefined) laws.push({ law: 'seen', sortedMs: times.toSorted((a, b) => a - b) })
  const [law] = laws
  if (laws.length !== 1 || (p50Ms === undefined) !== (p99Ms === undefined)) {
    complaints.about(path, 'expected exactly one distribution of the service time', `write ${LAWS}`)
  } else if (law?.law === 'lognormal' && !(law.p50Ms > 0 && law.p99Ms >= law.p50Ms)) {
    complaints.about([...path, 'p99'], 'expected at least "p50", which must be above 0')
  } else if (law?.law === 'seen' && law.sortedMs.length === 0) {
    complaints.about([...path, 'times'], 'expected at least one time')
  }
  return law
}
