import type { Http2Stream } from './http2-stream.ts'

/** Larger pieces are not worth a copy. */
const MOST_MERGED_BYTES = 1024
const NOTHING = Buffer.alloc(0)

/**
 * What one read brings of bodies. Small pieces of one stream that follow each other are put together where
 * they lie, so that a frame of one byte costs no write to the app; and whatever the pieces are, each stream
 * is flushed once a read.
 */
export class DataRun {
  /** Whose pieces are being put together. */
  #stream: Http2Stream | undefined = undefined
  #bytes: Buffer = NOTHING
  #start = 0
  #end = 0
  readonly #touched: Http2Stream[] = []

  /** A piece of DATA. All pieces of one read lie in the same memory, which nobody else uses. */
  add(stream: Http2Stream, bytes: Buffer, start: number, end: number): void {
    if (stream === this.#stream && end - start <= MOST_MERGED_BYTES) return this.#append(bytes, start, end)
    this.deliver()
    this.#stream = stream
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Hands over what was put together: something else comes. */
  deliver(): void {
    const stream = this.#stream
    if (stream === undefined) return
    const bytes = this.#bytes
    this.drop()
    if (stream.closed) return
    if (!stream.unflushed) this.#touched.push(stream)
    stream.unflushed = true
    stream.owner.streamData(bytes, this.#start, this.#end)
  }

  /** The read is over. */
  flush(): void {
    this.deliver()
    for (const stream of this.#touched) {
      stream.unflushed = false
      if (!stream.closed) stream.owner.streamFlush()
    }
    this.#touched.length = 0
  }

  /** What was put together is nobody's any more. */
  drop(): void {
    this.#stream = undefined
    this.#bytes = NOTHING
  }

  #append(bytes: Buffer, start: number, end: number): void {
    const at = this.#end
    this.#end = at + end - start
    if (end - start === 1) bytes[at] = bytes[start] as number
    else bytes.copyWithin(at, start, end)
  }
}
