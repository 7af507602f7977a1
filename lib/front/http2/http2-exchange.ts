import { type ErrorCode, endCauseOf, traitsOf } from '../../base/errors.ts'
import { isWithoutContent } from '../../http/answer-content.ts'
import { type AnswerPolicy, addedHsts } from '../../http/answer-policy.ts'
import type {
  BodyReader,
  ClientFacts,
  ClientWebSocket,
  Exchange,
  ExchangeOwner,
  KeptAnswer,
} from '../../http/exchange.ts'
import { FIELD } from '../../http/field-ids.ts'
import type { FieldList } from '../../http/field-list.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { AnswerHead, RequestHead } from '../../http/message.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { CODE } from '../../wire/http2-frames.ts'
import type { Http2Request } from '../../wire/http2-head.ts'
import { detachRecord, loggedBytes, loggedOrigin, loggedRequest } from '../access/logged-request.ts'
import { NO_BODY, type WatchedBody } from '../connection/body-watch.ts'
import { errorAnswer } from '../connection/error-answer.ts'
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
import type { Http2Arrival, Http2Wire } from './http2-wire.ts'

/**
 * none: no head yet. length, open: a body of known or unknown length. discard: a body that may not be sent (HEAD, 204, 205, 304). switched: no
 * HTTP any more.
 */
type Writing = 'none' | 'length' | 'open' | 'discard' | 'switched'

/** Waits with a stream that can send nothing, so that it is told when it can. */
const PROBE_BYTES = 128

/** One request on an HTTP/2 connection and its answer: a stream. */
export class Http2Exchange implements Exchange, StreamOwner {
  /** From some time behind the answer's head on, what the log needs of it. */
  request: RequestHead
  readonly client: ClientFacts
  origin: Origin
  readonly record: ExchangeRecord
  readonly stream: Http2Stream
  policy: AnswerPolicy | undefined = undefined
  readonly #wire: Http2Wire
  readonly #input: Http2Body | undefined
  #owner: ExchangeOwner | undefined = undefined
  #writing: Writing = 'none'
  /** Bytes of the answer's body that its head promised and that are still to come. */
  #owed = 0
  /** The client reads what comes behind a body. */
  #mayTrail = false
  readonly #asksWebSocket: boolean
  /** What stands for its head in the account of memory; undefined once that was let go. */
  #headBytes: number | undefined
  #webSocket: Http2WebSocket | undefined = undefined
  #ended = false

  constructor(wire: Http2Wire, stream: Http2Stream, arrival: Http2Arrival) {
    const { request, endStream, headBytes } = arrival
    this.#wire = wire
    this.stream = stream
    this.request = request
    this.client = wire.client
    this.origin = arrival.origin
    this.record = arrival.record
    this.#asksWebSocket = request.webSocket
    this.#headBytes = headBytes
    this.#input = endStream ? undefined : this.#inputOf(request)
    stream.hold(headBytes)
    stream.owner = this
  }

  get siblings(): number {
    return this.#wire.running
  }

  get answered(): boolean {
    return this.#writing !== 'none'
  }

  get ended(): boolean {
    return this.#ended
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

  attach(owner: ExchangeOwner): void {
    this.#owner = owner
  }

  receiveBody(reader: BodyReader): void {
    if (this.#ended) return
    if (this.bodyDone) return reader.bodyEnd()
    const input = this.#input as Http2Body
    const early = input.waits
    input.flow(reader)
    // RFC 9110 10.1.1: not needed once some of the body has arrived.
    if (this.request.expectsContinue && !early && !this.answered && !this.#ended)
      this.stream.inform([':status', '100'])
  }

  pauseBody(): void {
    this.#input?.pause()
  }

  resumeBody(): void {
    if (!this.#ended) this.#input?.resume()
  }

  inform(status: number, fields: FieldList): void {
    // RFC 9113 8.6: no 101. And the 100 is ours to give.
    if (this.#ended || this.answered || status === 100 || status === 101) return
    if (areCarried(fields)) this.stream.inform(interimPairs(status, fields))
  }

  begin(head: AnswerHead): void {
    if (this.#ended || this.answered) return
    // A 2xx would open the WebSocket that nobody is at the other end of.
    if (this.#asksWebSocket && head.status < 300) return this.fail('NOT_IMPLEMENTED', 'no WebSocket here')
    if (head.status > 599) return this.fail('UPSTREAM_BAD', 'status')
    // RFC 9113 8.6: there is no switching here.
    if (head.status === 426) head.fields.dropAll(FIELD.upgrade)
    const hsts = this.policy === undefined ? undefined : addedHsts(this.policy, this.origin.scheme, head)
    this.#begin(head, answerPairs(head, this.#wire.host.date.text(), hsts))
  }

  answerKept(answer: KeptAnswer): void {
    if (this.#ended || this.answered) return
    const { head, body } = answer
    if (this.policy?.hsts === undefined && !this.#asksWebSocket)
      this.#begin(head, keptPairs(answer, this.#wire.host.date.text()))
    else this.begin(head)
    if (this.#owe(body.length) > 0) {
      this.record.bytesOut += body.length
      this.stream.put(body)
    }
    this.end()
  }

  upgrade(_protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    if (this.#ended || this.answered) return undefined
    // Counted and logged as every other switch; the client is told 200.
    this.record.status = 101
    this.#writing = 'switched'
    this.stream.begin(webSocketPairs(fields, this.#wire.host.date.text()))
    this.stream.flush()
    this.#webSocket = new Http2WebSocket(this)
    if (this.#input === undefined) reader.bodyEnd()
    else this.#input.flow(reader)
    return this.#webSocket
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const size = this.#owe(end - start)
    if (size === 0) return true
    this.record.bytesOut += size
    return this.stream.putCopy(bytes, start, start + size)
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    if (this.#ended || this.#writing === 'discard' || this.#writing === 'none') return end
    const wanted = this.#writing === 'length' ? Math.min(end - start, this.#owed) : end - start
    const size = this.#roomFor(wanted)
    if (size > 0) this.write(bytes, start, start + size)
    if (size === wanted) return end
    this.stream.waitUntilSent()
    return start + size
  }

  room(wanted: number): number {
    if (this.#ended || this.#writing === 'discard') return wanted
    const room = this.#roomFor(wanted)
    if (room === 0) this.stream.waitUntilSent()
    return room
  }

  writeText(text: string): boolean {
    const size = this.#owe(text.length)
    return size === 0 || this.#put(Buffer.from(text.slice(0, size), 'latin1'))
  }

  flush(): void {
    if (!this.#ended) this.stream.flush()
  }

  end(trailers?: FieldList): void {
    if (this.#ended) return
    // Fewer bytes than promised: the client must not take it for whole.
    if (this.#owed > 0) return this.fail('INTERNAL', 'answer shorter than its length')
    this.stream.end(this.#mayTrail && trailers !== undefined && areCarried(trailers) ? trailers : undefined)
    this.#finish()
  }

  fail(code: ErrorCode, detail?: string): void {
    if (this.#ended) return
    this.record.end = endCauseOf(code)
    this.record.detail = detail ?? this.record.detail
    const owner = this.#owner
    this.#owner = undefined
    if (this.answered) this.#cut(this.#webSocket === undefined ? CODE.internal : CODE.cancel)
    else this.#answerError(traitsOf(code).status)
    // Whoever worked for it and did not report this itself, stops.
    owner?.clientGone()
  }

  /** The client has broken the protocol in mid-body (RFC 9113 8.1.1). */
  malformed(detail: string): void {
    if (this.#ended) this.stream.reset(CODE.protocol)
    else this.#lose('BAD_REQUEST', detail, CODE.protocol)
    this.#wire.misled()
  }

  /** RFC 9113 8.1: the answer is complete, and the rest of the request is not wanted. Sent behind the answer. */
  unwanted(): void {
    this.stream.close(CODE.noError)
  }

  /**
   * To be called now and then. Once the answer has begun nothing is asked again of the app, so the head is only for the log: of an answer that takes
   * long, that alone is kept.
   */
  letGoOfHead(): void {
    if (!this.answered || this.#headBytes === undefined) return
    this.request = loggedRequest(this.request)
    this.origin = loggedOrigin(this.origin)
    detachRecord(this.record)
    this.stream.hold(loggedBytes(this.request) - this.#headBytes)
    this.#headBytes = undefined
  }

  /** The connection is gone or is cut, or the client takes nothing any more. */
  lost(code: ErrorCode, detail: string | undefined): void {
    this.#lose(code, detail, CODE.cancel)
  }

  webSocketWrite(bytes: Buffer): boolean {
    if (this.#ended) return true
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
    if (!this.#ended) this.#owner?.answerDrained()
  }

  /** Gives up what is left to send. */
  streamStalled(why: string): void {
    if (this.#ended) this.stream.reset(CODE.cancel)
    else this.lost('CLIENT_TIMEOUT', why)
  }

  streamClosed(code: number): void {
    const reset = code !== CODE.noError
    const early = !this.#ended
    if (this.#webSocket?.outputEnded === true) this.end()
    else this.lost('CLIENT_GONE', undefined)
    this.#wire.gone(this, early && reset)
  }

  #inputOf(request: Http2Request): Http2Body {
    const { host } = this.#wire
    return new Http2Body(this.stream, this, host, {
      length: request.framing === 'length' ? request.contentLength : undefined,
      limit: request.webSocket ? Number.POSITIVE_INFINITY : host.config.limits.bodyBytes,
      webSocket: request.webSocket,
    })
  }

  #begin(head: AnswerHead, pairs: HeaderPairs): void {
    this.record.status = head.status
    this.record.bytesOut += pairsSize(pairs)
    this.#writing = writingOf(this.request.method, head)
    if (this.#writing === 'length') this.#owed = head.length as number
    // A client that reads trailers says so (RFC 9110 10.1.4). A length does not exclude them (RFC 9113 8.1).
    this.#mayTrail = this.#writing !== 'discard' && this.request.fields.has(FIELD.te)
    if (areCarried(head.fields)) this.stream.begin(pairs)
    else this.fail('INTERNAL', 'a field of HTTP/1.1')
  }

  /**
   * With nothing queued a little is taken whatever the windows say: that it leaves is how its owner learns that they are open. Nothing while others
   * have yet to send what they were given.
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

  #answerError(status: number): void {
    const { head, text } = errorAnswer(status, this.record, this.policy)
    this.begin(head)
    this.writeText(text)
    this.end()
  }

  /** How many of `size` bytes may be written: none to a HEAD, none beyond the promised length. */
  #owe(size: number): number {
    if (this.#ended || this.#writing === 'discard' || this.#writing === 'none') return 0
    if (this.#writing !== 'length') return size
    const owed = Math.min(size, this.#owed)
    this.#owed -= owed
    return owed
  }

  #lose(code: ErrorCode, detail: string | undefined, reset: number): void {
    if (this.#ended) return
    this.record.end = endCauseOf(code)
    this.record.detail = detail ?? this.record.detail
    if (!this.answered) this.record.status = traitsOf(code).status
    const owner = this.#owner
    this.#owner = undefined
    this.#cut(reset)
    owner?.clientGone()
  }

  /** The client can tell a reset from an answer that has ended. */
  #cut(code: number): void {
    // Said first: the stream tells of its end in the same breath.
    this.#ended = true
    this.stream.reset(code)
    this.#finish()
  }

  #finish(): void {
    this.#ended = true
    this.#owner = undefined
    this.#wire.finished(this)
    const input = this.#input
    if (input === undefined) return
    input.stop()
    // Some clients lose the answer over a reset: one that can send all of the rest is left to it, for a while.
    if (this.stream.inputOpen && !input.mayRest) this.unwanted()
  }
}

function writingOf(method: string, { status, length }: AnswerHead): Writing {
  if (isWithoutContent(method, status)) return 'discard'
  return length === undefined ? 'open' : 'length'
}
