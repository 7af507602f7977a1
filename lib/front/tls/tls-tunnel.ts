import type { Socket } from 'node:net'
import { ByteStream, type ByteStreamOwner } from '../../base/byte-stream.ts'
import { type ErrorCode, endCauseOf } from '../../base/errors.ts'
import type { Deadline } from '../../base/timers.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import { ExchangeRecord } from '../../http/record.ts'
import { Tunnel, type TunnelClient, type TunnelTarget } from '../../proxy/tunnel.ts'
import type { ClientConnection, ConnectionHost } from '../connection/connection-host.ts'
import { Taking } from '../connection/taking.ts'

/** What is known of a connection when a tunnel takes it. */
export interface TunnelStart {
  readonly client: ClientFacts
  /** The accept. */
  readonly startMs: number
  /** undefined if the client names nobody (SNI). */
  readonly serverName: string | undefined
  readonly target: TunnelTarget
}

/** How long a client whose endpoint is gone may take to close, once it has taken all. */
const LINGER_MS = 5000

/**
 * A client's TLS connection that is passed on undecrypted: it owns the socket, looks into nothing, puts
 * nothing in, and counts.
 */
export class TlsTunnel implements ClientConnection, ByteStreamOwner, Deadline, TunnelClient {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly client: ClientFacts
  readonly record: ExchangeRecord
  readonly #start: TunnelStart
  readonly #host: ConnectionHost
  readonly #stream: ByteStream
  readonly #tunnel: Tunnel
  /**
   * leaving: the endpoint is done, the client has not yet taken all or closed its side. finished: the end was
   * told.
   */
  #state: 'open' | 'leaving' | 'finished' = 'open'
  /** undefined until memory is short. */
  #reads: Taking | undefined = undefined
  #inputEnded = false
  #outputEnded = false

  constructor(socket: Socket, start: TunnelStart, host: ConnectionHost) {
    const { client, startMs, target } = start
    this.client = client
    this.record = new ExchangeRecord(host.requestIds.next(), startMs)
    this.record.clientIp = client.peerAddress
    this.record.upstream = target.upstream.config.name
    this.#start = start
    this.#host = host
    this.#tunnel = new Tunnel(this, target.upstream, host.env)
    this.#stream = ByteStream.accept(socket, this, host.env.timers, host.config.timeouts.writeMs)
    host.exchangeBegan()
  }

  /** Once: `first` is what the client has sent so far, its hello in front. */
  begin(first: Buffer): void {
    this.streamBytes(first, first.length)
    this.#tunnel.start()
  }

  // ClientConnection.

  /** What is open may go on until it is cut. */
  drain(): void {}

  destroy(code: ErrorCode): void {
    this.#cut(code, undefined)
  }

  shedStalled(): void {
    this.#reads ??= new Taking(this.#stream)
    if (this.#reads.hasStalled())
      this.#cut('CLIENT_TIMEOUT', 'memory is short, and the client is not reading')
  }

  // TunnelClient: what comes from the endpoint.

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.record.bytesOut += end - start
    this.#stream.writeBytes(bytes, start, end)
    this.#stream.flush()
    return !this.#stream.backedUp
  }

  endOutput(): void {
    this.#outputEnded = true
    this.#stream.end()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  end(): void {
    if (this.#state !== 'open') return
    if (this.#stream.closed) return this.#over()
    this.#state = 'leaving'
    this.endOutput()
    // It may have been paused: its end has to be heard.
    this.#stream.resume()
    this.#host.env.timers.arm(this, LINGER_MS)
  }

  fail(code: ErrorCode, detail: string): void {
    if (this.#state !== 'open') return
    const broken = this.record.bytesOut > 0
    this.#finish(code, detail)
    if (this.#stream.closed) return this.#host.closed(this)
    // Nothing of ours is put between the two: who has part of the endpoint's bytes is told by a reset that
    // more is missing.
    if (broken) this.#stream.reset()
    else this.#stream.destroy()
  }

  // ByteStreamOwner: what comes from the client.

  streamBytes(bytes: Buffer, end: number): void {
    this.record.bytesIn += end
    this.#tunnel.take(bytes, 0, end)
  }

  streamEnded(): void {
    this.#inputEnded = true
    this.#tunnel.inputEnded()
  }

  streamDrained(): void {
    this.#tunnel.clientDrained()
  }

  streamStalled(): void {
    this.#cut('CLIENT_TIMEOUT', 'stopped reading from the tunnel')
  }

  streamClosed(error: Error | undefined): void {
    if (this.#state === 'finished') return this.#host.closed(this)
    if (this.#state === 'leaving') return this.#over()
    // Both sides have ended well: what the client has sent may still be on its way to the endpoint.
    if (error === undefined && this.#inputEnded && this.#outputEnded) return
    this.#tunnel.clientGone()
    // Once the endpoint has ended, how the client takes its leave is its own affair.
    if (this.#outputEnded) this.#over()
    else this.fail('CLIENT_GONE', error?.message ?? 'closed the connection')
  }

  // Deadline: of a client that leaves.

  expired(): void {
    if (this.#stream.allSent) this.#stream.destroy()
    else this.#host.env.timers.arm(this, LINGER_MS)
  }

  #cut(code: ErrorCode, detail: string | undefined): void {
    this.#finish(code, detail)
    this.#tunnel.clientGone()
    if (this.#stream.closed) this.#host.closed(this)
    else this.#stream.destroy()
  }

  /** Ended well, and the client's socket is closed. */
  #over(): void {
    this.#finish(undefined, undefined)
    this.#host.closed(this)
  }

  #finish(code: ErrorCode | undefined, detail: string | undefined): void {
    if (this.#state === 'finished') return
    this.#state = 'finished'
    this.#host.env.timers.disarm(this)
    const { record } = this
    if (code !== undefined) {
      record.end = endCauseOf(code)
      record.detail = detail
    }
    // As of an answer: what the endpoint began with stands, however it ended.
    if (code === undefined || record.firstByteAtMs !== undefined) record.status = 200
    const { client, serverName, target } = this.#start
    this.#host.tunnelEnded({ client, record, tunnel: target.tunnel, serverName })
  }
}
