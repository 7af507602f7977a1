import type { Attempt, Job, WaitingLine } from '../../upstreams/job.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { BodyReader, Exchange, ExchangeOwner } from '../http/exchange.ts'
import { dropFromResponse } from '../http/hop-by-hop.ts'
import type { ResponseHead } from '../http/message.ts'
import type { ExchangeRecord } from '../http/record.ts'
import { requestText } from './request-text.ts'

/** RFC 9110 9.2.2, of the registered methods those that apps really serve. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** One exchange on its way through an upstream: carries the request body there and the answer back, with back-pressure both ways. */
export class Forwarding implements Job, ExchangeOwner, BodyReader {
  readonly method: string
  readonly idempotent: boolean
  readonly headText: string
  readonly bodyFraming: 'none' | 'length' | 'chunked'
  readonly key: number
  readonly record: ExchangeRecord
  bodyUntouched = true
  readonly #exchange: Exchange
  #attempt: Attempt | undefined = undefined
  #line: WaitingLine | undefined = undefined

  constructor(exchange: Exchange, key: number) {
    const { request } = exchange
    this.#exchange = exchange
    this.method = request.method
    this.idempotent = IDEMPOTENT.has(request.method)
    this.headText = requestText(exchange)
    this.bodyFraming = request.framing
    this.key = key
    this.record = exchange.record
    exchange.attach(this)
  }

  // Job: the upstream's side.

  waitsIn(line: WaitingLine | undefined): void {
    this.#line = line
  }

  attempting(attempt: Attempt): void {
    this.#attempt = attempt
  }

  bodyWanted(): void {
    if (this.bodyFraming === 'none') return
    this.bodyUntouched = false
    this.#exchange.receiveBody(this)
  }

  sendDrained(): void {
    this.#exchange.resumeBody()
  }

  informed(head: ResponseHead): void {
    dropFromResponse(head.fields, head.connectionNamed)
    this.#exchange.inform(head.status, head.fields)
  }

  answered(head: ResponseHead): void {
    dropFromResponse(head.fields, head.connectionNamed)
    const length = head.framing === 'none' ? head.declaredLength : lengthOf(head)
    this.#exchange.begin({ status: head.status, reason: head.reason, fields: head.fields, length })
  }

  answerBytes(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#exchange.write(bytes, start, end)
  }

  answerFlush(): void {
    this.#exchange.flush()
  }

  answerEnd(): void {
    this.#attempt = undefined
    this.#exchange.end()
  }

  failed(code: ErrorCode, detail: string): void {
    this.#attempt = undefined
    this.#exchange.fail(code, detail)
  }

  // ExchangeOwner: the client's side.

  answerDrained(): void {
    this.#attempt?.resumeAnswer()
  }

  clientGone(): void {
    this.#line?.withdraw(this)
    this.#attempt?.cancel()
    this.#attempt = undefined
  }

  // BodyReader: the client's body.

  bodyBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#attempt?.sendBody(bytes, start, end) === false) this.#exchange.pauseBody()
  }

  bodyFlush(): void {
    this.#attempt?.flushBody()
  }

  bodyEnd(): void {
    this.#attempt?.endBody()
  }
}

function lengthOf(head: ResponseHead): number | undefined {
  return head.framing === 'length' ? head.contentLength : undefined
}
