import { type ErrorCode, endCauseOf, traitsOf } from '../../base/errors.ts'
import { isWithoutContent, saidLength } from '../../http/answer-content.ts'
import { type AnswerPolicy, policyText } from '../../http/answer-policy.ts'
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
import { statusLine } from '../../http/phrases.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { acceptsTrailers, endsInTrailers } from '../../http/trailers.ts'
import { chunkHead, LAST_CHUNK, lastChunkWith } from '../../wire/chunked.ts'
import { detachRecord, loggedOrigin, loggedRequest } from '../access/logged-request.ts'
import { errorAnswer } from '../connection/error-answer.ts'
import type { RequestBody } from '../connection/request-body.ts'
import { Http1WebSocket } from './http1-websocket.ts'

/** What an exchange needs of its connection. */
export interface Http1Wire {
  readonly dateText: string
  /** False when the connection must not be used again: it drains, or its client sends no more. */
  readonly mayKeepAlive: boolean
  writeText(text: string): void
  writeBytes(bytes: Uint8Array, start: number, end: number): void
  /** As `Exchange.offer`. */
  offerBytes(bytes: Uint8Array, start: number, end: number): number
  /** Bytes that nobody will change any more. */
  writeKept(bytes: Buffer): void
  /** True while the client is slow to take what was written: wait for `drained`. */
  readonly backedUp: boolean
  flush(): void
  /** Lets held bytes flow into the body, and reads on. */
  pumpBody(): void
  /** Reads nothing more before `pumpBody`. */
  stopReading(): void
  /** HTTP on this connection is over: what was written leaves, all that comes goes to `webSocket`, until the exchange has finished. */
  handOver(webSocket: Http1WebSocket): void
  /** The exchange is over; `reuse` says whether the next request may follow, `cut` that the client must see a broken message. */
  finished(exchange: Http1Exchange, how: Ending): void
}

export type Ending = 'reuse' | 'close' | 'cut' | 'reset'

/**
 * none: no head yet. length, chunked, close: the body's framing. discard: a body that may not be sent (HEAD, 204, 205, 304). switched: no
 * HTTP any more.
 */
type Writing = 'none' | 'length' | 'chunked' | 'close' | 'discard' | 'switched'

/** One request on an HTTP/1 connection and its answer. */
export class Http1Exchange implements Exchange {
  /** Once the client has shown itself slow to take the answer, what the log needs of it. */
  request: RequestHead
  readonly client: ClientFacts
  origin: Origin
  readonly record: ExchangeRecord
  /** They come one after the other. */
  readonly siblings = 1
  readonly body: RequestBody
  policy: AnswerPolicy | undefined = undefined
  readonly #wire: Http1Wire
  #owner: ExchangeOwner | undefined = undefined
  #writing: Writing = 'none'
  /** Bytes of the answer's body that its head promised and that are still to come. */
  #owed = 0
  /** Bytes of the chunk that its head promised and that are still to come: it may wait for its client in the middle. */
  #chunkOwed = 0
  #keepAlive = false
  /** The client did not take what was written at once. */
  #slow = false
  #ended = false

  constructor(
    wire: Http1Wire,
    request: RequestHead,
    body: RequestBody,
    client: ClientFacts,
    origin: Origin,
    record: ExchangeRecord,
  ) {
    this.#wire = wire
    this.request = request
    this.body = body
    this.client = client
    this.origin = origin
    this.record = record
  }

  get answered(): boolean {
    return this.#writing !== 'none'
  }

  get ended(): boolean {
    return this.#ended
  }

  get bodyDone(): boolean {
    return this.body.state === 'done'
  }

  attach(owner: ExchangeOwner): void {
    this.#owner = owner
  }

  receiveBody(reader: BodyReader): void {
    if (this.#ended) return
    const { body, request } = this
    if (body.state === 'done') return reader.bodyEnd()
    body.flow(reader)
    this.#wire.pumpBody()
    // RFC 9110 10.1.1: not needed once some of the body has arrived.
    if (request.expectsContinue && body.received === 0 && !this.answered && !this.#ended) {
      this.#wire.writeText('HTTP/1.1 100 Continue\r\n\r\n')
      this.#wire.flush()
    }
  }

  pauseBody(stopsReading = false): void {
    this.body.pause()
    if (stopsReading && this.body.state === 'paused') this.#wire.stopReading()
  }

  resumeBody(): void {
    if (this.#ended || this.body.state !== 'paused') return
    this.body.resume()
    this.#wire.pumpBody()
  }

  inform(status: number, fields: FieldList): void {
    // RFC 9110 15.2: never to an HTTP/1.0 client. And the 100 is ours to give.
    if (this.#ended || this.answered || this.request.protocol === 'HTTP/1.0' || status === 100) return
    this.#write(`${statusLine(status, '')}${fields.toText()}\r\n`)
    this.#wire.flush()
  }

  begin(head: AnswerHead): void {
    if (this.#ended || this.answered) return
    const { request, record } = this
    this.#dropUnreadBody()
    // The dropped bytes may have been a broken body: that has its own answer.
    if (this.#ended) return
    record.status = head.status
    this.#writing = writingOf(request, head)
    if (this.#writing === 'length') this.#owed = head.length as number
    this.#keepAlive =
      request.keepAlive && this.#writing !== 'close' && this.bodyDone && this.#wire.mayKeepAlive
    const date = head.fields.has(FIELD.date) ? '' : `Date: ${this.#wire.dateText}\r\n`
    const text = head.fields.toText()
    const policy = this.policy === undefined ? '' : policyText(this.policy, this.origin.scheme, head)
    this.#write(
      `${statusLine(head.status, head.reason)}${text}${policy}${date}${this.#framingText(head)}${this.#connectionText(head)}\r\n`,
    )
  }

  upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    if (this.#ended || this.answered) return undefined
    this.record.status = 101
    this.#writing = 'switched'
    this.#write(`${statusLine(101, '')}${fields.toText()}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`)
    const webSocket = new Http1WebSocket(this, reader)
    this.#wire.handOver(webSocket)
    return webSocket
  }

  answerKept(answer: KeptAnswer): void {
    if (this.#ended || this.answered) return
    this.#dropUnreadBody()
    if (this.#ended) return
    if (!this.#isPlainRepeat()) {
      this.begin(answer.head)
      this.write(answer.body, 0, answer.body.length)
      return this.end()
    }
    const bytes = renderedFor(answer, this.#wire.dateText)
    this.#writing = 'length'
    this.record.status = answer.head.status
    this.record.bytesOut += bytes.length
    this.#wire.writeKept(bytes)
    this.#finish('reuse')
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const size = this.#owe(end - start)
    if (size === 0) return true
    if (this.#writing === 'chunked') {
      this.#write(chunkHead(size))
      this.#wire.writeBytes(bytes, start, end)
      this.#write('\r\n')
    } else this.#wire.writeBytes(bytes, start, start + size)
    this.record.bytesOut += size
    return this.#mayGoOn()
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    if (this.#ended || this.#writing === 'discard' || this.#writing === 'none') return end
    if (this.#writing === 'chunked') return this.#offerChunk(bytes, start, end)
    const stop = this.#writing === 'length' ? Math.min(end, start + this.#owed) : end
    const at = this.#wire.offerBytes(bytes, start, stop)
    if (this.#writing === 'length') this.#owed -= at - start
    this.record.bytesOut += at - start
    return at === stop ? end : at
  }

  /** The kernel says how much it takes: `write` tells. */
  room(wanted: number): number {
    return wanted
  }

  #offerChunk(bytes: Uint8Array, start: number, end: number): number {
    if (this.#chunkOwed === 0) {
      this.#write(chunkHead(end - start))
      this.#chunkOwed = end - start
    }
    const stop = Math.min(end, start + this.#chunkOwed)
    const at = this.#wire.offerBytes(bytes, start, stop)
    this.#chunkOwed -= at - start
    this.record.bytesOut += at - start
    if (this.#chunkOwed > 0) return at
    this.#write('\r\n')
    return at === end ? end : this.#offerChunk(bytes, at, end)
  }

  writeText(text: string): boolean {
    const size = this.#owe(text.length)
    if (size === 0) return true
    const owed = size === text.length ? text : text.slice(0, size)
    this.#write(this.#writing === 'chunked' ? `${chunkHead(size)}${owed}\r\n` : owed)
    return this.#mayGoOn()
  }

  flush(): void {
    if (!this.#ended) this.#wire.flush()
  }

  end(trailers?: FieldList): void {
    if (this.#ended) return
    // Fewer bytes than promised: the client must not take it for whole.
    if (this.#owed > 0) return this.fail('INTERNAL', 'answer shorter than its length')
    if (this.#writing === 'chunked') this.#write(this.#lastChunk(trailers))
    this.#wire.flush()
    this.#finish(this.#keepAlive ? 'reuse' : 'close')
  }

  fail(code: ErrorCode, detail?: string): void {
    if (this.#ended) return
    this.record.end = endCauseOf(code)
    this.record.detail = detail ?? this.record.detail
    const owner = this.#owner
    this.#owner = undefined
    const onlyEndTells = this.#writing === 'close' || this.#writing === 'switched'
    if (this.answered) this.#finish(onlyEndTells ? 'reset' : 'cut')
    else this.#answerError(traitsOf(code).status)
    // Whoever worked for it and did not report this itself, stops.
    owner?.clientGone()
  }

  /** The connection is gone, or the client has broken the protocol in mid-body. */
  lost(code: ErrorCode, detail: string | undefined): void {
    if (this.#ended) return
    this.record.end = endCauseOf(code)
    this.record.detail = detail ?? this.record.detail
    if (!this.answered) this.record.status = traitsOf(code).status
    this.#ended = true
    this.#owner?.clientGone()
    this.#wire.finished(this, 'cut')
  }

  drained(): void {
    if (!this.#ended) this.#owner?.answerDrained()
  }

  /** The case that kept answers are rendered for: the bytes are the same for every client. */
  #isPlainRepeat(): boolean {
    const { request } = this
    if (this.policy?.hsts !== undefined) return false
    if (request.method !== 'GET' || request.protocol !== 'HTTP/1.1' || !request.keepAlive) return false
    return this.bodyDone && this.#wire.mayKeepAlive
  }

  #answerError(status: number): void {
    const { head, text } = errorAnswer(status, this.record, this.policy)
    this.begin(head)
    this.writeText(text)
    this.end()
  }

  /** An answer without interest in the body: what has arrived of it is dropped, so that the connection can go on if that was all. */
  #dropUnreadBody(): void {
    if (this.body.state !== 'unasked') return
    this.body.flow(undefined)
    this.#wire.pumpBody()
  }

  /** How many of `size` bytes may be written: none to a HEAD, none beyond the promised length. */
  #owe(size: number): number {
    if (this.#ended || this.#writing === 'discard' || this.#writing === 'none') return 0
    if (this.#writing !== 'length') return size
    const owed = Math.min(size, this.#owed)
    this.#owed -= owed
    return owed
  }

  #lastChunk(trailers: FieldList | undefined): string {
    if (trailers === undefined || !acceptsTrailers(this.request.fields)) return LAST_CHUNK
    return lastChunkWith(trailers.toText())
  }

  /** False while the client is slow. Nothing is asked again of the app: of the head only what the log says of it is kept. */
  #mayGoOn(): boolean {
    if (!this.#wire.backedUp) return true
    if (!this.#slow) {
      this.#slow = true
      this.request = loggedRequest(this.request)
      this.origin = loggedOrigin(this.origin)
      detachRecord(this.record)
    }
    return false
  }

  #framingText(head: AnswerHead): string {
    if (this.#writing === 'chunked') return 'Transfer-Encoding: chunked\r\n'
    const length = saidLength(head)
    return length === undefined ? '' : `Content-Length: ${length}\r\n`
  }

  #connectionText({ status }: AnswerHead): string {
    // RFC 9110 7.8: whoever sends Upgrade says that it is for this connection.
    const switches = status === 426
    if (!this.#keepAlive) return switches ? 'Connection: close, upgrade\r\n' : 'Connection: close\r\n'
    if (switches) return 'Connection: upgrade\r\n'
    return this.request.protocol === 'HTTP/1.0' ? 'Connection: keep-alive\r\n' : ''
  }

  #write(text: string): void {
    this.record.bytesOut += text.length
    this.#wire.writeText(text)
  }

  #finish(how: Ending): void {
    this.#ended = true
    this.#owner = undefined
    this.#wire.finished(this, how)
  }
}

/** A kept answer as HTTP/1.1 sends it within one second. */
interface Rendering {
  readonly dateText: string
  readonly bytes: Buffer
}

function renderedFor(answer: KeptAnswer, dateText: string): Buffer {
  const known = answer.rendering as Rendering | undefined
  if (known?.dateText === dateText) return known.bytes
  const { head, body } = answer
  const text = `${statusLine(head.status, head.reason)}${head.fields.toText()}Date: ${dateText}\r\nContent-Length: ${body.length}\r\n\r\n`
  const bytes = Buffer.concat([Buffer.from(text, 'latin1'), body])
  answer.rendering = { dateText, bytes } satisfies Rendering
  return bytes
}

/** RFC 9112 6.3, seen from the sender. */
function writingOf(request: RequestHead, head: AnswerHead): Writing {
  if (isWithoutContent(request.method, head.status)) return 'discard'
  if (request.protocol === 'HTTP/1.0') return head.length === undefined ? 'close' : 'length'
  if (head.length === undefined) return 'chunked'
  // Behind a length there are no trailers.
  return endsInTrailers(head.fields) && acceptsTrailers(request.fields) ? 'chunked' : 'length'
}
