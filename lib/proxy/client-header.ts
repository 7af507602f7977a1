import type { ClientFacts } from '../http/client-facts.ts'
import { proxyHeaderV1, proxyHeaderV2, unknownHeaderV2 } from '../wire/proxy-protocol.ts'

/**
 * The PROXY header that names a client to an endpoint, in latin1 text: its end of the connection and ours,
 * whatever fields say besides.
 */
export function clientHeader(client: ClientFacts, version: 'v1' | 'v2'): string {
  const source = { address: client.peerAddress, port: client.peerPort }
  const destination = { address: client.localAddress, port: client.localPort }
  if (version === 'v1') return proxyHeaderV1(source, destination)
  const header = client.peerAddress === '' ? unknownHeaderV2() : proxyHeaderV2(source, destination)
  return header.toString('latin1')
}
