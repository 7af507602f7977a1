import { type ErrorCode, endCauseOf, traitsOf } from '../../base/errors.ts'
import { type AnswerPolicy, finished } from '../../http/answer-policy.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import type { BodyReader, ClientWebSocket, Exchange, ExchangeOwner, KeptAnswer } from '../../http/exchange.ts'
import type { FieldList } from '../../http/field-list.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { AnswerHead, RequestHead } from '../../http/message.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import { detachRecord, loggedOrigin, loggedRequest } from '../access/logged-request.ts'
import { errorAnswer } from './error-answer.ts'

/**
 * How far an answer is. none: no head yet. length: a body of a length that the head has promised. open: a
 * body that ends where the protocol says so. discard: a body that must not be sent (HEAD, 204, 205, 304).
 * switched: a WebSocket, no HTTP any more.
 */
export type Writing = 'none' | 'length' | 'open' | 'discard' | 'switched'

/**
 * What an exchange is in either protocol: when it may be answered, how many bytes it owes, what becomes of an
 * error and of a client that has gone. A protocol says how a head, bytes and the end are sent; nothing else.
 */
export abstract class ClientExchange implements Exchange {
  /** Once the client has shown itself slow to take the answer, what the log needs of it. */
  request: RequestHead
  readonly client: ClientFacts
  /** As `request`. */
  origin: Origin
  readonly record: ExchangeRecord
  policy: AnswerPolicy | undefined = undefined
  ended = false
  protected writing: Writing = 'none'
  /** Bytes of the body that the head has promised and that are still to come. */
  protected owed = 0
  protected owner: ExchangeOwner | undefined = undefined

  constructor(request: RequestHead, client: ClientFacts, origin: Origin, record: ExchangeRecord) {
    this.request = request
    this.client = client
    this.origin = origin
    this.record = record
  }

  abstract readonly siblings: number
  abstract readonly bodyDone: boolean
  abstract limitBody(bytes: number | undefined): void
  abstract receiveBody(reader: BodyReader): void
  abstract pauseBody(stopsReading?: boolean): void
  abstract resumeBody(): void
  abstract inform(status: number, fields: FieldList): void
  abstract offer(bytes: Uint8Array, start: number, end: number): number
  abstract room(wanted: number): number
  abstract flush(): void
  abstract upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined

  /**
   * Is there anything that keeps the answer from being sent? Then it has been dealt with. Asked once or twice
   * before the head.
   */
  protected abstract mayBegin(head: AnswerHead): boolean
  /** Says how the body will be sent, sends the head. `head` is what the route's policy has made of it. */
  protected abstract sendHead(head: AnswerHead): void
  /** Sends an answer in the form in which it was kept, to its end; false if this client needs another. */
  protected abstract sendKept(answer: KeptAnswer): boolean
  /** The part of a body that is owed. False: the client is slow. */
  protected abstract sendBytes(bytes: Uint8Array, start: number, end: number): boolean
  protected abstract sendText(text: string): boolean
  /** The answer is complete; ends the exchange. */
  protected abstract sendEnd(trailers: FieldList | undefined): void
  /** Ends the exchange so that its client can tell it from a whole answer. */
  protected abstract cut(): void

  get answered(): boolean {
    return this.writing !== 'none'
  }

  attach(owner: ExchangeOwner): void {
    this.owner = owner
  }

  begin(head: AnswerHead): void {
    if (this.ended || this.answered || !this.mayBegin(head)) return
    this.record.status = head.status
    this.sendHead(finished(this.policy, this.origin.scheme, head))
  }

  answerKept(answer: KeptAnswer): void {
    const { head, body } = answer
    if (this.ended || this.answered || !this.mayBegin(head) || this.sendKept(answer)) return
    this.begin(head)
    this.write(body, 0, body.length)
    this.end()
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const size = this.owe(end - start)
    return size === 0 || this.sendBytes(bytes, start, start + size)
  }

  writeText(text: string): boolean {
    const size = this.owe(text.length)
    return size === 0 || this.sendText(size === text.length ? text : text.slice(0, size))
  }

  end(trailers?: FieldList): void {
    if (this.ended) return
    // Fewer bytes than promised: the client must not take it for whole.
    if (this.owed > 0) return this.fail('INTERNAL', 'response shorter than its length')
    this.sendEnd(trailers)
  }

  fail(code: ErrorCode, detail?: string): void {
    if (this.ended) return
    this.#note(code, detail)
    const { owner } = this
    this.owner = undefined
    if (this.answered) this.cut()
    else this.#answerError(traitsOf(code).status)
    // Whoever worked for it and did not report this itself, stops.
    owner?.clientGone()
  }

  /** The connection is gone or is cut, or the client has broken the protocol or takes nothing any more. */
  abstract lost(code: ErrorCode, detail: string | undefined): void

  /** Begins what `lost` does, whose protocol then cuts; false if it was over before. */
  protected giveUp(code: ErrorCode, detail: string | undefined): boolean {
    if (this.ended) return false
    this.#note(code, detail)
    if (!this.answered) this.record.status = traitsOf(code).status
    const { owner } = this
    this.owner = undefined
    this.ended = true
    owner?.clientGone()
    return true
  }

  /** Nothing is asked again of the app: of the head only what the log says of it is kept. */
  protected letGo(): void {
    this.request = loggedRequest(this.request)
    this.origin = loggedOrigin(this.origin)
    detachRecord(this.record)
  }

  /** True if no bytes of a body are to be sent: none to a HEAD, none before the head. */
  protected get owesNone(): boolean {
    return this.ended || this.writing === 'discard' || this.writing === 'none'
  }

  /** How many of `size` bytes may be sent: none beyond the promised length. */
  protected owe(size: number): number {
    if (this.owesNone) return 0
    if (this.writing !== 'length') return size
    const owed = Math.min(size, this.owed)
    this.owed -= owed
    return owed
  }

  #note(code: ErrorCode, detail: string | undefined): void {
    this.record.end = endCauseOf(code)
    this.record.detail = detail ?? this.record.detail
  }

  #answerError(status: number): void {
    const { head, text } = errorAnswer(status, this.record, this.policy)
    this.begin(head)
    this.writeText(text)
    this.end()
  }
}
