import { ExtentChain } from '../../base/extent-chain.ts'
import type { Deadline } from '../../base/timers.ts'
import type { BodyReader } from '../../http/exchange.ts'
import { http2TrailerFault } from '../../wire/http2-head.ts'
import { BodyWatch, type WatchedExchange } from '../connection/body-watch.ts'
import type { ConnectionHost } from '../connection/connection-host.ts'
import type { BodyState } from '../connection/request-body.ts'
import { type Http2Stream, STREAM_WINDOW } from './http2-stream.ts'

/** Whose body it is. */
export interface Http2BodyOwner extends WatchedExchange {
  /** The client has broken the protocol: the stream is reset. */
  malformed(detail: string): void
  /** No room for what the client sends ahead. */
  fail(code: 'OVERLOADED', detail: string): void
  /** More comes of a body that nobody wants. */
  unwanted(): void
}

/** How much of what a stream brings, and of which kind. */
export interface BodyTerms {
  /** What the head has promised; undefined if it did not. */
  readonly length: number | undefined
  readonly limit: number
  /** Bytes of a WebSocket: they may be silent, and are of any number. */
  readonly webSocket: boolean
}

/**
 * What a client sends on one stream behind its head. Until somebody wants it, it is held, a window of it at
 * most: only what was delivered lets the client send more.
 */
export class Http2Body implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  state: BodyState = 'unasked'
  failure: { readonly code: 'BODY_TOO_LARGE'; readonly detail: string } | undefined = undefined
  /** Payload bytes that were delivered. */
  received = 0
  /** Most payload bytes; to be set before the flow starts. */
  limit: number
  readonly #stream: Http2Stream
  readonly #owner: Http2BodyOwner
  readonly #host: ConnectionHost
  readonly #terms: BodyTerms
  readonly #watch: BodyWatch | undefined
  /** Bytes that nobody has taken. */
  #held: ExtentChain | undefined = undefined
  #delivering = false
  #reader: BodyReader | undefined = undefined
  /** Payload bytes that have come. */
  #arrived = 0
  /** Delivered while it was paused: not granted anew before it goes on. */
  #ungranted = 0
  /** All of it has come. */
  #whole = false
  #stopped = false

  constructor(stream: Http2Stream, owner: Http2BodyOwner, host: ConnectionHost, terms: BodyTerms) {
    this.#stream = stream
    this.#owner = owner
    this.#host = host
    this.#terms = terms
    this.limit = terms.limit
    this.#watch = terms.webSocket ? undefined : new BodyWatch(host, this)
  }

  /**
   * The client can send the rest of it without being told that it may, so it need not be told that it may
   * not.
   */
  get mayRest(): boolean {
    const { receiveWindow } = this.#stream
    const { length, webSocket } = this.#terms
    return !webSocket && receiveWindow >= STREAM_WINDOW / 2 && (length ?? 0) - this.#arrived <= receiveWindow
  }

  /** As `BodyReader` has it. */
  get silenceWatched(): boolean {
    return this.#reader?.watchesSilence === true
  }

  /** Some of it has come and has not been taken. */
  get waits(): boolean {
    return this.#held !== undefined && this.#held.size > 0
  }

  flow(reader: BodyReader): void {
    if (this.state !== 'unasked') return
    this.#reader = reader
    this.state = 'flowing'
    this.#watch?.arrived(this.#owner, 0)
    this.#goOn()
  }

  pause(): void {
    if (this.state === 'flowing') this.state = 'paused'
  }

  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'flowing'
    this.#stream.granted(this.#ungranted)
    this.#ungranted = 0
    this.#watch?.arrived(this.#owner, 0)
    this.#goOn()
  }

  /** Nobody wants it any more: what still comes is judged, as long as it stays in its window, and dropped. */
  stop(): void {
    this.#stopped = true
    this.#host.env.timers.disarm(this)
    this.#reader = undefined
    if (this.#held !== undefined) this.#drop(this.#held, this.#held.size)
  }

  expired(): void {
    this.#watch?.silent(this.#owner)
  }

  // What the stream brings.

  arrived(bytes: Buffer, start: number, end: number): void {
    this.#arrived += end - start
    const { length } = this.#terms
    if (length !== undefined && this.#arrived > length) return this.#owner.malformed('cl-mismatch')
    if (this.#stopped) return this.mayRest ? undefined : this.#owner.unwanted()
    // What is held goes first.
    if (this.#mayDeliver && !this.waits) this.#deliver(bytes, start, end)
    else this.#hold(bytes, start, end)
  }

  /** No more comes in this read. */
  flush(): void {
    if (!this.#stopped) this.#reader?.bodyFlush()
  }

  ended(): void {
    const { length } = this.#terms
    if (length !== undefined && this.#arrived !== length) return this.#owner.malformed('cl-mismatch')
    if (this.#stopped) return
    this.#whole = true
    if (this.#mayDeliver && !this.waits) this.#finish()
  }

  /** RFC 9110 6.5: they may be dropped, and are. */
  trailersArrived(pairs: readonly string[]): void {
    const fault = http2TrailerFault(pairs, this.#host.headLimits)
    if (fault !== undefined) this.#owner.malformed(fault)
  }

  get #mayDeliver(): boolean {
    return this.state === 'flowing' || (this.state === 'paused' && this.#reader?.takesAhead === true)
  }

  /** Delivers what is held. */
  #goOn(): void {
    // Its reader may pause and resume in one call.
    if (this.#delivering) return
    if (this.#held !== undefined && this.waits) this.#deliverHeld(this.#held)
    if (this.#whole && this.#flows && !this.waits) this.#finish()
  }

  #deliverHeld(held: ExtentChain): void {
    this.#delivering = true
    while (this.waits && this.#mayDeliver) {
      const { bytes, start, end } = held.piece(0)
      this.#deliver(bytes, start, end)
      this.#drop(held, end - start)
    }
    this.#delivering = false
    this.flush()
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    this.#held ??= new ExtentChain(this.#host.memory)
    const held = this.#held
    const before = held.extentBytes
    const isHeld = this.#stream.admitsBody(end - start) && held.append(bytes, start, end) === end
    this.#stream.hold(held.extentBytes - before)
    if (!isHeld) this.#owner.fail('OVERLOADED', 'too many buffered request bodies')
  }

  #drop(held: ExtentChain, bytes: number): void {
    const before = held.extentBytes
    held.dropBefore(bytes)
    this.#stream.hold(held.extentBytes - before)
  }

  /** Asked behind calls that may have changed it. */
  get #flows(): boolean {
    return this.state === 'flowing' && !this.#stopped
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    const size = end - start
    this.received += size
    if (this.received > this.limit) this.#fail()
    else {
      this.#reader?.bodyBytes(bytes, start, end)
      if (this.state === 'flowing') this.#stream.granted(size)
      else this.#ungranted += size
    }
    if (!this.#stopped) this.#watch?.arrived(this.#owner, size)
  }

  #finish(): void {
    this.state = 'done'
    this.#host.env.timers.disarm(this)
    this.#reader?.bodyEnd()
  }

  #fail(): void {
    this.state = 'failed'
    this.failure = { code: 'BODY_TOO_LARGE', detail: 'body-limit' }
  }
}
