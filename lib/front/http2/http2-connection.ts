import type { Socket } from 'node:net'
import { ByteStream, type ByteStreamOwner } from '../../base/byte-stream.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Deadline } from '../../base/timers.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { newWebSocketKey } from '../../http/websocket.ts'
import { CODE, goawayFrame, resetFrame, windowFrame } from '../../wire/http2-frames.ts'
import { type Http2Request, isMalformed, listBytes, readHttp2Head } from '../../wire/http2-head.ts'
import type { Refusal } from '../../wire/refusal.ts'
import { originAt, recordAt } from '../connection/arrival.ts'
import { ConnectionMemory } from '../connection/client-memory.ts'
import type { ClientConnection, ConnectionHost } from '../connection/connection-host.ts'
import { IdlePlace, type MayIdle } from '../connection/idle-list.ts'
import { refusedFacts } from '../connection/refusal.ts'
import { FloodBudget } from './flood-budget.ts'
import { Http2Exchange, type Http2Wire } from './http2-exchange.ts'
import { greeting, readableHeads } from './http2-greeting.ts'
import { Http2Receiver, type ReceiverOwner } from './http2-receiver.ts'
import { answerRefused, isHead } from './http2-refusal.ts'
import { Http2Sender } from './http2-sender.ts'
import { Http2Stream, NOBODY, STREAM_WINDOW, type StreamHost } from './http2-stream.ts'
import { StreamWatch } from './http2-stream-watch.ts'
import { StreamTable } from './http2-streams.ts'

/** open: takes requests. closing: has sent GOAWAY. ending: sends no more. closed: gone. */
type Phase = 'open' | 'closing' | 'ending' | 'closed'

/** How often a connection on which something runs is looked at, and one on which nothing does. */
const LOOK_MS = 1000
const QUIET_LOOK_MS = 5000
/** How long a client may take to close, and a half-closed one to take a byte of its answers. */
const LINGER_MS = 5000
/** What an open stream costs besides its head. */
const STREAM_BYTES = 2048
/** How long a stream's client may take nothing of it while memory is short. */
const SHED_MS = 2000

/** A client's HTTP/2 connection: many exchanges at a time, each a stream. */
export class Http2Connection
  implements ClientConnection, ByteStreamOwner, ReceiverOwner, StreamHost, Http2Wire, Deadline, MayIdle
{
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly client: ClientFacts
  readonly host: ConnectionHost
  readonly memory: ConnectionMemory
  readonly #place = new IdlePlace(this)
  readonly #stream: ByteStream
  readonly #sender: Http2Sender
  readonly #receiver: Http2Receiver
  readonly #streams = new StreamTable()
  readonly #budget: FloodBudget
  /** Those whose stream is open; some have ended and still have to deliver. */
  readonly #exchanges = new Set<Http2Exchange>()
  /** Begun in this read. */
  readonly #fresh: Http2Exchange[] = []
  readonly #mostStreams: number
  #phase: Phase = 'open'
  #inputEnded = false
  readonly #watch: StreamWatch
  /** When it began to close, or to end. */
  #closingSinceMs = 0
  #flooded = false
  /** When the last exchange ended, or the connection began. */
  #idleSinceMs: number
  /** It has asked for something. */
  #greeted = false

  /** `early`: what was read of the socket before. */
  constructor(socket: Socket, client: ClientFacts, host: ConnectionHost, early?: Buffer) {
    this.client = client
    this.host = host
    this.memory = new ConnectionMemory(host.memory)
    const { env, config } = host
    const { limits, timeouts } = config
    const now = env.clock.now()
    this.#budget = new FloodBudget(now, host.resets.of(client, now))
    this.#idleSinceMs = now
    this.#mostStreams = limits.streams
    const headLimits = readableHeads(limits)
    const isGone = socket.destroyed
    this.#stream = ByteStream.accept(socket, this, env.timers, timeouts.writeMs)
    this.#sender = new Http2Sender(this.#stream)
    this.#watch = new StreamWatch(this.#streams, this.#sender, this.#stream, now)
    const parts = { sender: this.#sender, streams: this.#streams, budget: this.#budget, headLimits }
    this.#receiver = new Http2Receiver(this, parts)
    this.#sender.control(greeting(limits.streams, headLimits.maxBytes))
    env.timers.arm(this, LOOK_MS)
    host.idle.add(this.#place)
    // Told once whoever made this knows it.
    process.nextTick(() => {
      if (isGone) this.streamClosed(undefined)
      else if (early !== undefined && early.length > 0) this.streamBytes(early, early.length)
      if (host.draining) this.#sayGoodbye()
    })
  }

  drain(): void {
    this.#sayGoodbye()
  }

  destroy(code: ErrorCode): void {
    this.#cut(code, undefined, CODE.noError)
    this.#stream.destroy()
  }

  closeIdle(): boolean {
    if (this.#streams.size > 0 || !this.#stream.allSent) return false
    this.#sayGoodbye()
    this.#stream.destroy()
    return true
  }

  shedStalled(nowMs: number): void {
    this.#watch.shed(nowMs, SHED_MS)
  }

  // Deadline: looks after the connection, since nobody tells of what does not happen.

  expired(): void {
    if (this.#phase === 'closed') return
    const now = this.now()
    this.#watchStreams(now)
    this.#watchIdle(now)
    if (this.#is('closed')) return
    const busy = this.#streams.size > 0 || this.#phase !== 'open' || !this.#greeted
    this.host.env.timers.arm(this, busy ? LOOK_MS : QUIET_LOOK_MS)
  }

  // ByteStreamOwner.

  streamBytes(bytes: Buffer, end: number): void {
    this.#receiver.read(bytes, end)
  }

  /** The client has half-closed (RFC 9113 5.1): what it has asked for may still be answered. */
  streamEnded(): void {
    this.#inputEnded = true
    this.#watch.moved(this.now())
    for (const exchange of this.#exchanges) {
      if (exchange.bodyDone) continue
      exchange.lost('CLIENT_GONE', undefined)
      exchange.unwanted()
    }
    if (this.#streams.size > 0) this.#sayGoodbye()
    else this.#end()
  }

  streamDrained(): void {
    this.#sender.drained()
  }

  streamStalled(): void {
    for (const stream of this.#streams.all()) stream.owner.streamStalled('stopped reading the response')
    this.#stream.destroy()
  }

  streamClosed(error: Error | undefined): void {
    if (this.#phase === 'closed') return
    this.#receiver.stop()
    for (const exchange of this.#exchanges) exchange.lost('CLIENT_GONE', error?.message)
    this.#phase = 'closed'
    // Some of those whose exchanges have ended still had to deliver.
    for (const stream of this.#streams.all()) this.#streams.end(stream)
    this.memory.close()
    this.host.idle.remove(this.#place)
    this.host.env.timers.disarm(this)
    this.host.closed(this)
  }

  // Http2Wire.

  get running(): number {
    return this.#exchanges.size
  }

  finished(exchange: Http2Exchange): void {
    this.#idleSinceMs = this.now()
    exchange.record.bytesIn += exchange.inputReceived
    this.host.exchangeEnded(exchange)
  }

  gone(exchange: Http2Exchange, reset: boolean): void {
    this.#exchanges.delete(exchange)
    if (reset) this.#countReset()
  }

  misled(): void {
    this.#countReset()
  }

  room(stream: Http2Stream): number | undefined {
    return this.#sender.isBackedUp || this.memory.isQueueFull ? undefined : this.#sender.room(stream)
  }

  // StreamHost.

  streamReady(stream: Http2Stream): void {
    this.#sender.ready(stream)
  }

  streamInLine(stream: Http2Stream): void {
    this.#sender.queueUp(stream)
  }

  streamReset(stream: Http2Stream, code: number): void {
    this.#sender.control(resetFrame(stream.id, code))
    this.#streams.drop(stream, code)
    this.#streamGone(stream)
  }

  streamDone(stream: Http2Stream): void {
    this.#streams.end(stream)
    this.#streamGone(stream)
  }

  streamGranted(stream: Http2Stream, bytes: number): void {
    this.#sender.control(windowFrame(stream.id, bytes))
  }

  // ReceiverOwner.

  now(): number {
    return this.host.env.clock.now()
  }

  headArrived(id: number, pairs: string[], ends: boolean): void {
    this.#greeted = true
    if (this.#phase !== 'open' || this.#streams.size >= this.#mostStreams) return this.#refuseStream(id)
    const headBytes = listBytes(pairs)
    if (!this.#admits(STREAM_BYTES + headBytes)) return this.#refuseStream(id)
    const head = readHttp2Head(pairs, { endStream: ends, newKey: newWebSocketKey }, this.host.headLimits)
    if ('refused' in head) this.#refuse(id, head, pairs, ends)
    else this.#begin(this.#open(id, ends), head, ends, headBytes)
  }

  headRefused(id: number, code: number, detail: string): void {
    this.#greeted = true
    this.#recordRefusal(code === CODE.calm ? 'HEAD_TOO_LARGE' : 'BAD_REQUEST', detail, 0)
    this.streamFault(id, code)
  }

  /** Only now does their work begin: one that was reset in the read that brought it costs the app nothing. */
  headsOver(): void {
    for (const exchange of this.#fresh) if (!exchange.ended) this.host.route(exchange)
    this.#fresh.length = 0
  }

  resetArrived(stream: Http2Stream): void {
    this.#streams.end(stream, CODE.cancel)
    this.#streamGone(stream)
  }

  streamFault(stream: Http2Stream | number, code: number): void {
    if (typeof stream === 'number') {
      this.#sender.control(resetFrame(stream, code))
      this.#streams.dropUnopened(stream, STREAM_WINDOW)
      this.#countReset()
    } else {
      // A stream of an exchange that runs is counted when that is gone.
      const { owner } = stream
      if (owner === NOBODY || (owner instanceof Http2Exchange && owner.ended)) this.#countReset()
      stream.reset(code)
    }
  }

  /** The client has broken the connection. */
  fault(code: number, detail: string): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return
    this.#recordRefusal('BAD_REQUEST', detail, 0)
    this.#cut('CLIENT_GONE', detail, code)
  }

  goawayArrived(): void {
    this.#sayGoodbye()
  }

  #open(id: number, ends: boolean): Http2Stream {
    const stream = new Http2Stream(id, this, NOBODY, !ends, this.#streams.firstWindow)
    this.#streams.add(stream)
    this.host.idle.remove(this.#place)
    stream.hold(STREAM_BYTES)
    return stream
  }

  #begin(stream: Http2Stream, request: Http2Request, endStream: boolean, headBytes: number): void {
    const { host, client } = this
    const origin = originAt(host, client, request)
    const record = recordAt(host, client, request, origin, this.now())
    const exchange = new Http2Exchange(this, stream, { request, origin, record, endStream, headBytes })
    this.#exchanges.add(exchange)
    host.exchangeBegan()
    this.#fresh.push(exchange)
  }

  /** Is there room for one more request? One that is alone always has some. */
  #admits(bytes: number): boolean {
    const { memory } = this
    if (this.#streams.size === 0 || memory.admits(bytes)) return true
    this.#watch.letGoOfHeads()
    return memory.admits(bytes)
  }

  /** One stream too many, or behind our GOAWAY: not looked at, may be repeated (RFC 9113 8.7). */
  #refuseStream(id: number): void {
    if (this.#phase === 'ending') return
    this.streamFault(id, CODE.refused)
  }

  /** A head we will not act on: broken HTTP/2 is reset, the rest is answered. */
  #refuse(id: number, refusal: Refusal, pairs: readonly string[], ends: boolean): void {
    const record = this.#recordRefusal(refusal.refused, refusal.detail, listBytes(pairs))
    if (isMalformed(refusal)) return this.streamFault(id, CODE.protocol)
    const stream = this.#open(id, ends)
    answerRefused(stream, record, { isHead: isHead(pairs), dateText: this.host.date.text() })
    if (!ends) stream.close(CODE.noError)
  }

  #recordRefusal(code: ErrorCode, detail: string, bytesIn: number): ExchangeRecord {
    const { host, client } = this
    const [requestId, startMs] = [host.requestIds.next(), this.now()]
    const facts = refusedFacts(client, { requestId, startMs, code, detail, bytesIn, protocol: 'HTTP/2.0' })
    host.refused(facts)
    return facts.record
  }

  /** CVE-2023-44487 and its like: the client is told to go. */
  #countReset(): void {
    if (this.#phase !== 'ending' && !this.#budget.reset(this.now())) this.fault(CODE.calm, 'flood: resets')
  }

  #watchStreams(now: number): void {
    const lingerMs = this.#phase === 'open' ? LINGER_MS : 0
    if (this.#watch.look(now, lingerMs, this.host.config.timeouts.writeMs)) this.streamStalled()
  }

  #watchIdle(now: number): void {
    const { keepaliveMs, headerMs } = this.host.config.timeouts
    if (this.#phase === 'ending') {
      // A slow reader is still taking what was sent last: the stream watches that.
      const lingerMs = this.#flooded ? LOOK_MS : LINGER_MS
      if (now - this.#closingSinceMs >= lingerMs && this.#stream.allSent) this.#stream.destroy()
    } else if (this.#streams.size > 0) {
      if (this.#inputEnded && this.#stream.allSent && now - this.#watch.movedAtMs >= LINGER_MS)
        this.#cut('CLIENT_GONE', undefined, CODE.noError)
    } else if (this.#phase === 'open' && now - this.#idleSinceMs >= (this.#greeted ? keepaliveMs : headerMs))
      this.#sayGoodbye()
  }

  #sayGoodbye(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'closing'
    this.#sender.control(goawayFrame(this.#streams.highest, CODE.noError))
    this.#endIfDone()
    if (!this.#is('closed')) this.host.env.timers.arm(this, LOOK_MS)
  }

  #streamGone(stream: Http2Stream): void {
    this.#sender.forget(stream)
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#streams.size > 0) return
    if (this.#phase === 'closing') this.#end()
    else if (this.#phase === 'open') this.host.idle.add(this.#place)
  }

  #cut(code: ErrorCode, detail: string | undefined, reason: number): void {
    if (this.#phase === 'ending' || this.#phase === 'closed') return
    this.#phase = 'ending'
    this.#flooded = reason === CODE.calm
    // What still comes of a flood would cost others their turn.
    if (this.#flooded) this.#stream.pause()
    for (const exchange of this.#exchanges) exchange.lost(code, detail)
    this.#sender.control(goawayFrame(this.#streams.highest, reason))
    this.#end()
  }

  /** Sends the frames that are left, then drops what the client still sends until it closes. */
  #end(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'ending'
    this.#closingSinceMs = this.now()
    this.#receiver.stop()
    this.#sender.finish()
    this.#stream.end()
    this.host.env.timers.arm(this, LOOK_MS)
  }

  /** Asked where what was called may have changed it. */
  #is(phase: Phase): boolean {
    return this.#phase === phase
  }
}
