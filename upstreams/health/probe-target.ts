import type { NetConnectOpts } from 'node:net'
import type { Address, EndpointProtocol, HealthConfig } from '../../lib/config/model.ts'

/** One endpoint to be probed, with everything resolved. */
export interface ProbeTarget {
  readonly upstream: string
  readonly endpoint: string
  readonly address: Address
  readonly protocol: EndpointProtocol
  readonly health: HealthConfig
  /**
   * Host field of the probe: `health.host`, else the first host of a route to the upstream, else the address.
   */
  readonly host: string
}

/** Name of the endpoint over all upstreams. Neither part can hold a line break. */
export function probeKey(upstream: string, endpoint: string): string {
  return `${upstream}\n${endpoint}`
}

/** Where a probe with a socket of its own connects to. */
export function connectOptions(address: Address): NetConnectOpts {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
}
