import type { ErrorCode } from '../../base/errors.ts'
import type { BodyReader } from '../../http/exchange.ts'
import type { RequestHead } from '../../http/message.ts'
import { ChunkedDecoder, type ChunkSink } from '../../wire/chunked.ts'

/**
 * unasked: nobody wants it yet. done: all of it has been delivered or there is none. bad: its framing is
 * broken.
 */
export type BodyState = 'unasked' | 'flowing' | 'paused' | 'done' | 'failed'

/**
 * The body of one request: takes bytes off the connection by the request's framing and hands them to a
 * reader, or drops them when there is none (an answer that did not wait for the body).
 */
export class RequestBody implements ChunkSink {
  state: BodyState
  failure: { readonly code: ErrorCode; readonly detail: string } | undefined = undefined
  /** Payload bytes so far. */
  received = 0
  /** Most payload bytes; to be set before the flow starts. */
  limit: number
  readonly #decoder: ChunkedDecoder | undefined
  #remaining: number
  #reader: BodyReader | undefined = undefined

  constructor(request: RequestHead, limit: number) {
    this.limit = limit
    this.#remaining = request.contentLength
    this.#decoder = request.framing === 'chunked' ? new ChunkedDecoder(this) : undefined
    this.state =
      request.framing === 'none' || (this.#decoder === undefined && this.#remaining === 0)
        ? 'done'
        : 'unasked'
  }

  /** As `BodyReader` has it. */
  get silenceWatched(): boolean {
    return this.#reader?.watchesSilence === true
  }

  /** Starts the flow; without a reader the bytes are dropped. */
  flow(reader: BodyReader | undefined): void {
    this.#reader = reader
    if (this.state === 'unasked' || this.state === 'paused') this.state = 'flowing'
  }

  pause(): void {
    if (this.state === 'flowing') this.state = 'paused'
  }

  resume(): void {
    if (this.state === 'paused') this.state = 'flowing'
  }

  /** Takes what it can of bytes[at, end); returns the position behind it. */
  take(bytes: Uint8Array, at: number, end: number): number {
    if (this.state !== 'flowing') return at
    const stop =
      this.#decoder === undefined ? this.#takeLength(bytes, at, end) : this.#takeChunked(bytes, at, end)
    // A reader may have paused or ended the body while it was called.
    if (this.#isDone()) this.#reader?.bodyEnd()
    else this.#reader?.bodyFlush()
    return stop
  }

  chunkData(bytes: Uint8Array, start: number, end: number): void {
    this.received += end - start
    if (this.received <= this.limit) this.#reader?.bodyBytes(bytes, start, end)
  }

  #takeLength(bytes: Uint8Array, at: number, end: number): number {
    const stop = Math.min(end, at + this.#remaining)
    this.#remaining -= stop - at
    this.received += stop - at
    if (this.#remaining === 0) this.state = 'done'
    if (stop > at) this.#reader?.bodyBytes(bytes, at, stop)
    return stop
  }

  #takeChunked(bytes: Uint8Array, at: number, end: number): number {
    const decoder = this.#decoder as ChunkedDecoder
    const stop = decoder.decode(bytes, at, end)
    if (decoder.state === 'bad') this.#fail('BAD_REQUEST', decoder.detail ?? 'chunk')
    else if (this.received > this.limit) this.#fail('BODY_TOO_LARGE', 'body-limit')
    else if (decoder.state === 'done') this.state = 'done'
    return stop
  }

  #isDone(): boolean {
    return this.state === 'done'
  }

  #fail(code: ErrorCode, detail: string): void {
    this.state = 'failed'
    this.failure = { code, detail }
  }
}
