import type { Address, HealthConfig } from '../../lib/config/model.ts'

/** One endpoint to be probed, with everything resolved. */
export interface ProbeTarget {
  readonly upstream: string
  readonly endpoint: string
  readonly address: Address
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
