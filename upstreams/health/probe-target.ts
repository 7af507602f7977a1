import type { NetConnectOpts } from 'node:net'
import type { Peer } from '../../lib/base/peer-socket.ts'
import { isSecure } from '../../lib/config/endpoint-fit.ts'
import type { Address, EndpointProtocol, HealthConfig, UpstreamConfig } from '../../lib/config/model.ts'
import { proxyHeaderV1, proxyHeaderV2 } from '../../lib/wire/proxy-protocol.ts'
import { EndpointTls, TlsCredentials } from '../transport/endpoint-tls.ts'

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
  /** Of the name that its address was found by: host and port. */
  readonly foundAs: string | undefined
  readonly tls: UpstreamConfig['tls']
  readonly proxyProtocol: UpstreamConfig['proxyProtocol']
}

/** What of a target says whom to connect to. */
export type ProbePeer = Pick<ProbeTarget, 'address' | 'protocol' | 'foundAs' | 'tls'>

/** Name of the endpoint over all upstreams. Neither part can hold a line break. */
export function probeKey(upstream: string, endpoint: string): string {
  return `${upstream}\n${endpoint}`
}

/** Where a probe with a socket of its own connects to. */
export function connectOptions(address: Address): NetConnectOpts {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
}

/**
 * Whom a probe connects to, in the same way as traffic; each with a handshake of its own, so that a
 * certificate that is over is noticed.
 */
export function peerOf(target: ProbePeer, greeting?: string): Peer {
  const { address, protocol, foundAs } = target
  const endpoint = { address, protocol, ...(foundAs === undefined ? {} : { host: foundAs }) }
  const tls = isSecure(protocol) ? new EndpointTls(credentialsOf(target.tls), endpoint) : undefined
  if (address.kind === 'unix') return { path: address.path, tls, greeting }
  return { host: address.host, port: address.port, tls, greeting }
}

/** Begins a connection of ours, which is nobody's: there is no client to name. */
export function ownGreeting({ proxyProtocol }: Pick<ProbeTarget, 'proxyProtocol'>): string | undefined {
  if (proxyProtocol === undefined) return undefined
  const nobody = { address: '', port: 0 }
  return proxyProtocol === 'v1'
    ? proxyHeaderV1(nobody, nobody)
    : proxyHeaderV2(nobody, nobody).toString('latin1')
}

const known = new WeakMap<UpstreamConfig['tls'], TlsCredentials>()

/** Made once a configuration: a probe a second must not read authorities a second. */
function credentialsOf(tls: UpstreamConfig['tls']): TlsCredentials {
  const credentials = known.get(tls) ?? new TlsCredentials(tls)
  known.set(tls, credentials)
  return credentials
}
