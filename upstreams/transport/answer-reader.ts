import type { FieldList } from '../../lib/http/field-list.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import { ChunkedDecoder, type ChunkSink } from '../../lib/wire/chunked.ts'
import type { HeadLimits } from '../../lib/wire/refusal.ts'
import { readResponseHead, readTrailers } from '../../lib/wire/response-head.ts'

/** What an app may send as a head: more than we take from clients, since apps set many cookies. */
const RESPONSE_LIMITS: HeadLimits = { headersBytes: 64 * 1024, headerCount: 256, targetBytes: 8 * 1024 }

/** Who hears what stands in an answer. All calls come from inside `read`; each may `stop` the reader. */
export interface AnswerListener {
  /** An interim head. */
  answerInformed(head: ResponseHead): void
  /** The final head. */
  answerBegun(head: ResponseHead): void
  answerData(bytes: Uint8Array, start: number, end: number): void
  /** No more bytes of an unfinished body in this turn. */
  answerPause(): void
  /** The body is complete. `clean`: nothing arrived behind it. `trailers`: fields behind its last chunk. */
  answerWhole(clean: boolean, trailers?: FieldList): void
  /** It breaks HTTP; nothing is read any more. */
  answerBad(detail: string): void
}

type State = 'idle' | 'head' | 'body'

/**
 * Reads the answers of one connection, HTTP/1.1 whatever the request was said in: interim heads, the final
 * head, and the body by its framing (RFC 9112 6.3). Used again for each attempt on the connection.
 */
export class AnswerReader implements ChunkSink {
  /** The final head of this attempt, once it has come. */
  head: ResponseHead | undefined = undefined
  readonly #listener: AnswerListener
  #state: State = 'idle'
  #method = ''
  /** An interim answer has come. */
  #informed = false
  /** Part of a head that has not arrived whole. */
  #held: Buffer | undefined = undefined
  #remaining = 0
  #decoder: ChunkedDecoder | undefined = undefined

  constructor(listener: AnswerListener) {
    this.#listener = listener
  }

  /** Nothing has come yet, not even an interim answer. */
  get silent(): boolean {
    return this.head === undefined && this.#held === undefined && !this.#informed
  }

  /** From now on bytes are the answer to a request with this method. */
  begin(method: string): void {
    this.head = undefined
    this.#state = 'head'
    this.#method = method
    this.#informed = false
  }

  /** Nobody wants the rest. What was read so far stays to be asked for. */
  stop(): void {
    this.#state = 'idle'
    this.#decoder = undefined
  }

  /** bytes[0, size) have arrived; they are valid during the call. */
  read(bytes: Buffer, size: number): void {
    if (this.#state === 'body') this.#readBody(bytes, 0, size)
    else if (this.#state === 'head') this.#readHead(bytes, size)
  }

  // ChunkSink.

  chunkData(bytes: Uint8Array, start: number, end: number): void {
    this.#listener.answerData(bytes, start, end)
  }

  #readHead(bytes: Buffer, size: number): void {
    const all = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes.subarray(0, size)])
    const end = this.#held === undefined ? size : all.length
    this.#held = undefined
    let at = 0
    while (this.#state === 'head' && at < end) {
      const head = readResponseHead(all, at, end, this.#method, RESPONSE_LIMITS)
      if (head === undefined) {
        this.#held = Buffer.from(all.subarray(at, end))
        return
      }
      if ('refused' in head) return this.#listener.answerBad(head.detail)
      if (head.status === 101) return this.#listener.answerBad('unasked-upgrade')
      at += head.size
      if (head.status >= 200) this.#begun(head)
      else {
        this.#informed = true
        this.#listener.answerInformed(head)
      }
    }
    if (this.#state === 'body') this.#readBody(all, at, end)
  }

  #begun(head: ResponseHead): void {
    this.head = head
    this.#state = 'body'
    this.#remaining = head.contentLength
    this.#decoder = head.framing === 'chunked' ? new ChunkedDecoder(this, true) : undefined
    this.#listener.answerBegun(head)
  }

  /** Bytes from `at` on belong to the body; what is behind it is surplus. */
  #readBody(bytes: Uint8Array, at: number, end: number): void {
    const head = this.head as ResponseHead
    switch (head.framing) {
      case 'none':
        return this.#listener.answerWhole(at === end)
      case 'length': {
        const stop = Math.min(end, at + this.#remaining)
        this.#remaining -= stop - at
        if (stop > at) this.#listener.answerData(bytes, at, stop)
        if (this.#remaining === 0) return this.#listener.answerWhole(stop === end)
        break
      }
      case 'chunked': {
        const decoder = this.#decoder as ChunkedDecoder
        const stop = decoder.decode(bytes, at, end)
        if (decoder.state === 'bad') return this.#listener.answerBad(decoder.detail ?? 'chunk')
        if (decoder.state === 'done') return this.#chunksEnded(decoder, stop === end)
        break
      }
      case 'close':
        if (end > at) this.#listener.answerData(bytes, at, end)
        break
    }
    this.#listener.answerPause()
  }

  #chunksEnded({ trailerText }: ChunkedDecoder, clean: boolean): void {
    // The empty line alone is no trailer.
    if (trailerText.length <= 2) return this.#listener.answerWhole(clean)
    this.#listener.answerWhole(clean, readTrailers(trailerText, RESPONSE_LIMITS))
  }
}
