import type { ServerHttp2Stream } from 'node:http2'
import type { Deadline } from '../base/timers.ts'
import type { BodyReader } from '../http/exchange.ts'
import { http2TrailerFault } from '../wire/http2-head.ts'
import { BodyWatch, type WatchedExchange } from './body-watch.ts'
import type { ConnectionHost } from './connection-host.ts'
import type { BodyState } from './request-body.ts'

/** Whose body it is. */
export interface Http2BodyOwner extends WatchedExchange {
  /** The client has broken the protocol: the stream is reset. */
  malformed(detail: string): void
}

const FRAME_HEAD = 9

interface BodyStream extends ServerHttp2Stream {
  causewayBody?: Http2Body
}

/** How much of what a stream brings, and of which kind. */
export interface BodyTerms {
  /** What the head has promised; undefined if it did not. */
  readonly length: number | undefined
  readonly limit: number
  /** Bytes of a tunnel: they may be silent, and are of any number. */
  readonly tunnel: boolean
}

/** What a client sends on one stream behind its head. The stream's window holds it back until somebody wants it. */
export class Http2Body implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  state: BodyState = 'unasked'
  failure: { readonly code: 'BODY_TOO_LARGE'; readonly detail: string } | undefined = undefined
  /** Payload bytes so far. */
  received = 0
  readonly #stream: BodyStream
  readonly #owner: Http2BodyOwner
  readonly #host: ConnectionHost
  readonly #terms: BodyTerms
  readonly #watch: BodyWatch | undefined
  #reader: BodyReader | undefined = undefined
  /** Frames in which it came, at most. */
  #pieces = 0

  constructor(stream: ServerHttp2Stream, owner: Http2BodyOwner, host: ConnectionHost, terms: BodyTerms) {
    this.#stream = stream
    this.#owner = owner
    this.#host = host
    this.#terms = terms
    this.#watch = terms.tunnel ? undefined : new BodyWatch(host, this)
    this.#stream.causewayBody = this
    stream.on('trailers', onTrailers)
  }

  /** Some of it has come and has not been taken. */
  get waits(): boolean {
    return this.#stream.readableLength > 0
  }

  /** What has come of it, with the heads of its frames, taken or not. */
  get wireBytes(): number {
    return this.received + this.#stream.readableLength + this.#pieces * FRAME_HEAD
  }

  flow(reader: BodyReader): void {
    if (this.state !== 'unasked') return
    this.#reader = reader
    this.state = 'flowing'
    this.#stream.on('data', onData)
    this.#stream.on('end', onEnd)
    this.#watch?.arrived(this.#owner, 0)
  }

  pause(): void {
    if (this.state !== 'flowing') return
    this.state = 'paused'
    this.#stream.pause()
  }

  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'flowing'
    this.#watch?.arrived(this.#owner, 0)
    this.#stream.resume()
  }

  /** Nobody wants it any more: what still comes is dropped, or the stream could not close. */
  stop(): void {
    this.#host.env.timers.disarm(this)
    this.#reader = undefined
    if (this.state !== 'done' && !this.#stream.destroyed) this.#stream.resume()
  }

  expired(): void {
    this.#watch?.silent(this.#owner)
  }

  // What the stream's events call.

  arrived(bytes: Buffer): void {
    if (this.#reader === undefined) return
    const { length, limit } = this.#terms
    this.#pieces += 1
    this.received += bytes.length
    if (length !== undefined && this.received > length) return this.#owner.malformed('cl-mismatch')
    if (this.received > limit) this.#fail()
    else {
      this.#reader.bodyBytes(bytes, 0, bytes.length)
      this.#reader?.bodyFlush()
    }
    this.#watch?.arrived(this.#owner, bytes.length)
  }

  ended(): void {
    // Node ends a stream for its reader also when it was reset; that is told by its close.
    if (this.#reader === undefined || this.#stream.closed || this.#stream.destroyed) return
    const { length } = this.#terms
    if (length !== undefined && this.received !== length) return this.#owner.malformed('cl-mismatch')
    this.state = 'done'
    this.#host.env.timers.disarm(this)
    this.#reader.bodyEnd()
  }

  /** RFC 9110 6.5: they may be dropped, and are. */
  trailersArrived(raw: readonly string[]): void {
    const fault = http2TrailerFault(raw, this.#host.headLimits)
    if (fault !== undefined) this.#owner.malformed(fault)
  }

  #fail(): void {
    this.state = 'failed'
    this.failure = { code: 'BODY_TOO_LARGE', detail: 'body-limit' }
  }
}

function onData(this: BodyStream, bytes: Buffer): void {
  this.causewayBody?.arrived(bytes)
}

function onEnd(this: BodyStream): void {
  this.causewayBody?.ended()
}

function onTrailers(this: BodyStream, _headers: object, _flags: number, raw?: string[]): void {
  this.causewayBody?.trailersArrived(raw ?? [])
}
