import { SocketOpening } from '../../lib/base/peer-socket.ts'
import type { EndpointConfig, UpstreamConfig } from '../../lib/config/model.ts'
import { failedProbe } from './failure-reason.ts'
import type { Probe } from './health.ts'
import { ownGreeting, type ProbePeer, type ProbeTarget, peerOf } from './probe-target.ts'
import { probeTcp } from './tcp-probe.ts'

/** Whom it connects to. */
export type HandshakePeer = ProbePeer & Pick<ProbeTarget, 'proxyProtocol'>

/**
 * Connects as a request would and closes: with TLS the handshake counts too, since an endpoint with a bad
 * certificate takes no request. Never rejects. The caller aborts `signal` when the time is over.
 */
export function probeHandshake(target: HandshakePeer, signal: AbortSignal): Promise<Probe> {
  const peer = peerOf(target, ownGreeting(target))
  if (peer.tls === undefined) return probeTcp(target, signal)
  return new Promise(resolve => {
    const finish = (probe: Probe) => {
      signal.removeEventListener('abort', giveUp)
      opening.destroy()
      resolve(probe)
    }
    const giveUp = () => finish({ ok: false, reason: 'no connection' })
    const opening = new SocketOpening(peer, {
      socketReady: socket => {
        socket.destroy()
        finish({ ok: true })
      },
      socketFailed: error => {
        if (error === undefined) finish({ ok: false, reason: 'connection closed' })
        else finish(failedProbe(error, target.address))
      },
    })
    signal.addEventListener('abort', giveUp)
  })
}

/** An endpoint of an upstream as one. */
export function handshakePeer(endpoint: EndpointConfig, upstream: UpstreamConfig): HandshakePeer {
  const { address, protocol, host } = endpoint
  return { address, protocol, foundAs: host, tls: upstream.tls, proxyProtocol: upstream.proxyProtocol }
}
