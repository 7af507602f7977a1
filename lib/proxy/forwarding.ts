import type { Attempt, Job, WaitingLine } from '../../upstreams/job.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Priority } from '../config/model.ts'
import { isConversation } from '../http/conversation.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import type { FieldList } from '../http/field-list.ts'
import { dropFromResponse, dropFromTrailers, keepUpgrade } from '../http/hop-by-hop.ts'
import { isIdempotent } from '../http/idempotent.ts'
import type { ResponseHead } from '../http/message.ts'
import type { ExchangeRecord } from '../http/record.ts'
import { endsInTrailers } from '../http/trailers.ts'
import type { PacketRefusal } from '../wire/uwsgi-packet.ts'
import type { BodySource } from './body-source.ts'
import { clientHeader } from './client-header.ts'
import { http2Request } from './http2-request.ts'
import { isLive, ReadAhead } from './read-ahead.ts'
import { cleanRequest } from './request-lines.ts'
import { requestText } from './request-text.ts'
import type { ProxySite } from './site.ts'
import { uwsgiRequest } from './uwsgi-request.ts'

/** Of an answer so much is written as it comes. */
const SHORT_BYTES = 16 * 1024
/**
 * Bodies up to this size go out beside others on a connection of HTTP/2: what a stream's window usually holds
 * (RFC 9113 6.9.2).
 */
const SHARED_BODY_BYTES = 65_535

/**
 * One exchange on its way through an upstream: carries the request's body there and the answer back, with
 * back-pressure both ways.
 */
export class Forwarding implements Job, ExchangeOwner {
  readonly method: string
  readonly idempotent: boolean
  readonly bodyFraming: 'none' | 'length' | 'chunked'
  readonly isUpload: boolean
  readonly key: number
  readonly priority: Priority
  readonly wanted: string | undefined
  tried: Job['tried'] = undefined
  unsent = 0
  readonly record: ExchangeRecord
  readonly #exchange: Exchange
  /** The head without its last line end. Empty once the answer has begun: nothing is sent again. */
  #head: string
  readonly #body: BodySource | undefined
  readonly #site: ProxySite
  #attempt: Attempt | undefined = undefined
  #line: WaitingLine | undefined = undefined
  /** Once the client has shown itself slow. */
  #ahead: ReadAhead | undefined = undefined
  /** The answer's fields, as the app gave them. */
  #fields: FieldList | undefined = undefined
  /** The client gets a file that the app has named; what the app sends besides is nobody's. */
  #handedOver = false

  /** `body`: undefined for a request that has none. */
  constructor(exchange: Exchange, key: number, body: BodySource | undefined, site: ProxySite) {
    const { request } = exchange
    this.#exchange = exchange
    this.#body = body
    this.#site = site
    this.method = request.method
    this.idempotent = isIdempotent(request.method)
    cleanRequest(exchange)
    this.#head = requestText(exchange, site.mount, body?.length)
    this.bodyFraming = framingOf(body)
    this.isUpload = body !== undefined && isLarge(body, request.fields)
    this.key = key
    this.priority = site.priority
    this.wanted = exchange.record.boundTo
    this.record = exchange.record
    exchange.attach(this)
  }

  // Job: the upstream's side.

  get siblings(): number {
    return this.#exchange.siblings
  }

  /**
   * Put together at each look: writing makes one text of the pieces, which are slices of what came, and that
   * need not stay.
   */
  get headText(): string {
    return `${this.#head}\r\n`
  }

  get repeatable(): boolean {
    return this.#body === undefined || this.#body.repeatable
  }

  get converses(): boolean {
    return this.bodyFraming === 'chunked' && isConversation(this.#exchange.request, this.#exchange.answered)
  }

  uwsgiPacket(): string | PacketRefusal {
    return uwsgiRequest(this.#exchange, this.#site.mount, this.#body?.length)
  }

  http2Fields(scheme: 'http' | 'https'): string[] {
    return http2Request(this.#exchange, this.#site.mount, this.#body?.length, scheme)
  }

  proxyHeader(version: 'v1' | 'v2'): string {
    return clientHeader(this.#exchange.client, version)
  }

  waitsIn(line: WaitingLine | undefined): void {
    this.#line = line
  }

  attempting(attempt: Attempt): void {
    this.#attempt = attempt
  }

  bodyWanted(): void {
    if (this.#attempt !== undefined) this.#body?.flowTo(this.#attempt)
  }

  sendDrained(): void {
    this.#body?.drained()
  }

  informed(head: ResponseHead): void {
    dropFromResponse(head.fields, head.connectionNamed)
    this.#exchange.inform(head.status, head.fields)
  }

  answered(head: ResponseHead): void {
    this.#head = ''
    dropFromResponse(head.fields, head.connectionNamed)
    if (head.status === 426) keepUpgrade(head.fields)
    this.#handedOver = this.#site.files.serve(this.#exchange, head)
    if (this.#handedOver) return
    this.#fields = head.fields
    const length = head.framing === 'none' ? head.declaredLength : lengthOf(head)
    this.#exchange.begin({ status: head.status, reason: head.reason, fields: head.fields, length })
  }

  answerBytes(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#handedOver) return true
    if (this.#ahead !== undefined) return this.#ahead.take(bytes, start, end)
    // A short answer leaves in one piece with its head; of a long one nothing is given that the client does
    // not take.
    if (this.record.bytesOut + end - start <= SHORT_BYTES)
      return this.#exchange.write(bytes, start, end) || this.#clientSlow(bytes, end, end)
    const at = this.#exchange.offer(bytes, start, end)
    return at === end || this.#clientSlow(bytes, at, end)
  }

  answerFlush(): void {
    if (this.#handedOver) return
    if (this.#ahead === undefined) this.#exchange.flush()
    else this.#ahead.flush()
  }

  answerEnd(trailers?: FieldList): void {
    this.#over()
    if (this.#handedOver) return
    if (trailers !== undefined) dropFromTrailers(trailers)
    if (this.#ahead === undefined) this.#exchange.end(trailers)
    else this.#ahead.end(trailers)
  }

  failed(code: ErrorCode, detail: string): void {
    this.#over()
    if (this.#handedOver) return
    if (this.#ahead === undefined) this.#exchange.fail(code, detail)
    else this.#ahead.fail(code, detail)
  }

  // ExchangeOwner: the client's side.

  answerDrained(): void {
    if (this.#ahead === undefined) this.#attempt?.resumeAnswer()
    else this.#ahead.drained()
  }

  clientGone(): void {
    const attempt = this.#attempt
    this.#over()
    this.#ahead?.stop()
    this.#line?.withdraw(this)
    attempt?.cancel()
  }

  /** False: the app has to wait. */
  #clientSlow(bytes: Uint8Array, start: number, end: number): boolean {
    const { room } = this.#site
    const isHeld = this.#fields !== undefined && !isLive(this.#fields)
    this.#ahead = new ReadAhead(this.#exchange, this.#attempt, isHeld ? room : { ...room, maxBytes: 0 })
    return this.#ahead.clientSlow(bytes, start, end)
  }

  /** The app has no more to do with it. */
  #over(): void {
    this.#attempt = undefined
    this.#body?.release()
  }
}

/** A gRPC call of unknown length is a conversation, of which many share a connection. */
function isLarge({ length }: BodySource, fields: FieldList): boolean {
  return length === undefined ? !endsInTrailers(fields) : length > SHARED_BODY_BYTES
}

function framingOf(body: BodySource | undefined): Job['bodyFraming'] {
  if (body === undefined) return 'none'
  return body.length === undefined ? 'chunked' : 'length'
}

function lengthOf(head: ResponseHead): number | undefined {
  return head.framing === 'length' ? head.contentLength : undefined
}
