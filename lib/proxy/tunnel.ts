import { hashKey } from '../../upstreams/balancer/key-hash.ts'
import type { Attempt, AttemptOwner, Job, PooledPlace, WaitingLine } from '../../upstreams/job.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { ClientFacts } from '../http/client-facts.ts'
import type { ExchangeRecord } from '../http/record.ts'
import { clientHeader } from './client-header.ts'
import { TunnelAttempt, type TunnelJob } from './tunnel-attempt.ts'

/** Where a tunnel of the configuration leads. */
export interface TunnelTarget {
  readonly tunnel: string
  readonly upstream: Upstream
}

/** The client's side of a tunnel. Calls after its end do nothing. */
export interface TunnelClient {
  readonly client: ClientFacts
  readonly record: ExchangeRecord
  /**
   * Bytes are copied or sent before it returns. False: the client is slow, stop until `Tunnel.clientDrained`.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean
  /** No more bytes will come for it; it may go on sending. */
  endOutput(): void
  /** Nothing more is taken from it until `resume`. */
  pause(): void
  resume(): void
  /** All was said, both ways. */
  end(): void
  /** It came to nothing, or breaks: cuts. */
  fail(code: ErrorCode, detail: string): void
}

/**
 * Most bytes that wait for an endpoint: a hello, and what a client may send behind it before it has an answer
 * (RFC 8446 2.3).
 */
const HELD_BYTES = 96 * 1024

/**
 * A client's TLS connection on its way through an upstream, its bytes as they are: waits for an endpoint as a
 * request does, may try several until one is connected, and belongs to that one from its first byte on.
 */
export class Tunnel implements TunnelJob {
  readonly method = 'TLS'
  readonly idempotent = false
  readonly headText = ''
  readonly bodyFraming = 'none'
  readonly priority = 'normal'
  readonly siblings = 1
  readonly wanted = undefined
  readonly key: number
  tried: Job['tried'] = undefined
  unsent = 0
  readonly #client: TunnelClient
  readonly #upstream: Upstream
  readonly #env: ThreadEnv
  /** waiting: bytes are held, no endpoint has any. */
  #state: 'waiting' | 'flowing' | 'over' = 'waiting'
  #held: Buffer[] = []
  #heldBytes = 0
  #attempt: Attempt | undefined = undefined
  #line: WaitingLine | undefined = undefined

  constructor(client: TunnelClient, upstream: Upstream, env: ThreadEnv) {
    this.#client = client
    this.#upstream = upstream
    this.#env = env
    this.key = upstream.config.balance === 'hash' ? hashKey(client.client.peerAddress) : 0
  }

  /** Once, when the client's first bytes are here. */
  start(): void {
    this.#upstream.submit(this)
  }

  // What the client's side tells.

  take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === 'waiting') this.#hold(bytes, start, end)
    else if (this.#state === 'flowing') this.#send(bytes, start, end)
  }

  /** A client that has half-closed before it had an answer cannot end its handshake. */
  inputEnded(): void {
    if (this.#state === 'flowing') return this.#attempt?.endBody()
    if (this.#state === 'over') return
    this.clientGone()
    this.#client.fail('CLIENT_GONE', 'closed before an endpoint was reached')
  }

  clientDrained(): void {
    this.#attempt?.resumeAnswer()
  }

  clientGone(): void {
    if (this.#state === 'over') return
    const attempt = this.#attempt
    this.#over()
    this.#line?.withdraw(this)
    attempt?.cancel()
  }

  // Job.

  get record(): ExchangeRecord {
    return this.#client.record
  }

  get repeatable(): boolean {
    return this.#state === 'waiting'
  }

  uwsgiPacket(): string {
    return ''
  }

  http2Fields(): string[] {
    return []
  }

  proxyHeader(version: 'v1' | 'v2'): string {
    return clientHeader(this.#client.client, version)
  }

  dial(place: PooledPlace, owner: AttemptOwner): void {
    const { endpoint } = place
    if (endpoint.protocol === 'http1') {
      new TunnelAttempt(this, place, owner, this.#env)
      return
    }
    // The configuration is held to that, files of endpoints and deploys are not.
    place.give()
    const detail = `a tunnel forwards bytes unchanged, but ${endpoint.name} uses ${endpoint.protocol}`
    owner.attemptFailed(endpoint, this, { code: 'UPSTREAM_BAD', kind: 'protocol', detail, answered: false })
  }

  waitsIn(line: WaitingLine | undefined): void {
    this.#line = line
  }

  attempting(attempt: Attempt): void {
    this.#attempt = attempt
  }

  bodyWanted(): void {
    if (this.#state !== 'waiting') return
    this.#state = 'flowing'
    const held = Buffer.concat(this.#held)
    this.#held = []
    this.#client.resume()
    this.#send(held, 0, held.length)
  }

  sendDrained(): void {
    this.#client.resume()
  }

  informed(): void {}

  answered(): void {}

  answerBytes(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#client.write(bytes, start, end)
  }

  answerFlush(): void {}

  endpointEnded(): void {
    this.#client.endOutput()
  }

  answerEnd(): void {
    this.#over()
    this.#client.end()
  }

  failed(code: ErrorCode, detail: string): void {
    this.#over()
    this.#client.fail(code, detail)
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    this.#held.push(Buffer.from(bytes.subarray(start, end)))
    this.#heldBytes += end - start
    if (this.#heldBytes >= HELD_BYTES) this.#client.pause()
  }

  #send(bytes: Uint8Array, start: number, end: number): void {
    if (this.#attempt?.sendBody(bytes, start, end) === false) this.#client.pause()
  }

  #over(): void {
    this.#state = 'over'
    this.#attempt = undefined
    this.#held = []
  }
}
