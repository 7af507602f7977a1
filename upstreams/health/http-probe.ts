import type { Socket } from 'node:net'
import { type buildConnector, Client, type Dispatcher } from 'undici'
import { type SocketListener, SocketOpening } from '../../lib/base/peer-socket.ts'
import { isHttp2, isSecure } from '../../lib/config/endpoint-fit.ts'
import type { Address } from '../../lib/config/model.ts'
import { failedProbe } from './failure-reason.ts'
import type { Probe } from './health.ts'
import { judgeStatus, MAX_BODY_BYTES } from './probe-answer.ts'
import { ownGreeting, type ProbeTarget, peerOf } from './probe-target.ts'

type Connected = buildConnector.Callback

const NO_CONNECTION = 'no connection'

/**
 * One GET on a connection of its own, which is closed afterwards: a kept one would park on a sync worker and
 * block it. In the protocol of the endpoint, with the same TLS as its traffic. Redirects are answers like
 * others. Never rejects. The caller aborts `signal` when the time is over.
 */
export async function probeHttp(target: ProbeTarget, signal: AbortSignal): Promise<Probe> {
  const connecting = new ProbeConnection(target)
  const client = clientFor(target, connecting)
  let reached = NO_CONNECTION
  client.once('connect', () => {
    reached = 'no response'
  })
  try {
    const answer = await client.request(requestOf(target, signal))
    reached = 'the response did not end'
    await readSome(answer.body)
    const { location } = answer.headers
    return judgeStatus(target, answer.statusCode, Array.isArray(location) ? location[0] : location)
  } catch (error) {
    if (!signal.aborted) return failedProbe(error, target.address)
    // A handshake is made by the app: it waits for a worker like a request.
    const unconnected = reached === NO_CONNECTION && !isSecure(target.protocol)
    return unconnected ? { ok: false, reason: reached } : { ok: false, reason: reached, unanswered: true }
  } finally {
    connecting.end()
    // Not awaited: it may hang on what the endpoint does not do.
    client.destroy().catch(() => {})
  }
}

function clientFor({ address, protocol }: ProbeTarget, connecting: ProbeConnection): Client {
  return new Client(originOf(address, isSecure(protocol) ? 'https' : 'http'), {
    // Said in so many words: undici would offer HTTP/2 by default.
    allowH2: isHttp2(protocol),
    pipelining: 1,
    connect: (_options, done) => connecting.start(done),
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}

/** The one connection of a probe, made as those of traffic are. */
class ProbeConnection implements SocketListener {
  readonly #target: ProbeTarget
  #opening: SocketOpening | undefined = undefined
  #done: Connected | undefined = undefined

  constructor(target: ProbeTarget) {
    this.#target = target
  }

  start(done: Connected): void {
    this.#done = done
    this.#opening = new SocketOpening(peerOf(this.#target, ownGreeting(this.#target)), this)
  }

  /** Gives up what is not there yet. */
  end(): void {
    this.#opening?.destroy()
  }

  socketReady(socket: Socket): void {
    const { protocol } = this.#target
    if (protocol === 'h2' && Reflect.get(socket, 'alpnProtocol') !== 'h2') {
      socket.destroy()
      return this.#done?.(new Error('does not support HTTP/2 over TLS (ALPN)'), null)
    }
    // What undici goes by.
    if (protocol === 'h2c') Reflect.set(socket, 'alpnProtocol', 'h2')
    this.#done?.(null, socket)
  }

  socketFailed(error: Error | undefined): void {
    this.#done?.(error ?? new Error('connection closed before the response'), null)
  }
}

function originOf(address: Address, scheme: 'http' | 'https'): string {
  if (address.kind === 'unix') return `${scheme}://localhost`
  return address.host.includes(':')
    ? `${scheme}://[${address.host}]:${address.port}`
    : `${scheme}://${address.host}:${address.port}`
}

function requestOf({ health, host }: ProbeTarget, signal: AbortSignal): Dispatcher.RequestOptions {
  const headers: Record<string, string> = { host, 'user-agent': 'causeway-probe', accept: '*/*' }
  for (const [name, value] of Object.entries(health.headers)) headers[name.toLowerCase()] = value
  // `reset` sends Connection: close.
  return { method: 'GET', path: health.path, headers, signal, reset: true }
}

async function readSome(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return
  }
}
