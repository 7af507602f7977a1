import type { Socket } from 'node:net'
import type { ByteStream, ByteStreamOwner } from '../../lib/base/byte-stream.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'

/** How long an app may take to close its side of a connection that we have closed. */
const LINGER_MS = 1000
/** What it may still send on it. */
const LINGER_BYTES = 256 * 1024

/**
 * A connection that nobody needs any more: FIN goes out, behind the closure alert where there is TLS (RFC 9112 9.8), and what the app still sends is read and dropped
 * until it closes as well. A close with bytes unread would be a RST, which some apps never notice on an idle connection (uvicorn).
 */
export class ClosingConnection implements ByteStreamOwner, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #stream: ByteStream
  readonly #env: ThreadEnv
  #dropped = 0

  /** `lingers`: false where its descriptor is wanted now. */
  constructor(stream: ByteStream, env: ThreadEnv, lingers: boolean) {
    this.#stream = stream
    this.#env = env
    stream.owner = this
    if (lingers) {
      stream.end()
      env.timers.arm(this, LINGER_MS)
    } else stream.close()
  }

  streamBytes(_bytes: Buffer, end: number): void {
    this.#dropped += end
    if (this.#dropped > LINGER_BYTES) this.#stream.destroy()
  }

  streamEnded(): void {
    this.#stream.close()
  }

  streamDrained(): void {}

  streamStalled(): void {
    this.#stream.destroy()
  }

  streamClosed(): void {
    this.#env.timers.disarm(this)
    this.#env.descriptors.give()
  }

  expired(): void {
    this.#stream.destroy()
  }
}

/** The same time for a socket that closes by itself as soon as the app does. */
export class ClosingSocket implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #socket: Socket

  constructor(socket: Socket, timers: Timers) {
    this.#socket = socket
    socket.once('close', () => timers.disarm(this))
    timers.arm(this, LINGER_MS)
  }

  expired(): void {
    this.#socket.destroy()
  }
}
