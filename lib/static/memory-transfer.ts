import type { Exchange } from '../http/exchange.ts'
import type { ByteRange } from '../http/range.ts'
import type { Pace, Paced } from './pace.ts'

const CHUNK_BYTES = 64 * 1024

/** Sends bytes from memory at the pace of its client: what a slow one has not taken is not copied for it. */
export class MemoryTransfer implements Paced {
  readonly #exchange: Exchange
  readonly #body: Buffer
  readonly #end: number
  readonly #pace: Pace | undefined
  #at: number
  #stopped = false

  /** The answer has begun and promises just these bytes. */
  constructor(exchange: Exchange, body: Buffer, range: ByteRange, pace: Pace | undefined) {
    this.#exchange = exchange
    this.#body = body
    this.#at = range.first
    this.#end = range.last + 1
    this.#pace = pace
  }

  /** Goes on; also to be called when the client takes bytes again. */
  resume(): void {
    while (!this.#stopped) {
      const wanted = Math.min(CHUNK_BYTES, this.#end - this.#at)
      const count = this.#pace === undefined ? wanted : this.#pace.take(wanted, this)
      if (count === 0 || !this.#send(count)) return
    }
  }

  /** The client has gone. */
  stop(): void {
    this.#stopped = true
    this.#pace?.stop()
  }

  /** True if the next may follow at once. */
  #send(count: number): boolean {
    const end = this.#at + count
    this.#at = this.#exchange.offer(this.#body, this.#at, end)
    this.#pace?.giveBack(end - this.#at)
    if (this.#stopped) return false
    if (this.#at < this.#end) {
      this.#exchange.flush()
      return this.#at === end
    }
    this.stop()
    this.#exchange.end()
    return false
  }
}
