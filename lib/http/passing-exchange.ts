import type { ErrorCode } from '../base/errors.ts'
import type { BodyReader, ClientWebSocket, Exchange, ExchangeOwner, KeptAnswer } from './exchange.ts'
import type { FieldList } from './field-list.ts'
import type { AnswerHead } from './message.ts'

/**
 * An exchange as the next handler of a chain sees it: every call passes, both ways. What changes answers
 * extends it, for both protocols and for every kind of answer that a handler gives: heads by `changed`,
 * bodies by `write` and its like. Made for an exchange only where there may be something to change. Error
 * answers of our own do not come by here: what a route says about every answer is its policy
 * (answer-policy.ts).
 */
export class PassingExchange implements Exchange, ExchangeOwner {
  protected readonly outer: Exchange
  protected owner: ExchangeOwner | undefined = undefined

  constructor(outer: Exchange) {
    this.outer = outer
  }

  get request(): Exchange['request'] {
    return this.outer.request
  }

  get client(): Exchange['client'] {
    return this.outer.client
  }

  get origin(): Exchange['origin'] {
    return this.outer.origin
  }

  get siblings(): number {
    return this.outer.siblings
  }

  get record(): Exchange['record'] {
    return this.outer.record
  }

  get policy(): Exchange['policy'] {
    return this.outer.policy
  }

  set policy(policy) {
    this.outer.policy = policy
  }

  get answered(): boolean {
    return this.outer.answered
  }

  get ended(): boolean {
    return this.outer.ended
  }

  get bodyDone(): boolean {
    return this.outer.bodyDone
  }

  attach(owner: ExchangeOwner): void {
    this.owner = owner
    this.outer.attach(this)
  }

  limitBody(bytes: number | undefined): void {
    this.outer.limitBody(bytes)
  }

  receiveBody(reader: BodyReader): void {
    this.outer.receiveBody(reader)
  }

  pauseBody(stopsReading?: boolean): void {
    this.outer.pauseBody(stopsReading)
  }

  resumeBody(): void {
    this.outer.resumeBody()
  }

  inform(status: number, fields: FieldList): void {
    this.outer.inform(status, fields)
  }

  /** What becomes of an answer's head: the same object if nothing, so that a kept answer stays one write. */
  protected changed(head: AnswerHead): AnswerHead {
    return head
  }

  answerKept(answer: KeptAnswer): void {
    const head = this.changed(answer.head)
    if (head === answer.head) return this.outer.answerKept(answer)
    this.outer.begin(head)
    this.write(answer.body, 0, answer.body.length)
    this.end()
  }

  begin(head: AnswerHead): void {
    this.outer.begin(this.changed(head))
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return this.outer.write(bytes, start, end)
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    return this.outer.offer(bytes, start, end)
  }

  room(wanted: number): number {
    return this.outer.room(wanted)
  }

  writeText(text: string): boolean {
    return this.outer.writeText(text)
  }

  flush(): void {
    this.outer.flush()
  }

  upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    return this.outer.upgrade(protocol, fields, reader)
  }

  end(trailers?: FieldList): void {
    this.outer.end(trailers)
  }

  fail(code: ErrorCode, detail?: string): void {
    this.outer.fail(code, detail)
  }

  // ExchangeOwner: what the outer one tells.

  answerDrained(): void {
    this.owner?.answerDrained()
  }

  clientGone(): void {
    this.owner?.clientGone()
  }
}
