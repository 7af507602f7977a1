import { CODE, FIRST_WINDOW, MAX_WINDOW } from '../../wire/http2-frames.ts'
import { RecentStreams } from '../../wire/recent-streams.ts'
import type { Http2Stream } from './http2-stream.ts'

/** The streams of one connection: those that are open, and the last of those that were (RFC 9113 5.1). */
export class StreamTable {
  /** The highest number that a client has used. */
  highest = 0
  /** First window that the client grants on each stream. */
  firstWindow: number = FIRST_WINDOW
  readonly #open = new Map<number, Http2Stream>()
  readonly #closed = new RecentStreams()
  /** Closed by a reset of ours, with the DATA that may still be on its way. */
  readonly #dropped = new RecentStreams()

  get size(): number {
    return this.#open.size
  }

  get(id: number): Http2Stream | undefined {
    return this.#open.get(id)
  }

  all(): IterableIterator<Http2Stream> {
    return this.#open.values()
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream)
  }

  /** The stream is over: both sides have ended, or the client has reset it. */
  end(stream: Http2Stream, code: number = CODE.noError): void {
    if (!this.#open.delete(stream.id)) return
    this.#closed.add(stream.id, 0)
    stream.gone(code)
  }

  /** We have reset the stream: what the client had sent before it knew is no mistake. */
  drop(stream: Http2Stream, code: number): void {
    if (!this.#open.delete(stream.id)) return
    this.#dropped.add(stream.id, stream.receiveWindow)
    stream.gone(code)
  }

  /** The same for one that was never open. */
  dropUnopened(id: number, window: number): void {
    this.#dropped.add(id, window)
  }

  wasOpen(id: number): boolean {
    return id <= this.highest && (id & 1) === 1
  }

  isClosed(id: number): boolean {
    return this.#closed.has(id)
  }

  /** DATA that may still come on a stream that we have reset; undefined if we have not. */
  allowanceOf(id: number): number | undefined {
    return this.#dropped.get(id)
  }

  setAllowance(id: number, bytes: number): void {
    this.#dropped.set(id, bytes)
  }

  /**
   * The client has changed the first window of streams, those that are open included (RFC 9113 6.9.2). False:
   * one grows too large.
   */
  resize(change: number, first: number): boolean {
    this.firstWindow = first
    for (const stream of this.#open.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > MAX_WINDOW) return false
      if (change > 0) stream.flush()
    }
    return true
  }
}
