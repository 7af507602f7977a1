import type { ProbeTarget } from '../../../upstreams/health/probe-target.ts'
import type { EndpointConfig, Snapshot, UpstreamConfig } from '../../config/model.ts'
import { addressText } from '../shared/address-text.ts'

/** Every endpoint that is to be checked actively. */
export function probeTargets(snapshot: Snapshot): ProbeTarget[] {
  return snapshot.upstreams.flatMap(upstream => targetsOf(upstream, snapshot))
}

function targetsOf(upstream: UpstreamConfig, snapshot: Snapshot): ProbeTarget[] {
  const { name, health, endpoints } = upstream
  if (health === undefined) return []
  const host = health.host ?? firstHost(name, snapshot)
  return endpoints.map(endpoint => ({
    upstream: name,
    endpoint: endpoint.name,
    address: endpoint.address,
    protocol: endpoint.protocol,
    health,
    host: host ?? ownHost(endpoint),
    foundAs: endpoint.host,
    tls: upstream.tls,
    proxyProtocol: upstream.proxyProtocol,
  }))
}

/** A Django app answers 400 to a Host that it does not know: one of its own routes' is the best guess. */
function firstHost(upstream: string, { routes }: Snapshot): string | undefined {
  for (const { action, hosts } of routes) {
    if (action.kind !== 'proxy' || action.upstream !== upstream) continue
    const plain = hosts.find(host => !host.startsWith('*.'))
    if (plain !== undefined) return plain
  }
  return undefined
}

function ownHost({ address, host }: EndpointConfig): string {
  if (host !== undefined) return host
  return address.kind === 'unix' ? 'localhost' : addressText(address)
}
