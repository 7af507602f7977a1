import { read } from 'node:fs'
import type { Exchange } from '../http/exchange.ts'
import type { ByteRange } from '../http/range.ts'
import type { Pace, Paced } from './pace.ts'

/** What is sent. `close` is called once. */
export interface SentFile {
  readonly fd: number
  close(): void
}

const CHUNK_BYTES = 64 * 1024
/** Buffers kept for the next read: a transfer that waits for its client holds none. */
const MAX_SPARE = 16
const spare: Buffer[] = []

/**
 * Sends bytes of an open file at the pace of its client, one read at a time. The descriptor is closed exactly
 * once, and never under a running read: its number could by then be another file.
 */
export class Transfer implements Paced {
  readonly #exchange: Exchange
  readonly #file: SentFile
  readonly #end: number
  readonly #pace: Pace | undefined
  #at: number
  #reading: Buffer | undefined
  #closed = false

  /** The answer has begun and promises just these bytes. Takes the descriptor over. */
  constructor(exchange: Exchange, file: SentFile, range: ByteRange, pace: Pace | undefined) {
    this.#exchange = exchange
    this.#file = file
    this.#at = range.first
    this.#end = range.last + 1
    this.#pace = pace
  }

  /** Reads on; also to be called when the client has taken what it was given. */
  resume(): void {
    if (this.#reading !== undefined || this.#closed || this.#at >= this.#end) return
    const wanted = this.#exchange.room(Math.min(CHUNK_BYTES, this.#end - this.#at))
    if (wanted === 0) return
    const count = this.#pace === undefined ? wanted : this.#pace.take(wanted, this)
    if (count === 0) return
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.#reading = buffer
    read(this.#file.fd, buffer, 0, count, this.#at, this.#read)
  }

  /** The client has gone. */
  stop(): void {
    if (this.#closed) return
    this.#closed = true
    this.#pace?.stop()
    if (this.#reading === undefined) this.#file.close()
  }

  readonly #read = (error: Error | null, count: number): void => {
    const buffer = this.#reading as Buffer
    this.#reading = undefined
    if (this.#closed) {
      this.#file.close()
    } else if (error !== null) {
      this.#fail(error.message)
    } else if (count === 0) {
      // The length was promised: only a cut tells the client that the rest is missing.
      this.#fail('the file shrank while it was sent')
    } else {
      this.#send(buffer, count)
    }
    if (spare.length < MAX_SPARE) spare.push(buffer)
  }

  #send(buffer: Buffer, count: number): void {
    this.#at += count
    const goOn = this.#exchange.write(buffer, 0, count)
    if (this.#closed) return
    if (this.#at >= this.#end) {
      this.stop()
      this.#exchange.end()
      return
    }
    this.#exchange.flush()
    if (goOn) this.resume()
  }

  #fail(detail: string): void {
    this.stop()
    this.#exchange.fail('INTERNAL', detail)
  }
}
