import type { UpstreamConfig } from '../../lib/config/model.ts'
import type { AppModel } from '../../lib/simulate/app.ts'
import { type DescribedLoad, describedArrivals } from '../../lib/simulate/load.ts'
import { type Played, type Scenario, simulate } from '../../lib/simulate/simulation.ts'
import { configOf } from './upstream-world.ts'

/** An app that works on one request at a time, for 10 ms each. */
export function appOf(name: string, changes: Partial<AppModel> = {}): AppModel {
  const service = { law: 'constant', ms: 10 } as const
  return { name, workers: 1, backlog: 100_000, service, faults: [], ...changes }
}

/** What differs from the plain case. */
export interface Changes {
  readonly config?: Partial<UpstreamConfig>
  readonly load?: Partial<DescribedLoad>
  readonly scenario?: Partial<Scenario>
}

/** A minute of chance arrivals to these apps, over no network. */
export function playPool(
  apps: readonly AppModel[],
  perSecond: number,
  changes: Changes = {},
): Promise<Played> {
  const load: DescribedLoad = {
    perSecond,
    arrivals: 'poisson',
    durationMs: 60_000,
    highShare: 0,
    lowShare: 0,
    postShare: 0,
    ...changes.load,
  }
  const { seed = 1 } = changes.scenario ?? {}
  const base = configOf([], {
    balance: 'p2c',
    queue: { length: 100_000, timeoutMs: 60_000 },
    ...changes.config,
  })
  const endpoints = apps.map(({ name }, index) => ({
    name,
    address: { kind: 'tcp', host: '127.0.0.1', port: index + 1 } as const,
    protocol: 'http1' as const,
    weight: 1,
    backup: false,
  }))
  return simulate({
    config: { ...base, endpoints },
    apps,
    threads: 1,
    roundTripMs: 0,
    arrivals: describedArrivals(load, seed),
    warmUpMs: 0,
    patienceMs: undefined,
    seed,
    ...changes.scenario,
  })
}
