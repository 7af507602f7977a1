import type { Socket } from 'node:net'
import { ByteStream, type ByteStreamOwner } from '../../base/byte-stream.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Deadline } from '../../base/timers.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { RequestHead } from '../../http/message.ts'
import { readRequestHead } from '../../wire/request-head.ts'
import { originAt, recordAt } from '../connection/arrival.ts'
import { BodyWatch } from '../connection/body-watch.ts'
import type { ClientConnection, ConnectionHost } from '../connection/connection-host.ts'
import { IdlePlace, type MayIdle } from '../connection/idle-list.ts'
import { refusalText, refusedFacts } from '../connection/refusal.ts'
import { RequestBody } from '../connection/request-body.ts'
import { Taking } from '../connection/taking.ts'
import { HALF_CLOSED_MS, HalfClosed } from './half-closed.ts'
import { HeldBytes, hasLineFeed } from './held-bytes.ts'
import { type Ending, Http1Exchange, type Http1Wire } from './http1-exchange.ts'
import type { Http1WebSocket } from './http1-websocket.ts'

/**
 * idle: between requests. head: part of a head is here. busy: an exchange runs. linger: the last answer is
 * out, what still comes is dropped. closed: gone.
 */
type Phase = 'idle' | 'head' | 'busy' | 'linger' | 'closed'

/** How long a client that was answered early may go on sending (nginx: lingering_close). */
const LINGER_MS = 5000

/** A client's HTTP/1 connection: requests in their order, one exchange at a time. */
export class Http1Connection implements ClientConnection, ByteStreamOwner, Http1Wire, Deadline, MayIdle {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly client: ClientFacts
  readonly #host: ConnectionHost
  readonly #stream: ByteStream
  #phase: Phase = 'idle'
  #exchange: Http1Exchange | undefined = undefined
  readonly #held: HeldBytes
  readonly #place = new IdlePlace(this)
  /** True while `#take` runs: what ends meanwhile is gone on with there, not in a recursion. */
  #taking = false
  /** The bytes that `#take` is working on, for a body that is asked for meanwhile. */
  #bytes: Buffer | undefined = undefined
  #at = 0
  #end = 0
  /** The client has half-closed: it sends no more, but still reads. */
  #inputEnded = false
  #halfClosed: HalfClosed | undefined = undefined
  #reads: Taking | undefined = undefined
  /** What stands for the running request's head in the account of memory. */
  #headBytes = 0
  #headStartMs = 0
  /** undefined until a request has a body. */
  #bodyWatch: BodyWatch | undefined = undefined

  constructor(socket: Socket, client: ClientFacts, host: ConnectionHost) {
    this.client = client
    this.#host = host
    this.#held = new HeldBytes(host.memory)
    host.env.timers.arm(this, host.config.timeouts.headerMs)
    host.idle.add(this.#place)
    this.#stream = ByteStream.accept(socket, this, host.env.timers, host.config.timeouts.writeMs)
  }

  /** The listener drains: goes at once if nothing runs, else after the answer. */
  drain(): void {
    if (this.#phase === 'idle') this.#linger()
  }

  /** Cuts, whatever runs. */
  destroy(code: ErrorCode): void {
    this.#exchange?.lost(code, undefined)
    this.#stream.destroy()
  }

  closeIdle(): boolean {
    if (!this.#stream.allSent || this.#held.size > 0) return false
    this.#stream.destroy()
    return true
  }

  shedStalled(): void {
    this.#reads ??= new Taking(this.#stream)
    if (!this.#reads.hasStalled()) return
    this.#exchange?.lost('CLIENT_TIMEOUT', 'memory is short, and the client is not reading')
    this.#stream.destroy()
  }

  // ByteStreamOwner.

  streamBytes(bytes: Buffer, end: number): void {
    if (this.#phase === 'linger' || this.#phase === 'closed') return
    const { headersBytes } = this.#host.headLimits
    // A head grows only by whole lines: without a line feed nothing new can be said about it.
    if (this.#phase === 'head' && !hasLineFeed(bytes, end) && this.#held.takesLine(end, headersBytes))
      return this.#hold(bytes, 0, end, true)
    this.#takeHeldAnd(bytes, end)
  }

  streamEnded(): void {
    this.#inputEnded = true
    switch (this.#phase) {
      case 'head':
        return this.#refuse('CLIENT_GONE', 'closed within the request head')
      case 'busy':
        // A whole request may still want its answer: half-closing is legal.
        this.#watchHalfClosed()
        return this.#closeIfDone()
      case 'idle':
        return this.#closeIfDone()
      case 'linger':
      // Both directions have ended: it closes by itself once all is sent.
      case 'closed':
    }
  }

  streamDrained(): void {
    if (this.#exchange === undefined) this.#goOn()
    else this.#exchange.drained()
  }

  streamStalled(): void {
    this.#exchange?.lost('CLIENT_TIMEOUT', 'stopped reading the response')
    this.#stream.destroy()
  }

  streamClosed(error: Error | undefined): void {
    const wasHead = this.#phase === 'head'
    this.#phase = 'closed'
    this.#host.idle.remove(this.#place)
    this.#held.clear()
    this.#host.env.timers.disarm(this)
    this.#exchange?.lost('CLIENT_GONE', error?.message)
    if (wasHead) this.#recordRefusal('CLIENT_GONE', 'closed within the request head')
    this.#host.closed(this)
  }

  expired(): void {
    switch (this.#phase) {
      case 'linger':
        // A slow reader is still taking the answer: the stream watches that.
        if (!this.#stream.allSent) return this.#host.env.timers.arm(this, LINGER_MS)
        return this.#stream.destroy()
      case 'idle':
        // It has asked for more, and has to take the answers before.
        if (this.#held.size > 0)
          return this.#host.env.timers.arm(this, this.#host.config.timeouts.keepaliveMs)
        return this.#stream.destroy()
      case 'head':
        return this.#refuse('CLIENT_TIMEOUT', 'head-timeout')
      case 'busy':
        return this.#inputEnded ? this.#halfClosedTimeout() : this.#bodyWatch?.silent(this.#exchange)
      case 'closed':
    }
  }

  // Http1Wire: what the exchange calls.

  get dateText(): string {
    return this.#host.date.text()
  }

  get mayKeepAlive(): boolean {
    // A half-closed client may have sent further requests before: they still get their answers.
    const more = this.#held.size > 0 || (this.#taking && this.#at < this.#end)
    return !this.#host.draining && (more || !this.#inputEnded)
  }

  get backedUp(): boolean {
    return this.#stream.backedUp
  }

  writeText(text: string): void {
    this.#stream.writeText(text)
  }

  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#stream.writeBytes(bytes, start, end)
  }

  offerBytes(bytes: Uint8Array, start: number, end: number): number {
    return this.#stream.offerBytes(bytes, start, end)
  }

  writeKept(bytes: Buffer): void {
    this.#stream.writeKept(bytes)
  }

  flush(): void {
    this.#stream.flush()
  }

  pumpBody(): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#held.restart()
    if (this.#taking) {
      // Called from inside the handler's first look at the request: the rest of this very read is the body.
      const before = this.#at
      if (this.#bytes !== undefined && before < this.#end)
        this.#at = exchange.body.take(this.#bytes, before, this.#end)
      return this.#watchBody(exchange, this.#at - before)
    }
    this.#watchBody(exchange, 0)
    this.#goOn()
  }

  stopReading(): void {
    this.#held.stop(this.#stream)
  }

  handOver(webSocket: Http1WebSocket): void {
    this.#host.env.timers.disarm(this)
    this.#stream.owner = webSocket
    this.#stream.flush()
    // Called from inside the handler's first look at the request: the rest of this very read is the
    // WebSocket's.
    if (this.#taking && this.#bytes !== undefined) this.#hold(this.#bytes, this.#at, this.#end, true)
    this.#at = this.#end
    const early = this.#held.take()
    this.#held.readOn(this.#stream, this.#host.headLimits.headersBytes)
    webSocket.start({ stream: this.#stream, connection: this, early, inputEnded: this.#inputEnded })
  }

  finished(exchange: Http1Exchange, how: Ending): void {
    if (this.#exchange !== exchange) return
    this.#exchange = undefined
    this.#host.memory.usedBytes -= this.#headBytes
    exchange.record.bytesIn += exchange.body.received
    this.#host.exchangeEnded(exchange)
    if (this.#phase === 'closed') return
    switch (how) {
      case 'reuse':
        this.#phase = 'idle'
        this.#host.idle.add(this.#place)
        this.#host.env.timers.arm(this, this.#host.config.timeouts.keepaliveMs)
        return this.#goOn()
      case 'close':
      case 'cut':
        return this.#linger()
      case 'reset':
        this.#phase = 'linger'
        this.#stream.owner = this
        this.#stream.reset()
    }
  }

  /** Goes on with what has already arrived; inside `#take` its loop does that. */
  #goOn(): void {
    if (this.#taking) return
    const held = this.#held.takeAll()
    this.#take(held, held.length, false)
  }

  /** Works through bytes that no exchange has taken. Keeps what is left, a copy if they are `shared`. */
  #take(bytes: Buffer, size: number, shared: boolean): void {
    this.#taking = true
    this.#bytes = bytes
    this.#at = 0
    this.#end = size
    while (this.#at < this.#end && this.#step(bytes)) {
      // Each step took something.
    }
    this.#taking = false
    this.#bytes = undefined
    if (this.#at < this.#end && this.#phase !== 'linger' && this.#phase !== 'closed')
      this.#hold(bytes, this.#at, this.#end, shared)
    this.#held.readOn(this.#stream, this.#host.headLimits.headersBytes)
    this.#closeIfDone()
  }

  /** When all is taken and no more may come: the client has half-closed, or the listener drains. */
  #closeIfDone(): void {
    if (this.#taking || this.#held.size > 0) return
    if (this.#phase === 'idle' && !this.mayKeepAlive) this.#linger()
    // RFC 9112 8: a request cut short is not complete.
    else if (this.#inputEnded && this.#exchange?.bodyDone === false) this.destroy('CLIENT_GONE')
  }

  /** True if it got on. */
  #step(bytes: Buffer): boolean {
    const before = this.#at
    const exchange = this.#exchange
    switch (this.#phase) {
      case 'idle':
        // Each answer takes memory until the client takes it: no further request before.
        return !this.#stream.backedUp && this.#takeHead(bytes)
      case 'head':
        return this.#takeHead(bytes)
      case 'busy':
        if (exchange === undefined) return false
        this.#at = exchange.body.take(bytes, before, this.#end)
        if (exchange.body.state !== 'unasked') this.#watchBody(exchange, this.#at - before)
        return this.#at > before
      case 'linger':
      case 'closed':
        return false
    }
  }

  #takeHead(bytes: Buffer): boolean {
    if (this.#phase === 'idle') {
      this.#headStartMs = this.#host.env.clock.now()
      this.#phase = 'head'
      this.#host.idle.remove(this.#place)
    }
    const head = readRequestHead(bytes, this.#at, this.#end, this.#host.headLimits)
    if (head === undefined) {
      if (this.#inputEnded) this.#refuse('CLIENT_GONE', 'closed within the request head')
      else this.#watchHead()
      return false
    }
    if ('refused' in head) {
      this.#refuse(head.refused, head.detail)
      return false
    }
    this.#at += head.size
    this.#begin(head)
    return true
  }

  #begin(request: RequestHead): void {
    const host = this.#host
    const origin = originAt(host, this.client, request)
    const record = recordAt(host, this.client, request, origin, this.#headStartMs)
    this.#headBytes = request.size
    host.memory.usedBytes += this.#headBytes
    const body = new RequestBody(request, host.config.limits.bodyBytes)
    const exchange = new Http1Exchange(this, request, body, this.client, origin, record)
    this.#exchange = exchange
    this.#phase = 'busy'
    if (this.#inputEnded) this.#watchHalfClosed()
    host.exchangeBegan()
    host.route(exchange)
  }

  /** A head we will not act on: answered with its status, and the connection closes. */
  #refuse(code: ErrorCode, detail: string): void {
    const requestId = this.#recordRefusal(code, detail)
    if (code !== 'CLIENT_GONE') this.#stream.writeText(refusalText(code, requestId, this.dateText))
    this.#linger()
  }

  /** Returns the id under which it is logged. */
  #recordRefusal(code: ErrorCode, detail: string): string {
    const requestId = this.#host.requestIds.next()
    const bytesIn = this.#held.size > 0 ? this.#held.size : this.#end
    const startMs = this.#headStartMs
    this.#host.refused(refusedFacts(this.client, { requestId, startMs, code, detail, bytesIn }))
    return requestId
  }

  /** Sends the rest, then FIN, and drops what still comes: a reset would take the answer away. */
  #linger(): void {
    this.#phase = 'linger'
    this.#host.idle.remove(this.#place)
    this.#held.clear()
    this.#stream.owner = this
    this.#stream.end()
    this.#stream.resume()
    this.#host.env.timers.disarm(this)
    this.#host.env.timers.arm(this, LINGER_MS)
  }

  #watchHead(): void {
    // From the first byte, once: a byte now and then does not buy time.
    const leftMs = this.#headStartMs + this.#host.config.timeouts.headerMs - this.#host.env.clock.now()
    this.#host.env.timers.disarm(this)
    this.#host.env.timers.arm(this, Math.max(0, leftMs))
  }

  #watchBody(exchange: Http1Exchange, arrived: number): void {
    this.#bodyWatch ??= new BodyWatch(this.#host, this)
    this.#bodyWatch.arrived(exchange, arrived)
  }

  #watchHalfClosed(): void {
    this.#halfClosed ??= new HalfClosed(this.#exchange?.record)
    this.#host.env.timers.arm(this, HALF_CLOSED_MS)
  }

  #halfClosedTimeout(): void {
    const isGone = this.#halfClosed?.isGone(this.#exchange?.record, this.#stream.allSent)
    if (isGone === true) this.destroy('CLIENT_GONE')
    else this.#watchHalfClosed()
  }

  #takeHeldAnd(bytes: Buffer, size: number): void {
    if (this.#held.size === 0) return this.#take(bytes, size, true)
    this.#held.hold(bytes, 0, size, true)
    this.#goOn()
  }

  #hold(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.#held.hold(bytes, start, end, shared)
    this.#held.pauseIfOver(this.#stream, this.#host.headLimits.headersBytes)
  }
}
