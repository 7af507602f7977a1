import { addressText } from '../config/address.ts'
import type { Address, EndpointConfig, NamedEndpoints, Snapshot } from '../config/model.ts'
import { Client } from './client.ts'
import { diagnose } from './diagnosis.ts'
import type { Finding } from './finding.ts'
import type { ProbedEndpoint, ProbePlan } from './probe-plan.ts'
import { surveySite } from './survey.ts'

/** What to examine. */
export interface Examination {
  readonly url: string
  /** The configuration in front of the site, where it is known. */
  readonly snapshot: Snapshot | undefined
  /** Path of a form that may be sent; undefined: nothing is posted. */
  readonly post: string | undefined
  /** Page of the health checks, where no configuration names it. */
  readonly health: string | undefined
}

const HEALTH = '/healthz'

/** Asks the site, and says what its answers mean. */
export async function examine({ url, snapshot, post, health }: Examination): Promise<Finding[]> {
  const client = new Client()
  try {
    const configured = snapshot === undefined ? [] : probePlans(snapshot)
    const guessed = { endpoint: undefined, path: health ?? HEALTH, host: undefined, headers: {} }
    const probes = configured.length === 0 || health !== undefined ? [...configured, guessed] : configured
    const survey = await surveySite(client, { url: new URL(url).href, probes, post })
    return diagnose(survey, snapshot)
  } finally {
    client.close()
  }
}

/**
 * The questions of the configuration's own health checks, at each endpoint. What speaks the uwsgi protocol is
 * asked through the front: not quite what a probe asks, but it shows the page.
 */
export function probePlans(snapshot: Snapshot): ProbePlan[] {
  return snapshot.upstreams.flatMap((upstream): ProbePlan[] => {
    const { name, health, endpoints, names } = upstream
    if (health?.kind !== 'http') return []
    const { path, headers, expect } = health
    const host = health.host ?? routedHost(name, snapshot)
    const direct = [...endpoints, ...names.flatMap(hostOf)]
      .filter(({ protocol }) => protocol === 'http1')
      .map(({ address }) => ({
        endpoint: { upstream: name, expect, ...placeOf(address) },
        path,
        headers,
        host: host ?? (address.kind === 'unix' ? 'localhost' : addressText(address)),
      }))
    return direct.length > 0 ? direct : [{ endpoint: undefined, path, headers, host }]
  })
}

/** Whoever looks up the name here gets one of its addresses: good enough for one question. */
function hostOf({ lookup, protocol }: NamedEndpoints): Pick<EndpointConfig, 'address' | 'protocol'>[] {
  if (lookup.kind === 'srv') return []
  return [{ address: { kind: 'tcp', host: lookup.host, port: lookup.port }, protocol }]
}

function placeOf(address: Address): Pick<ProbedEndpoint, 'origin' | 'socket'> {
  if (address.kind === 'unix') return { origin: 'http://localhost', socket: address.path }
  return { origin: `http://${addressText(address)}`, socket: undefined }
}

/** As the prober chooses it: the first host of a route to this upstream. */
function routedHost(upstream: string, { routes }: Snapshot): string | undefined {
  const hosts = routes.flatMap(({ action, hosts }) =>
    action.kind === 'proxy' && action.upstream === upstream ? hosts : [],
  )
  return hosts.find(host => !host.startsWith('*.'))
}
