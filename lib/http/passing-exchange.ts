import type { ErrorCode } from '../base/errors.ts'
import type { BodyReader, ClientWebSocket, Exchange, ExchangeOwner, KeptAnswer } from './exchange.ts'
import type { FieldList } from './field-list.ts'
import type { AnswerHead } from './message.ts'

/**
 * An exchange as the next handler of a chain sees it: every call passes, both ways. What changes answers
 * extends it and overrides what it changes, for both protocols and for every kind of answer. Made for an
 * exchange only where there may be something to change.
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

  answerKept(answer: KeptAnswer): void {
    this.outer.answerKept(answer)
  }

  begin(head: AnswerHead): void {
    this.outer.begin(head)
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
