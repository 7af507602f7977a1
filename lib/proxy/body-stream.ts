import type { Attempt } from '../../upstreams/job.ts'
import type { BodyReader, Exchange } from '../http/exchange.ts'
import type { BodySource } from './body-source.ts'

/** A body that goes to the app as it comes from the client, with back-pressure. It can be had once. */
export class BodyStream implements BodySource, BodyReader {
  readonly length: number | undefined
  repeatable = true
  readonly #exchange: Exchange
  #attempt: Attempt | undefined = undefined

  constructor(exchange: Exchange) {
    const { framing, contentLength } = exchange.request
    this.#exchange = exchange
    this.length = framing === 'length' ? contentLength : undefined
  }

  /** The attempt does, in a conversation. */
  get watchesSilence(): boolean {
    return this.#attempt !== undefined
  }

  copy(): undefined {
    return undefined
  }

  flowTo(attempt: Attempt): void {
    this.#attempt = attempt
    this.repeatable = false
    this.#exchange.receiveBody(this)
  }

  drained(): void {
    this.#exchange.resumeBody()
  }

  release(): void {
    this.#attempt = undefined
  }

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
