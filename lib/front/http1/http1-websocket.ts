import type { ByteStream, ByteStreamOwner } from '../../base/byte-stream.ts'
import type { BodyReader, ClientWebSocket } from '../../http/exchange.ts'
import type { ExchangeRecord } from '../../http/record.ts'

/** What a WebSocket needs of the exchange that it came of. */
export interface SwitchedExchange {
  readonly record: ExchangeRecord
  drained(): void
  end(): void
  lost(code: 'CLIENT_GONE' | 'CLIENT_TIMEOUT', detail: string | undefined): void
}

/** A client's connection once HTTP on it is over, as its connection hands it over. */
export interface HandedOver {
  readonly stream: ByteStream
  /** Hears of the socket's end, behind the exchange. */
  readonly connection: ByteStreamOwner
  /** What the client sent behind its request. */
  readonly early: Buffer | undefined
  /** The client has half-closed already. */
  readonly inputEnded: boolean
}

/**
 * A client's connection after the switch to another protocol: it owns the socket until the exchange ends,
 * looks into nothing, and counts. Silence is watched by whoever opened the WebSocket, a client that takes
 * nothing by the stream.
 */
export class Http1WebSocket implements ClientWebSocket, ByteStreamOwner {
  readonly #exchange: SwitchedExchange
  readonly #reader: BodyReader
  #stream: ByteStream | undefined = undefined
  #connection: ByteStreamOwner | undefined = undefined
  #outputEnded = false

  constructor(exchange: SwitchedExchange, reader: BodyReader) {
    this.#exchange = exchange
    this.#reader = reader
  }

  /** Delivers what came before. */
  start({ stream, connection, early, inputEnded }: HandedOver): void {
    this.#stream = stream
    this.#connection = connection
    if (early !== undefined) this.#deliver(early, early.length)
    if (inputEnded) this.#reader.bodyEnd()
  }

  // ClientWebSocket.

  write(bytes: Buffer): boolean {
    if (this.#stream === undefined) return true
    this.#exchange.record.bytesOut += bytes.length
    this.#stream.writeKept(bytes)
    return !this.#stream.backedUp
  }

  endOutput(): void {
    this.#outputEnded = true
    this.#stream?.end()
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    this.#stream?.resume()
  }

  // ByteStreamOwner.

  streamBytes(bytes: Buffer, end: number): void {
    this.#deliver(bytes, end)
  }

  streamEnded(): void {
    this.#reader.bodyEnd()
  }

  streamDrained(): void {
    this.#exchange.drained()
  }

  streamStalled(): void {
    this.#exchange.lost('CLIENT_TIMEOUT', 'stopped reading from the tunnel')
    this.#stream?.destroy()
  }

  streamClosed(error: Error | undefined): void {
    this.#stream = undefined
    // Once the app has ended, how the client takes its leave is its own affair.
    if (this.#outputEnded) {
      this.#reader.bodyEnd()
      this.#exchange.end()
    } else this.#exchange.lost('CLIENT_GONE', error?.message)
    this.#connection?.streamClosed(error)
  }

  #deliver(bytes: Buffer, end: number): void {
    this.#exchange.record.bytesIn += end
    this.#reader.bodyBytes(bytes, 0, end)
    this.#reader.bodyFlush()
  }
}
