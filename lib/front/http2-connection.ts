import type { Socket } from 'node:net'
import type { ErrorCode } from '../base/errors.ts'
import type { ClientFacts } from '../http/exchange.ts'
import type { ClientConnection, ConnectionHost } from './connection-host.ts'

/** A client's HTTP/2 connection. */
export class Http2Connection implements ClientConnection {
  readonly #socket: Socket

  constructor(socket: Socket, _client: ClientFacts, host: ConnectionHost) {
    this.#socket = socket
    socket.once('close', () => host.closed(this))
    socket.destroy()
  }

  drain(): void {
    this.destroy()
  }

  destroy(_code?: ErrorCode): void {
    this.#socket.destroy()
  }
}
