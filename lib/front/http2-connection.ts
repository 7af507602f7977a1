import { randomBytes } from 'node:crypto'
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { ErrorCode } from '../base/errors.ts'
import type { Deadline } from '../base/timers.ts'
import type { ClientFacts } from '../http/exchange.ts'
import { originOf } from '../http/forwarded.ts'
import { ExchangeRecord } from '../http/record.ts'
import { type Http2Request, isMalformed, readHttp2Head } from '../wire/http2-head.ts'
import type { Refusal } from '../wire/refusal.ts'
import type { ClientConnection, ConnectionHost } from './connection-host.ts'
import { errorAnswer } from './error-answer.ts'
import { FloodBudget } from './flood-budget.ts'
import { answerPairs } from './http2-answer.ts'
import { Http2Exchange, type Http2Wire } from './http2-exchange.ts'
import { Http2Output, type OutputOwner } from './http2-output.ts'
import { openSession, STREAM_WINDOW } from './http2-session.ts'
import { refusedFacts } from './refusal.ts'

/** open: takes requests. closing: has said goodbye (GOAWAY), what runs may finish. closed: gone. */
type Phase = 'open' | 'closing' | 'closed'

/** How often a connection on which something moves is looked at, and one on which nothing does. */
const LOOK_MS = 1000
const QUIET_LOOK_MS = 5000
/** How long a client may take to close after our goodbye, and how long one that has half-closed may go without a byte of answer. */
const LINGER_MS = 5000

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR } =
  constants

/** Of nghttp2: acknowledgements pile up. */
const NGHTTP2_ERR_FLOODED = -904

const NOBODY: OutputOwner = {
  outputRefused: ignore,
  outputDrained: ignore,
}

/** A client's HTTP/2 connection: many exchanges at a time, each a stream. */
export class Http2Connection implements ClientConnection, Http2Wire, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly client: ClientFacts
  readonly host: ConnectionHost
  readonly #socket: Socket
  readonly #session: ServerHttp2Session | undefined
  readonly #budget: FloodBudget
  /** Those whose stream is open; some have ended and still have to deliver. */
  readonly #streams = new Set<Http2Exchange>()
  #phase: Phase = 'open'
  #inputEnded = false
  /** Of the last byte in either direction, as far as a look has seen it. */
  #movedAtMs: number
  #bytesRead = 0
  #bytesWritten = 0
  /** When the client was last seen to take bytes. */
  #tookAtMs: number
  /** Bytes of bodies whose streams are gone. */
  #goneBodies = 0
  /** When the last exchange ended, or the connection began. */
  #idleSinceMs: number
  /** It has asked for something. */
  #greeted = false

  constructor(socket: Socket, client: ClientFacts, host: ConnectionHost) {
    this.client = client
    this.host = host
    this.#socket = socket
    const now = host.env.clock.now()
    this.#budget = new FloodBudget(now)
    this.#movedAtMs = now
    this.#tookAtMs = now
    this.#idleSinceMs = now
    this.#session = this.#open()
    host.env.timers.arm(this, LOOK_MS)
    if (host.draining) process.nextTick(() => this.#sayGoodbye())
  }

  drain(): void {
    this.#sayGoodbye()
  }

  destroy(code: ErrorCode): void {
    this.#cut(code, undefined, NGHTTP2_NO_ERROR)
  }

  // Deadline: looks after the connection, since nobody tells of what does not happen.

  expired(): void {
    if (this.#phase === 'closed') return
    const now = this.host.env.clock.now()
    const moved = this.#look(now)
    this.#watchStreams(now)
    this.#watchIdle(now)
    if (this.#isClosed()) return
    const busy = moved || this.#streams.size > 0 || this.#phase === 'closing' || !this.#greeted
    this.host.env.timers.arm(this, busy ? LOOK_MS : QUIET_LOOK_MS)
  }

  // Http2Wire.

  finished(exchange: Http2Exchange): void {
    this.#idleSinceMs = this.host.env.clock.now()
    exchange.record.bytesIn += exchange.inputReceived
    if (!exchange.bodyDone) this.#budget.drop(STREAM_WINDOW)
    this.host.exchangeEnded(exchange)
  }

  gone(exchange: Http2Exchange, reset: boolean): void {
    this.#streams.delete(exchange)
    this.#goneBodies += exchange.inputBytes
    if (reset) this.#countReset()
  }

  #open(): ServerHttp2Session | undefined {
    const socket = this.#socket
    socket.on('error', ignore)
    if (socket.destroyed) {
      // Told once whoever made this knows it.
      process.nextTick(() => this.#socketClosed())
      return undefined
    }
    socket.once('close', () => this.#socketClosed())
    socket.once('end', () => this.#peerEnded())
    const session = openSession(socket, this.host.config)
    session.on('stream', (stream, _headers, flags, raw?: string[]) => this.#arrived(stream, flags, raw ?? []))
    session.on('error', error => this.#sessionFailed(error))
    // Node takes what was put back into the socket in its own next tick; a socket that flows before would drop it.
    process.nextTick(() => socket.resume())
    return session
  }

  #arrived(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    this.#greeted = true
    // Reset in the same breath: it may have been meant to cost us a request.
    if (stream.destroyed || stream.closed) return this.#resetAtOnce(stream, raw)
    const endStream = (flags & NGHTTP2_FLAG_END_STREAM) !== 0
    const head = readHttp2Head(raw, { endStream, newKey }, this.host.headLimits)
    if ('refused' in head) this.#refuse(stream, head, raw)
    else this.#begin(stream, head, endStream)
  }

  #begin(stream: ServerHttp2Stream, request: Http2Request, endStream: boolean): void {
    const { host, client } = this
    this.#budget.head(request.size)
    const record = new ExchangeRecord(host.requestIds.of(client, request.fields), host.env.clock.now())
    record.bytesIn = request.size
    const origin = originOf(client, request.fields, request.host, host.trusted)
    record.clientIp = origin.clientIp
    record.scheme = origin.scheme
    const exchange = new Http2Exchange(this, stream, { request, origin, record, endStream })
    this.#streams.add(exchange)
    host.exchangeBegan()
    if (request.contentLength > host.config.limits.bodyBytes) exchange.fail('BODY_TOO_LARGE', 'body-limit')
    else host.route(exchange)
  }

  /** A head we will not act on: broken HTTP/2 is reset, the rest is answered. */
  #refuse(stream: ServerHttp2Stream, refusal: Refusal, raw: readonly string[]): void {
    stream.on('error', ignore)
    const record = this.#recordHead(refusal.refused, refusal.detail, raw)
    if (isMalformed(refusal)) {
      stream.close(NGHTTP2_PROTOCOL_ERROR)
      this.#countReset()
      return
    }
    const { head, text } = errorAnswer(record.status, record, undefined)
    const output = new Http2Output(stream, NOBODY)
    output.begin(answerPairs(head, this.host.date.text(), undefined), false, false)
    output.put(Buffer.from(text, 'latin1'))
    output.end(undefined)
    this.#budget.drop(STREAM_WINDOW)
  }

  #resetAtOnce(stream: ServerHttp2Stream, raw: readonly string[]): void {
    stream.on('error', ignore)
    this.#recordHead('CLIENT_GONE', 'reset with its head', raw)
    this.#countReset()
  }

  #recordHead(code: ErrorCode, detail: string, raw: readonly string[]): ExchangeRecord {
    let size = 0
    for (const text of raw) size += text.length
    this.#budget.head(size)
    return this.#recordRefusal(code, detail, size)
  }

  #recordRefusal(code: ErrorCode, detail: string, bytesIn: number): ExchangeRecord {
    const { host, client } = this
    const [requestId, startMs] = [host.requestIds.next(), host.env.clock.now()]
    const facts = refusedFacts(client, { requestId, startMs, code, detail, bytesIn, protocol: 'HTTP/2.0' })
    host.refused(facts)
    return facts.record
  }

  /** Node has found the connection itself broken, and has closed it: it says so last. */
  #sessionFailed(error: Error): void {
    const detail = faultOf(error)
    if (detail !== undefined) this.#recordRefusal('BAD_REQUEST', detail, 0)
  }

  #countReset(): void {
    if (this.#budget.reset(this.host.env.clock.now())) return
    this.#calm('flood: resets')
  }

  /** CVE-2023-44487 and its like: the client is told to go. */
  #calm(detail: string): void {
    if (this.#phase === 'closed' || this.#session?.destroyed !== false) return
    this.#recordRefusal('BAD_REQUEST', detail, 0)
    this.#cut('CLIENT_GONE', detail, NGHTTP2_ENHANCE_YOUR_CALM)
  }

  /** True if bytes have moved since the last look. */
  #look(now: number): boolean {
    const { bytesRead, bytesWritten } = this.#socket
    if (bytesRead === this.#bytesRead && bytesWritten === this.#bytesWritten) return false
    if (bytesWritten !== this.#bytesWritten) this.#tookAtMs = now
    this.#bytesRead = bytesRead
    this.#bytesWritten = bytesWritten
    this.#movedAtMs = now
    let bodies = this.#goneBodies
    for (const exchange of this.#streams) bodies += exchange.inputBytes
    if (!this.#budget.look(bytesRead, bytesWritten, bodies, now)) this.#calm('flood: frames')
    return true
  }

  /** A client that takes nothing of a stream loses it; one that takes nothing at all loses its connection. */
  #watchStreams(now: number): void {
    const { writeMs } = this.host.config.timeouts
    if (writeMs === 0) return
    const tookNothing = now - this.#tookAtMs >= writeMs
    for (const exchange of this.#streams) {
      if (!exchange.isStalled(now, writeMs)) continue
      if (!tookNothing && this.#isNarrow()) exchange.excuse(now)
      else exchange.cutStalled()
      if (tookNothing && queuedBytes(this.#socket) > 0) this.#socket.destroy()
    }
  }

  /** What the streams wait for is the connection that they share, not a window of their own. */
  #isNarrow(): boolean {
    return queuedBytes(this.#socket) > 0 || this.#session?.state.remoteWindowSize === 0
  }

  #watchIdle(now: number): void {
    const { keepaliveMs, headerMs } = this.host.config.timeouts
    const silentMs = now - this.#movedAtMs
    if (this.#streams.size > 0) {
      if (this.#inputEnded && silentMs >= LINGER_MS) this.#cut('CLIENT_GONE', undefined, NGHTTP2_NO_ERROR)
    } else if (this.#phase === 'closing') {
      if (silentMs >= LINGER_MS) this.#socket.destroy()
    } else if (now - this.#idleSinceMs >= (this.#greeted ? keepaliveMs : headerMs)) this.#sayGoodbye()
  }

  #sayGoodbye(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'closing'
    this.#movedAtMs = this.host.env.clock.now()
    this.#session?.close()
    this.host.env.timers.arm(this, LOOK_MS)
  }

  #cut(code: ErrorCode, detail: string | undefined, reason: number): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closing'
    for (const exchange of this.#streams) exchange.lost(code, detail)
    if (reason === NGHTTP2_NO_ERROR) this.#session?.destroy()
    else this.#session?.destroy(new Error(detail), reason)
    this.#movedAtMs = this.host.env.clock.now()
    this.host.env.timers.arm(this, LOOK_MS)
  }

  /** The client sends no more. What it has asked for whole may still be answered (RFC 9113 5.1: half-closed). */
  #peerEnded(): void {
    this.#inputEnded = true
    this.#movedAtMs = this.host.env.clock.now()
    for (const exchange of this.#streams) if (!exchange.bodyDone) exchange.lost('CLIENT_GONE', undefined)
    if (this.#streams.size > 0) this.#sayGoodbye()
    else this.#socket.destroy()
  }

  #socketClosed(): void {
    if (this.#phase === 'closed') return
    for (const exchange of this.#streams) exchange.lost('CLIENT_GONE', undefined)
    this.#phase = 'closed'
    this.host.env.timers.disarm(this)
    this.host.closed(this)
  }

  /** Asked where what was called may have closed it. */
  #isClosed(): boolean {
    return this.#phase === 'closed'
  }
}

/** Bytes that wait for the kernel to take them. */
function queuedBytes(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return 0
  const queued: unknown = Reflect.get(handle, 'writeQueueSize')
  return typeof queued === 'number' ? queued : 0
}

function newKey(): string {
  return randomBytes(16).toString('base64')
}

/** What the client has done; undefined if only its socket failed, or if it was we who gave up. */
function faultOf(error: Error): string | undefined {
  const code = 'code' in error ? String(error.code) : ''
  if (code.startsWith('ERR_HTTP2_TOO_MANY')) return 'flood: invalid frames'
  if (code !== 'ERR_HTTP2_ERROR') return undefined
  const flooded = 'errno' in error && error.errno === NGHTTP2_ERR_FLOODED
  return flooded ? 'flood: answers that are not taken' : `http2: ${error.message}`
}

function ignore(): void {}
