import type { ErrorCode } from '../../base/errors.ts'
import { isWithoutContent } from '../../http/answer-content.ts'
import { fieldPolicy } from '../../http/answer-policy.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { BodyReader, ClientWebSocket, KeptAnswer } from '../../http/exchange.ts'
import { FIELD } from '../../http/field-ids.ts'
import type { FieldList } from '../../http/field-list.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { AnswerHead } from '../../http/message.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { CODE } from '../../wire/http2-frames.ts'
import type { Http2Request } from '../../wire/http2-head.ts'
import { loggedBytes } from '../access/logged-request.ts'
import { NO_BODY, type WatchedBody } from '../connection/body-watch.ts'
import { ClientExchange, type Writing } from '../connection/client-exchange.ts'
import type { ConnectionHost } from '../connection/connection-host.ts'
import {
  answerPairs,
  areCarried,
  type HeaderPairs,
  interimPairs,
  keptPairs,
  pairsSize,
  webSocketPairs,
} from './answer-pairs.ts'
import { Http2Body } from './http2-body.ts'
import type { Http2Stream, StreamOwner } from './http2-stream.ts'
import { Http2WebSocket } from './http2-websocket.ts'

/** What an exchange needs of its connection. */
export interface Http2Wire {
  readonly host: ConnectionHost
  readonly client: ClientFacts
  /** The exchange is over; its stream may still have to deliver. */
  finished(exchange: Http2Exchange): void
  /** The stream is gone. */
  gone(exchange: Http2Exchange, reset: boolean): void
  /** Exchanges of the connection whose stream is open. */
  readonly running: number
  /** What the client did has cost its stream. */
  misled(): void
  /**
   * Bytes of DATA that the windows let leave on this stream; undefined while the connection has enough to
   * send, or its socket takes nothing.
   */
  room(stream: Http2Stream): number | undefined
}

/** What came with a request. */
export interface Http2Arrival {
  readonly request: Http2Request
  readonly origin: Origin
  readonly record: ExchangeRecord
  /** No body follows. */
  readonly endStream: boolean
  /** What stands for its head in the account of memory. */
  readonly headBytes: number
}

/** Waits with a stream that can send nothing, so that it is told when it can. */
const PROBE_BYTES = 128

/** One request on an HTTP/2 connection and its answer: a stream. */
export class Http2Exchange extends ClientExchange implements StreamOwner {
  readonly stream: Http2Stream
  readonly #wire: Http2Wire
  readonly #input: Http2Body | undefined
  /** The client reads what comes behind a body. */
  #mayTrail = false
  readonly #asksWebSocket: boolean
  /** What stands for its head in the account of memory; undefined once that was let go. */
  #headBytes: number | undefined
  #webSocket: Http2WebSocket | undefined = undefined

  constructor(wire: Http2Wire, stream: Http2Stream, arrival: Http2Arrival) {
    const { request, endStream, headBytes } = arrival
    super(request, wire.client, arrival.origin, arrival.record)
    this.#wire = wire
    this.stream = stream
    this.#asksWebSocket = request.webSocket
    this.#headBytes = headBytes
    this.#input = endStream ? undefined : this.#inputOf(request)
    stream.hold(headBytes)
    stream.owner = this
  }

  get siblings(): number {
    return this.#wire.running
  }

  get bodyDone(): boolean {
    return this.request.framing === 'none' || this.#input === undefined || this.#input.state === 'done'
  }

  get body(): WatchedBody {
    return this.#input ?? NO_BODY
  }

  /** Payload bytes of its body. */
  get inputReceived(): number {
    return this.#input?.received ?? 0
  }

  /** A WebSocket is of any length. */
  limitBody(bytes: number | undefined): void {
    const input = this.#input
    if (input === undefined || this.#asksWebSocket) return
    input.limit = bytes ?? input.limit
    if (this.request.contentLength > input.limit) this.fail('BODY_TOO_LARGE', 'body-limit')
  }

  receiveBody(reader: BodyReader): void {
    if (this.ended) return
    if (this.bodyDone) return reader.bodyEnd()
    const input = this.#input as Http2Body
    const early = input.waits
    input.flow(reader)
    // RFC 9110 10.1.1: not needed once some of the body has arrived.
    if (this.request.expectsContinue && !early && !this.answered && !this.ended)
      this.stream.inform([':status', '100'])
  }

  pauseBody(): void {
    this.#input?.pause()
  }

  resumeBody(): void {
    if (!this.ended) this.#input?.resume()
  }

  inform(status: number, fields: FieldList): void {
    // RFC 9113 8.6: no 101. And the 100 is ours to give.
    if (this.ended || this.answered || status === 100 || status === 101) return
    if (areCarried(fields)) this.stream.inform(interimPairs(status, fields))
  }

  upgrade(_protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    if (this.ended || this.answered) return undefined
    // Counted and logged as every other switch; the client is told 200.
    this.record.status = 101
    this.writing = 'switched'
    this.stream.begin(webSocketPairs(fields, this.#wire.host.date.text()))
    this.stream.flush()
    this.#webSocket = new Http2WebSocket(this)
    if (this.#input === undefined) reader.bodyEnd()
    else this.#input.flow(reader)
    return this.#webSocket
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    if (this.owesNone) return end
    const wanted = this.writing === 'length' ? Math.min(end - start, this.owed) : end - start
    const size = this.#roomFor(wanted)
    if (size > 0) this.write(bytes, start, start + size)
    if (size === wanted) return end
    this.stream.waitUntilSent()
    return start + size
  }

  room(wanted: number): number {
    if (this.ended || this.writing === 'discard') return wanted
    const room = this.#roomFor(wanted)
    if (room === 0) this.stream.waitUntilSent()
    return room
  }

  flush(): void {
    if (!this.ended) this.stream.flush()
  }

  /** The client has broken the protocol in mid-body (RFC 9113 8.1.1). */
  malformed(detail: string): void {
    if (this.ended) this.stream.reset(CODE.protocol)
    else if (this.giveUp('BAD_REQUEST', detail)) this.#reset(CODE.protocol)
    this.#wire.misled()
  }

  /**
   * RFC 9113 8.1: the answer is complete, and the rest of the request is not wanted. Sent behind the answer.
   */
  unwanted(): void {
    this.stream.close(CODE.noError)
  }

  /**
   * To be called now and then. Once the answer has begun nothing is asked again of the app, so the head is
   * only for the log: of an answer that takes long, that alone is kept.
   */
  letGoOfHead(): void {
    if (!this.answered || this.#headBytes === undefined) return
    this.letGo()
    this.stream.hold(loggedBytes(this.request) - this.#headBytes)
    this.#headBytes = undefined
  }

  lost(code: ErrorCode, detail: string | undefined): void {
    if (this.giveUp(code, detail)) this.#reset(CODE.cancel)
  }

  webSocketWrite(bytes: Buffer): boolean {
    if (this.ended) return true
    this.record.bytesOut += bytes.length
    const room = this.stream.put(bytes)
    this.stream.flush()
    return room
  }

  // StreamOwner.

  streamData(bytes: Buffer, start: number, end: number): void {
    this.#input?.arrived(bytes, start, end)
  }

  streamFlush(): void {
    this.#input?.flush()
  }

  streamTrailers(pairs: readonly string[]): void {
    this.#input?.trailersArrived(pairs)
  }

  streamEnded(): void {
    this.#input?.ended()
  }

  streamDrained(): void {
    if (!this.ended) this.owner?.answerDrained()
  }

  /** Gives up what is left to send. */
  streamStalled(why: string): void {
    if (this.ended) this.stream.reset(CODE.cancel)
    else this.lost('CLIENT_TIMEOUT', why)
  }

  streamClosed(code: number): void {
    const reset = code !== CODE.noError
    const early = !this.ended
    if (this.#webSocket?.outputEnded === true) this.end()
    else this.lost('CLIENT_GONE', undefined)
    this.#wire.gone(this, early && reset)
  }

  // ClientExchange.

  protected mayBegin(head: AnswerHead): boolean {
    // A 2xx would open the WebSocket that nobody is at the other end of.
    if (this.#asksWebSocket && head.status < 300)
      this.fail('NOT_IMPLEMENTED', 'WebSockets are not supported here')
    else if (head.status > 599) this.fail('UPSTREAM_BAD', 'status')
    return !this.ended
  }

  protected sendHead(head: AnswerHead): void {
    // RFC 9113 8.6: there is no switching here.
    if (head.status === 426) head.fields.dropAll(FIELD.upgrade)
    this.#begin(head, answerPairs(head, this.#wire.host.date.text()))
  }

  protected sendKept(answer: KeptAnswer): boolean {
    const { head, body } = answer
    const { scheme } = this.origin
    this.record.status = head.status
    this.#begin(
      head,
      keptPairs(answer, this.#wire.host.date.text(), fieldPolicy(this.policy, scheme), scheme),
    )
    if (this.owe(body.length) > 0) this.#put(body)
    this.end()
    return true
  }

  protected sendBytes(bytes: Uint8Array, start: number, end: number): boolean {
    this.record.bytesOut += end - start
    return this.stream.putCopy(bytes, start, end)
  }

  protected sendText(text: string): boolean {
    return this.#put(Buffer.from(text, 'latin1'))
  }

  protected sendEnd(trailers: FieldList | undefined): void {
    this.stream.end(this.#mayTrail && trailers !== undefined && areCarried(trailers) ? trailers : undefined)
    this.#finish()
  }

  protected cut(): void {
    this.#reset(this.#webSocket === undefined ? CODE.internal : CODE.cancel)
  }

  #begin(head: AnswerHead, pairs: HeaderPairs): void {
    this.record.bytesOut += pairsSize(pairs)
    this.writing = writingOf(this.request.method, head)
    if (this.writing === 'length') this.owed = head.length as number
    // A client that reads trailers says so (RFC 9110 10.1.4). A length does not exclude them (RFC 9113 8.1).
    this.#mayTrail = this.writing !== 'discard' && this.request.fields.rawIndexOf(FIELD.te) >= 0
    if (areCarried(head.fields)) this.stream.begin(pairs)
    else this.fail('INTERNAL', 'a field specific to HTTP/1.1')
  }

  #inputOf(request: Http2Request): Http2Body {
    const { host } = this.#wire
    return new Http2Body(this.stream, this, host, {
      length: request.framing === 'length' ? request.contentLength : undefined,
      limit: request.webSocket ? Number.POSITIVE_INFINITY : host.config.limits.bodyBytes,
      webSocket: request.webSocket,
    })
  }

  /**
   * With nothing queued a little is taken whatever the windows say: that it leaves is how its owner learns
   * that they are open. Nothing while others have yet to send what they were given.
   */
  #roomFor(wanted: number): number {
    const room = this.#wire.room(this.stream)
    if (room === undefined) return 0
    const { queued } = this.stream
    const least = queued === 0 ? PROBE_BYTES : 0
    return Math.min(wanted, Math.max(least, room - queued))
  }

  #put(bytes: Buffer): boolean {
    this.record.bytesOut += bytes.length
    return this.stream.put(bytes)
  }

  /** The client can tell a reset from an answer that has ended. */
  #reset(code: number): void {
    // Said first: the stream tells of its end in the same breath.
    this.ended = true
    this.stream.reset(code)
    this.#finish()
  }

  #finish(): void {
    this.ended = true
    this.owner = undefined
    this.#wire.finished(this)
    const input = this.#input
    if (input === undefined) return
    input.stop()
    // Some clients lose the answer over a reset: one that can send all of the rest is left to it, for a
    // while.
    if (this.stream.inputOpen && !input.mayRest) this.unwanted()
  }
}

function writingOf(method: string, { status, length }: AnswerHead): Writing {
  if (isWithoutContent(method, status)) return 'discard'
  return length === undefined ? 'open' : 'length'
}
