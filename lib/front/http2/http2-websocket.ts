import type { ClientWebSocket } from '../../http/exchange.ts'
import type { Http2Stream } from './http2-stream.ts'

/** What a WebSocket needs of its exchange. */
export interface WebSocketExchange {
  /** Bytes go out to the client. False: it is slow. */
  webSocketWrite(bytes: Buffer): boolean
  readonly stream: Http2Stream
  pauseBody(): void
  resumeBody(): void
}

/**
 * The client's side of a WebSocket over HTTP/2 (RFC 8441): the two directions of one stream. END_STREAM is
 * what FIN is to a connection.
 */
export class Http2WebSocket implements ClientWebSocket {
  readonly #exchange: WebSocketExchange
  /** The app has said all it had to say: how the client takes its leave is its own affair. */
  outputEnded = false

  constructor(exchange: WebSocketExchange) {
    this.#exchange = exchange
  }

  write(bytes: Buffer): boolean {
    return this.outputEnded || this.#exchange.webSocketWrite(bytes)
  }

  endOutput(): void {
    this.outputEnded = true
    this.#exchange.stream.end()
  }

  pause(): void {
    this.#exchange.pauseBody()
  }

  resume(): void {
    this.#exchange.resumeBody()
  }
}
