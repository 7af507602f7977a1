import type { EndpointConfig, NamedEndpoints, Snapshot, UpstreamConfig } from '../config/model.ts'

/** The snapshot with an endpoint for each name. */
export function withNames(snapshot: Snapshot): Snapshot {
  return { ...snapshot, upstreams: snapshot.upstreams.map(withEndpoints) }
}

function withEndpoints(upstream: UpstreamConfig): UpstreamConfig {
  return { ...upstream, endpoints: [...upstream.endpoints, ...upstream.names.flatMap(endpointOf)] }
}

function endpointOf({ name, lookup, protocol, weight, backup }: NamedEndpoints): EndpointConfig[] {
  if (lookup.kind === 'srv') return []
  const { host, port } = lookup
  return [{ name, address: { kind: 'tcp', host, port }, protocol, weight, backup }]
}
