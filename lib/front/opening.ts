import type { Socket } from 'node:net'
import type { ErrorCode } from '../base/errors.ts'
import { readIntoShared } from '../base/shared-read.ts'
import type { Deadline } from '../base/timers.ts'
import type { ClientFacts } from '../http/client-facts.ts'
import type { ClientConnection, ConnectionHost } from './connection/connection-host.ts'
import { IdlePlace, type MayIdle } from './connection/idle-list.ts'

/** Most bytes that may be looked at before it is known what a connection speaks. */
const MAX_BYTES = 80 * 1024

/** What the first bytes of a connection mean. */
export interface OpeningReader {
  /**
   * Looks at bytes that have arrived and that nobody has taken; they are valid during the call. True: it has
   * taken the socket over, with `opening.release`, or has ended it. False: it needs more.
   */
  opened(opening: Opening, bytes: Buffer): boolean
  /** The client has closed, or was too slow, before anything could be said of it. */
  abandoned(opening: Opening, why: 'closed' | 'timeout' | 'too-long', bytes: Buffer): void
}

/**
 * A client's connection before it is known what it speaks: reads just enough to tell, and gives back what it
 * has read. It has `timeouts.handshake`, from the accept on, however its bytes dribble. As long as none has
 * come it makes room for others.
 */
export class Opening implements ClientConnection, Deadline, MayIdle {
  readonly isNewcomer = true
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly socket: Socket
  readonly client: ClientFacts
  readonly startMs: number
  readonly #host: ConnectionHost
  readonly #reader: OpeningReader
  #bytes: Buffer = Buffer.alloc(0)
  #released = false
  readonly #place = new IdlePlace(this)
  readonly #onData = (chunk: Buffer) => this.#arrived(chunk, false)
  readonly #onEnd = () => this.#abandon('closed')

  constructor(socket: Socket, client: ClientFacts, host: ConnectionHost, reader: OpeningReader) {
    this.socket = socket
    this.client = client
    this.startMs = host.env.clock.now()
    this.#host = host
    this.#reader = reader
    host.env.timers.arm(this, host.config.timeouts.handshakeMs)
    host.idle.add(this.#place)
    if (!this.#readsShared()) socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onEnd)
    // Told by 'close' as well; without a listener an error would end the process.
    socket.on('error', ignore)
    socket.resume()
  }

  /**
   * Nothing more is read here: what was read and is not `taken` (a number of bytes) goes back into the
   * socket, for whoever reads it next. The socket is paused, and still has a listener for errors.
   */
  release(taken: number): Socket {
    const { socket } = this
    this.#detach()
    socket.pause()
    const rest = this.#bytes.subarray(taken)
    if (rest.length > 0) socket.unshift(Buffer.from(rest))
    return socket
  }

  drain(): void {
    if (this.#bytes.length === 0) this.destroy()
  }

  destroy(_code?: ErrorCode): void {
    this.socket.destroy()
  }

  closeIdle(): boolean {
    this.#abandon('closed')
    return true
  }

  /** Nothing waits for it. */
  shedStalled(): void {}

  expired(): void {
    this.#abandon('timeout')
  }

  /**
   * A first read that is an upload may be 64 KiB, and most often goes on at once. Below TLS it is a
   * ClientHello, and Node's own reads take over.
   */
  #readsShared(): boolean {
    if (this.#host.config.tls !== undefined) return false
    return readIntoShared(this.socket, (size, buffer) => {
      this.#arrived(buffer.subarray(0, size), true)
      return true
    })
  }

  #arrived(chunk: Uint8Array, shared: boolean): void {
    this.#host.idle.remove(this.#place)
    const isFirst = this.#bytes.length === 0
    const bytes = isFirst ? viewOf(chunk) : Buffer.concat([this.#bytes, chunk])
    this.#bytes = bytes
    if (this.#reader.opened(this, bytes)) return
    if (bytes.length > MAX_BYTES) this.#abandon('too-long')
    else if (isFirst && shared) this.#bytes = Buffer.from(bytes)
  }

  #abandon(why: 'closed' | 'timeout' | 'too-long'): void {
    if (this.#released) return
    this.#detach()
    this.socket.destroy()
    this.#reader.abandoned(this, why, this.#bytes)
  }

  #detach(): void {
    this.#released = true
    this.#host.idle.remove(this.#place)
    this.#host.env.timers.disarm(this)
    this.socket.off('data', this.#onData)
    this.socket.off('end', this.#onEnd)
    this.socket.off('close', this.#onEnd)
  }
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

function ignore(): void {}
