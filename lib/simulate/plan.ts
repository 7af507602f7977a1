import type { BalancePolicy } from '../config/balance-policies.ts'
import type { EndpointConfig, UpstreamConfig } from '../config/model.ts'
import { type AccessLog, loggedArrivals } from './access-log.ts'
import type { AppModel } from './app.ts'
import type { DescribedApp, Description } from './description.ts'
import { type Arrival, describedArrivals } from './load.ts'
import { type Played, type Scenario, simulate } from './simulation.ts'

/** What is to be compared. */
export interface PlanInputs {
  readonly description: Description | undefined
  /** Words of the upstream, from a configuration; else those of the description count. */
  readonly upstream: UpstreamConfig | undefined
  readonly log: AccessLog | undefined
  readonly policies: readonly BalancePolicy[]
  /** Caps to try; empty: the one of the configuration. */
  readonly caps: readonly number[]
  /** So many times as many requests a second. */
  readonly speed: number
  readonly seed: number
}

/** One line of the result. */
export interface Row extends Played {
  readonly policy: BalancePolicy
  /** 0: none. */
  readonly maxInflight: number
}

/** Workers of an app that nobody has described: more than any run needs. */
const MANY_WORKERS = 65_535
const BACKLOG = 2048
const ROUND_TRIP_MS = 0.2

/** Plays the same requests for each policy and cap. */
export async function play(inputs: PlanInputs): Promise<Row[]> {
  const { policies, caps, seed } = inputs
  const apps = appsOf(inputs)
  const words = configOf(inputs, apps)
  const rows: Row[] = []
  for (const maxInflight of caps.length > 0 ? caps : [words.maxInflight]) {
    for (const balance of policies) {
      const config = { ...words, balance, maxInflight }
      const scenario: Scenario = {
        config,
        apps: apps.map(app => modelOf(app, inputs)),
        threads: inputs.description?.threads ?? 1,
        roundTripMs: inputs.description?.roundTripMs ?? ROUND_TRIP_MS,
        arrivals: arrivalsOf(inputs),
        warmUpMs: inputs.description?.warmUpMs ?? 0,
        patienceMs: inputs.description?.patienceMs,
        seed,
      }
      rows.push({ policy: balance, maxInflight, ...(await simulate(scenario)) })
    }
  }
  return rows
}

function arrivalsOf({ description, log, speed, seed }: PlanInputs): Iterable<Arrival> {
  if (log !== undefined) return loggedArrivals(log, speed, seed)
  if (description?.load === undefined) return []
  const { load } = description
  return describedArrivals({ ...load, perSecond: load.perSecond * speed }, seed)
}

function appsOf({ description, upstream, log }: PlanInputs): readonly DescribedApp[] {
  if (description?.apps !== undefined) return description.apps
  const cap = upstream?.maxInflight ?? 0
  return [...(log?.factors.keys() ?? [])].toSorted().map(name => {
    const known = upstream?.endpoints.find(endpoint => endpoint.name === name)
    return {
      name,
      workers: cap > 0 ? cap : MANY_WORKERS,
      backlog: BACKLOG,
      service: undefined,
      faults: [],
      weight: known?.weight ?? 1,
      backup: known?.backup ?? false,
    }
  })
}

function modelOf({ name, workers, backlog, service, faults }: DescribedApp, { log }: PlanInputs): AppModel {
  const factors = log?.factors ?? new Map<string, number>()
  const law = service ?? { law: 'logged', factors, own: factors.get(name) ?? 1 }
  return { name, workers, backlog, service: law, faults }
}

function configOf({ description, upstream }: PlanInputs, apps: readonly DescribedApp[]): UpstreamConfig {
  const words = upstream ?? description?.upstream
  if (words === undefined) throw new TypeError('neither a configuration nor a description')
  return { ...words, names: [], run: undefined, sticky: undefined, endpoints: apps.map(endpointOf) }
}

/** Nobody connects to it. */
function endpointOf({ name, weight, backup }: DescribedApp, index: number): EndpointConfig {
  const address = { kind: 'tcp', host: '127.0.0.1', port: index + 1 } as const
  return { name, address, protocol: 'http1', weight, backup }
}
