import type { ClientFacts } from '../../http/exchange.ts'
import type { Origin } from '../../http/forwarded.ts'
import type { ExchangeRecord } from '../../http/record.ts'
import type { Http2Request } from '../../wire/http2-head.ts'
import type { ConnectionHost } from '../connection/connection-host.ts'
import type { Http2Exchange } from './http2-exchange.ts'
import type { Http2Stream } from './http2-stream.ts'

/** What an exchange needs of its connection. */
export interface Http2Wire {
  readonly host: ConnectionHost
  readonly client: ClientFacts
  /** The exchange is over; its stream may still have to deliver. */
  finished(exchange: Http2Exchange): void
  /** The stream is gone. */
  gone(exchange: Http2Exchange, reset: boolean): void
  /** Exchanges of the connection whose stream is open. */
  readonly running: number
  /** What the client did has cost its stream. */
  misled(): void
  /** Bytes of DATA that the windows let leave on this stream; undefined while the connection has enough to send, or its socket takes nothing. */
  room(stream: Http2Stream): number | undefined
}

/** What came with a request. */
export interface Http2Arrival {
  readonly request: Http2Request
  readonly origin: Origin
  readonly record: ExchangeRecord
  /** No body follows. */
  readonly endStream: boolean
  /** What stands for its head in the account of memory. */
  readonly headBytes: number
}
