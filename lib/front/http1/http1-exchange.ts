import type { ErrorCode } from '../../base/errors.ts'
import { isWithoutContent, saidLength } from '../../http/answer-content.ts'
import { type AnswerPolicy, fieldPolicy, finished } from '../../http/answer-policy.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { BodyReader, ClientWebSocket, KeptAnswer } from '../../http/exchange.ts'
import { FIELD } from '../../http/field-ids.ts'
import type { FieldList } from '../../http/field-list.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { AnswerHead, RequestHead } from '../../http/message.ts'
import { statusLine } from '../../http/phrases.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { acceptsTrailers, endsInTrailers } from '../../http/trailers.ts'
import { chunkHead, LAST_CHUNK, lastChunkWith } from '../../wire/chunked.ts'
import { ClientExchange, type Writing } from '../connection/client-exchange.ts'
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
  /**
   * HTTP on this connection is over: what was written leaves, all that comes goes to `webSocket`, until the
   * exchange has finished.
   */
  handOver(webSocket: Http1WebSocket): void
  /**
   * The exchange is over; `reuse` says whether the next request may follow, `cut` that the client must see a
   * broken message.
   */
  finished(exchange: Http1Exchange, how: Ending): void
}

export type Ending = 'reuse' | 'close' | 'cut' | 'reset'

/** One request on an HTTP/1 connection and its answer. */
export class Http1Exchange extends ClientExchange {
  /** They come one after the other. */
  readonly siblings = 1
  readonly body: RequestBody
  readonly #wire: Http1Wire
  /** The body's end is told by a last chunk. */
  #chunked = false
  /**
   * Bytes of the chunk that its head promised and that are still to come: it may wait for its client in the
   * middle.
   */
  #chunkOwed = 0
  #keepAlive = false
  /** The client did not take what was written at once. */
  #slow = false

  constructor(
    wire: Http1Wire,
    request: RequestHead,
    body: RequestBody,
    client: ClientFacts,
    origin: Origin,
    record: ExchangeRecord,
  ) {
    super(request, client, origin, record)
    this.#wire = wire
    this.body = body
  }

  get bodyDone(): boolean {
    return this.body.state === 'done'
  }

  limitBody(bytes: number | undefined): void {
    this.body.limit = bytes ?? this.body.limit
    if (this.request.contentLength > this.body.limit) this.fail('BODY_TOO_LARGE', 'body-limit')
  }

  receiveBody(reader: BodyReader): void {
    if (this.ended) return
    const { body, request } = this
    if (body.state === 'done') return reader.bodyEnd()
    body.flow(reader)
    this.#wire.pumpBody()
    // RFC 9110 10.1.1: not needed once some of the body has arrived.
    if (request.expectsContinue && body.received === 0 && !this.answered && !this.ended) {
      this.#wire.writeText('HTTP/1.1 100 Continue\r\n\r\n')
      this.#wire.flush()
    }
  }

  pauseBody(stopsReading = false): void {
    this.body.pause()
    if (stopsReading && this.body.state === 'paused') this.#wire.stopReading()
  }

  resumeBody(): void {
    if (this.ended || this.body.state !== 'paused') return
    this.body.resume()
    this.#wire.pumpBody()
  }

  inform(status: number, fields: FieldList): void {
    // RFC 9110 15.2: never to an HTTP/1.0 client. And the 100 is ours to give.
    if (this.ended || this.answered || this.request.protocol === 'HTTP/1.0' || status === 100) return
    this.#write(`${statusLine(status, '')}${fields.toText()}\r\n`)
    this.#wire.flush()
  }

  upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    if (this.ended || this.answered) return undefined
    this.record.status = 101
    this.writing = 'switched'
    this.#write(`${statusLine(101, '')}${fields.toText()}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`)
    const webSocket = new Http1WebSocket(this, reader)
    this.#wire.handOver(webSocket)
    return webSocket
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    if (this.owesNone) return end
    if (this.#chunked) return this.#offerChunk(bytes, start, end)
    const stop = this.writing === 'length' ? Math.min(end, start + this.owed) : end
    const at = this.#wire.offerBytes(bytes, start, stop)
    if (this.writing === 'length') this.owed -= at - start
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

  flush(): void {
    if (!this.ended) this.#wire.flush()
  }

  lost(code: ErrorCode, detail: string | undefined): void {
    if (this.giveUp(code, detail)) this.#wire.finished(this, 'cut')
  }

  drained(): void {
    if (!this.ended) this.owner?.answerDrained()
  }

  // ClientExchange.

  /** The body that was not read may have been a broken one: that has its own answer. */
  protected mayBegin(): boolean {
    this.#dropUnreadBody()
    return !this.ended
  }

  protected sendHead(head: AnswerHead): void {
    const { request } = this
    this.writing = writingOf(request, head)
    this.#chunked = this.writing === 'open' && request.protocol !== 'HTTP/1.0'
    if (this.writing === 'length') this.owed = head.length as number
    const endsByClose = this.writing === 'open' && !this.#chunked
    this.#keepAlive = request.keepAlive && !endsByClose && this.bodyDone && this.#wire.mayKeepAlive
    const date = head.fields.has(FIELD.date) ? '' : `Date: ${this.#wire.dateText}\r\n`
    const text = head.fields.toText()
    this.#write(
      `${statusLine(head.status, head.reason)}${text}${date}${this.#framingText(head)}${this.#connectionText(head)}\r\n`,
    )
  }

  protected sendKept(answer: KeptAnswer): boolean {
    if (!this.#isPlainRepeat()) return false
    const policy = fieldPolicy(this.policy, this.origin.scheme)
    const bytes = renderedFor(answer, this.#wire.dateText, policy, this.origin.scheme)
    this.writing = 'length'
    this.record.status = answer.head.status
    this.record.bytesOut += bytes.length
    this.#wire.writeKept(bytes)
    this.#finish('reuse')
    return true
  }

  protected sendBytes(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#chunked) this.#write(chunkHead(end - start))
    this.#wire.writeBytes(bytes, start, end)
    if (this.#chunked) this.#write('\r\n')
    this.record.bytesOut += end - start
    return this.#mayGoOn()
  }

  protected sendText(text: string): boolean {
    this.#write(this.#chunked ? `${chunkHead(text.length)}${text}\r\n` : text)
    return this.#mayGoOn()
  }

  protected sendEnd(trailers: FieldList | undefined): void {
    if (this.#chunked) this.#write(this.#lastChunk(trailers))
    this.#wire.flush()
    this.#finish(this.#keepAlive ? 'reuse' : 'close')
  }

  /** Where only the connection's end says that the answer has ended, a client tells a reset from it. */
  protected cut(): void {
    const onlyEndTells = (this.writing === 'open' && !this.#chunked) || this.writing === 'switched'
    this.#finish(onlyEndTells ? 'reset' : 'cut')
  }

  /** The case that kept answers are rendered for: the bytes are the same for every client. */
  #isPlainRepeat(): boolean {
    const { request } = this
    if (request.method !== 'GET' || request.protocol !== 'HTTP/1.1' || !request.keepAlive) return false
    return this.bodyDone && this.#wire.mayKeepAlive
  }

  /**
   * An answer without interest in the body: what has arrived of it is dropped, so that the connection can go
   * on if that was all.
   */
  #dropUnreadBody(): void {
    if (this.body.state !== 'unasked') return
    this.body.flow(undefined)
    this.#wire.pumpBody()
  }

  #lastChunk(trailers: FieldList | undefined): string {
    if (trailers === undefined || !acceptsTrailers(this.request.fields)) return LAST_CHUNK
    return lastChunkWith(trailers.toText())
  }

  /** False while the client is slow. */
  #mayGoOn(): boolean {
    if (!this.#wire.backedUp) return true
    if (!this.#slow) {
      this.#slow = true
      this.letGo()
    }
    return false
  }

  #framingText(head: AnswerHead): string {
    if (this.#chunked) return 'Transfer-Encoding: chunked\r\n'
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
    this.ended = true
    this.owner = undefined
    this.#wire.finished(this, how)
  }
}

/** A kept answer as HTTP/1.1 sends it within one second, for routes with this policy. */
interface Rendering {
  readonly dateText: string
  readonly policy: AnswerPolicy | undefined
  readonly bytes: Buffer
}

/** `policy`: what may change its fields. */
function renderedFor(
  answer: KeptAnswer,
  dateText: string,
  policy: AnswerPolicy | undefined,
  scheme: 'http' | 'https',
): Buffer {
  const known = answer.rendering as Rendering | undefined
  if (known?.dateText === dateText && known.policy === policy) return known.bytes
  const { body } = answer
  const { status, reason, fields } = finished(policy, scheme, answer.head)
  const text = `${statusLine(status, reason)}${fields.toText()}Date: ${dateText}\r\nContent-Length: ${body.length}\r\n\r\n`
  const bytes = Buffer.concat([Buffer.from(text, 'latin1'), body])
  answer.rendering = { dateText, policy, bytes } satisfies Rendering
  return bytes
}

/** RFC 9112 6.3, seen from the sender. */
function writingOf(request: RequestHead, head: AnswerHead): Writing {
  if (isWithoutContent(request.method, head.status)) return 'discard'
  if (head.length === undefined) return 'open'
  // Behind a length there are no trailers.
  const trails = endsInTrailers(head.fields) && acceptsTrailers(request.fields)
  return trails && request.protocol !== 'HTTP/1.0' ? 'open' : 'length'
}
