import type { Socket } from 'node:net'
import type { ByteStream, ByteStreamOwner } from '../../lib/base/byte-stream.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'
import type { Leaving } from '../connection-pool.ts'
import type { PooledPlace } from '../job.ts'

/** How long an app may take to close its side of a connection that we have closed. */
const LINGER_MS = 1000
/**
 * The same while a request waits for the place: where the worker that has it is busy, another one may serve
 * the request.
 */
const ROOM_LINGER_MS = 100
/** What it may still send on it. */
const LINGER_BYTES = 256 * 1024

/**
 * A connection that nobody needs any more: FIN goes out, behind the closure alert where there is TLS (RFC
 * 9112 9.8), and what the app still sends is read and dropped until it closes as well. A close with bytes
 * unread would be a RST, which some apps never notice on an idle connection (uvicorn).
 */
export class ClosingConnection implements ByteStreamOwner, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #stream: ByteStream
  readonly #place: PooledPlace
  readonly #timers: Timers
  #dropped = 0

  constructor(stream: ByteStream, place: PooledPlace, timers: Timers, how: Leaving) {
    this.#stream = stream
    this.#place = place
    this.#timers = timers
    stream.owner = this
    if (how === 'at once') stream.close()
    else this.#linger(how)
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
    this.#timers.disarm(this)
    this.#place.give()
  }

  expired(): void {
    this.#stream.destroy()
  }

  #linger(how: 'lingering' | 'making room'): void {
    if (how === 'making room') this.#place.makeRoom()
    this.#stream.end()
    this.#timers.arm(this, how === 'making room' ? ROOM_LINGER_MS : LINGER_MS)
  }
}

/** The same time for a socket that closes by itself as soon as the app does. */
export class ClosingSocket implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
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

/** Calls `done` when the socket is closed: at once if it is, or was never there. */
export function onceClosed(socket: Socket | undefined, done: () => void): void {
  if (socket === undefined || socket.closed) done()
  else socket.once('close', done)
}
