import { read } from 'node:fs'
import { READ_BYTES, ReadBuffers } from '../base/read-buffers.ts'
import type { Exchange } from '../http/exchange.ts'
import type { ByteRange } from '../http/range.ts'
import type { Pace, Paced } from './pace.ts'

/** What is sent. `close` is called once. */
export interface SentFile {
  readonly fd: number
  close(): void
}

/**
 * So many reads of files run at a time in a thread: a transfer that waits for its client, or for its turn,
 * holds no memory.
 */
const BUFFERS = new ReadBuffers(16)

/** idle: waits for its client. waiting: for a buffer. */
type State = 'idle' | 'waiting' | 'reading' | 'closed'

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
  #state: State = 'idle'
  #buffer: Buffer | undefined = undefined

  /** The answer has begun and promises just these bytes. Takes the descriptor over. */
  constructor(exchange: Exchange, file: SentFile, range: ByteRange, pace: Pace | undefined) {
    this.#exchange = exchange
    this.#file = file
    this.#at = range.first
    this.#end = range.last + 1
    this.#pace = pace
  }

  /** Reads on; also to be called when the client takes bytes again. */
  resume(): void {
    if (this.#state !== 'idle' || this.#room() === 0) return
    this.#state = 'waiting'
    BUFFERS.take(this.#begin)
  }

  /** The client has gone. */
  stop(): void {
    if (this.#state === 'closed') return
    const reading = this.#state === 'reading'
    this.#state = 'closed'
    this.#pace?.stop()
    if (!reading) this.#file.close()
  }

  #room(): number {
    return this.#exchange.room(Math.min(READ_BYTES, this.#end - this.#at))
  }

  readonly #begin = (buffer: Buffer): void => {
    if (this.#state === 'closed') return BUFFERS.giveBack(buffer)
    // Others may have filled the connection in the meantime.
    const wanted = this.#room()
    const count = wanted === 0 || this.#pace === undefined ? wanted : this.#pace.take(wanted, this)
    if (count === 0) {
      this.#state = 'idle'
      return BUFFERS.giveBack(buffer)
    }
    this.#state = 'reading'
    this.#buffer = buffer
    read(this.#file.fd, buffer, 0, count, this.#at, this.#read)
  }

  readonly #read = (error: Error | null, count: number): void => {
    const buffer = this.#buffer as Buffer
    this.#buffer = undefined
    if (this.#state === 'closed') this.#file.close()
    else {
      this.#state = 'idle'
      if (error !== null) this.#fail(error.message)
      // The length was promised: only a cut tells the client that the rest is missing.
      else if (count === 0) this.#fail('the file shrank while it was sent')
      else this.#send(buffer, count)
    }
    BUFFERS.giveBack(buffer)
  }

  /** What the client does not take is read again when it does. */
  #send(buffer: Buffer, count: number): void {
    const taken = this.#exchange.offer(buffer, 0, count)
    this.#at += taken
    this.#pace?.giveBack(count - taken)
    if (this.#is('closed')) return
    if (this.#at >= this.#end) {
      this.stop()
      this.#exchange.end()
      return
    }
    this.#exchange.flush()
    if (taken === count) this.resume()
  }

  /** Asked where what was called may have changed it. */
  #is(state: State): boolean {
    return this.#state === state
  }

  #fail(detail: string): void {
    this.stop()
    this.#exchange.fail('INTERNAL', detail)
  }
}
