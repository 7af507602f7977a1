import type { Socket } from 'node:net'
import type { Deadline } from '../base/timers.ts'
import type { ClientConnection, ConnectionHost } from './connection/connection-host.ts'

/** How long a client that has had its last word may take to close. */
const LINGER_MS = 5000

/**
 * A connection that was told all and closes: whatever the client still sends is dropped, so that no reset
 * takes the last word from its hands.
 */
export class Leaving implements ClientConnection, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #socket: Socket

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.once('close', () => {
      host.env.timers.disarm(this)
      host.closed(this)
    })
    socket.on('data', () => {})
    socket.resume()
    host.env.timers.arm(this, LINGER_MS)
  }

  drain(): void {}

  destroy(): void {
    this.#socket.destroy()
  }

  /** Nothing waits for it. */
  shedStalled(): void {}

  expired(): void {
    this.#socket.destroy()
  }
}
