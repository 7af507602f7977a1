import { Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls'
import { descriptorOf, tryWrite } from './direct-write.ts'
import { latin1Slice, latin1Write } from './latin1.ts'
import { addressOf, type Peer, rememberSession, SocketOpening } from './peer-socket.ts'
import { outliveFailedWrites, ReadingSocket } from './reading-socket.ts'
import { READ_BUFFER, readIntoShared } from './shared-read.ts'
import { StallDeadline } from './stall-deadline.ts'
import type { Timers } from './timers.ts'

/**
 * Who reads from a `ByteStream`. All calls come from the event loop, never from inside a call on the stream.
 */
export interface ByteStreamOwner {
  /** bytes[0, end) have arrived. The memory is shared by all sockets of the thread: copy what must stay. */
  streamBytes(bytes: Buffer, end: number): void
  /** The peer will send no more. */
  streamEnded(): void
  /** `flush` may write freely again after it returned false. */
  streamDrained(): void
  /**
   * The peer takes no more bytes, though what it sent may still be read. Only on streams that were connected.
   */
  streamWriteFailed?(): void
  /** The peer has taken none of our bytes for the stall time. */
  streamStalled(): void
  /** Once, and last. */
  streamClosed(error: Error | undefined): void
}

/** Node encodes a latin1 string up to this size on the stack and writes it in one system call. */
const TEXT_LIMIT = 16 * 1024
/**
 * What is left with the socket when the kernel takes no more: that it leaves says that there is room again.
 */
const PROBE_BYTES = 4 * 1024

interface OwnedSocket extends Socket {
  causewayStream?: ByteStream
}

/**
 * A socket with reads into shared memory and batched writes: text and bytes given in one turn leave in one
 * system call at `flush`.
 */
export class ByteStream {
  #socket: OwnedSocket
  readonly #timers: Timers
  readonly #stallMs: number
  #owner: ByteStreamOwner
  /** latin1 text that waits for `flush`. */
  #text = ''
  #stall: StallDeadline | undefined = undefined
  #error: Error | undefined = undefined
  #closed = false
  #writeFailed = false
  #opening: SocketOpening | undefined = undefined
  /** Bytes that were given to the kernel past the socket. */
  #direct = 0
  #probing = false
  #onProbe: ((error: Error | null | undefined) => void) | undefined = undefined

  private constructor(socket: Socket, owner: ByteStreamOwner, timers: Timers, stallMs: number) {
    this.#socket = socket
    this.#owner = owner
    this.#timers = timers
    this.#stallMs = stallMs
    this.#own(socket)
  }

  /** Takes over an accepted socket; its server has `pauseOnConnect` and `allowHalfOpen`. */
  static accept(socket: Socket, owner: ByteStreamOwner, timers: Timers, stallMs: number): ByteStream {
    const stream = new ByteStream(socket, owner, timers, stallMs)
    if (!readIntoShared(socket, onSharedRead)) socket.on('data', onData)
    socket.resume()
    return stream
  }

  /**
   * Starts to connect; `onConnect` runs once hands are shaken and bytes may flow, a failure arrives as
   * `streamClosed`.
   */
  static connect(
    to: Peer,
    owner: ByteStreamOwner,
    timers: Timers,
    stallMs: number,
    onConnect: () => void,
  ): ByteStream {
    if (to.tls === undefined) return ByteStream.#connectPlain(to, owner, timers, stallMs, onConnect)
    if (to.greeting !== undefined) return ByteStream.#connectLater(to, owner, timers, stallMs, onConnect)
    // `onread` as for plain sockets: Node has it, its type does not.
    const options = { ...to.tls.options(), ...addressOf(to), allowHalfOpen: true, onread: SHARED_READ }
    const socket = connectTls(options as ConnectionOptions)
    rememberSession(socket, to.tls)
    const stream = new ByteStream(socket, owner, timers, stallMs)
    outliveFailedWrites(socket)
    socket.once('secureConnect', onConnect)
    socket.setNoDelay(true)
    return stream
  }

  static #connectPlain(
    to: Peer,
    owner: ByteStreamOwner,
    timers: Timers,
    stallMs: number,
    onConnect: () => void,
  ): ByteStream {
    const socket = new ReadingSocket({ allowHalfOpen: true, onread: SHARED_READ })
    const stream = new ByteStream(socket, owner, timers, stallMs)
    socket.once('connect', onConnect)
    socket.setNoDelay(true)
    socket.connect(addressOf(to))
    if (to.greeting !== undefined) stream.writeText(to.greeting)
    return stream
  }

  /** Where something stands before TLS: the socket that is read is not the one that connects. */
  static #connectLater(
    to: Peer,
    owner: ByteStreamOwner,
    timers: Timers,
    stallMs: number,
    onConnect: () => void,
  ): ByteStream {
    const stream = new ByteStream(new Socket(), owner, timers, stallMs)
    stream.#opening = new SocketOpening(to, {
      socketReady: socket => {
        stream.#opening = undefined
        stream.#own(socket)
        outliveFailedWrites(socket)
        if (!readIntoShared(socket, onSharedRead)) socket.on('data', onData)
        socket.resume()
        onConnect()
      },
      socketFailed: error => {
        if (error !== undefined) stream.failed(error)
        stream.socketClosed()
      },
    })
    return stream
  }

  set owner(owner: ByteStreamOwner) {
    this.#owner = owner
  }

  get closed(): boolean {
    return this.#closed
  }

  /** True while written bytes wait for the peer. */
  get backedUp(): boolean {
    return this.#socket.writableNeedDrain && !this.#writeFailed
  }

  writeText(text: string): void {
    if (this.#text.length + text.length > TEXT_LIMIT) this.flush()
    this.#text += text
  }

  /** Bytes are copied before it returns. */
  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start
    const textSize = this.#text.length
    if (textSize + size <= TEXT_LIMIT) {
      this.#text += latin1Slice(bytes, start, end)
      return
    }
    const copy = Buffer.allocUnsafeSlow(textSize + size)
    if (textSize > 0) latin1Write(copy, this.#text, 0)
    copy.set(bytes.subarray(start, end), textSize)
    this.#text = ''
    this.#write(copy)
  }

  /**
   * Gives what the kernel takes at once, and a little more; the position behind the last byte that was taken.
   * If that is before the end, `streamDrained` says when to offer the rest: so no more than a little waits in
   * memory that nobody counts.
   */
  offerBytes(bytes: Uint8Array, start: number, end: number): number {
    const socket = this.#socket
    if (this.#closed || this.#writeFailed || socket.destroyed || socket.writableEnded) return end
    const fd = descriptorOf(socket)
    if (fd === undefined) return this.#offerIndirectly(bytes, start, end)
    if (!this.allSent) return this.#probe(bytes, start, start)
    if (end - start <= PROBE_BYTES) {
      this.writeBytes(bytes, start, end)
      return end
    }
    const behindText = this.#fillText(bytes, start, end)
    const count = this.allSent ? tryWrite(fd, bytes, behindText, end) : 0
    this.#direct += count
    const at = behindText + count
    return at === end ? end : this.#probe(bytes, at, Math.min(end, at + PROBE_BYTES))
  }

  /** Bytes that nobody will change any more: they are sent as they are. */
  writeKept(bytes: Buffer): void {
    this.flush()
    this.#write(bytes)
  }

  /** Writes what was gathered. False: the peer is slow, wait for `streamDrained`. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text
      this.#text = ''
      this.#write(text)
    }
    return !this.#socket.writableNeedDrain
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Sends what is left, then no more; reading goes on. */
  end(): void {
    this.flush()
    if (!this.#closed) this.#socket.end()
  }

  /** Sends what is left, then closes. */
  close(): void {
    this.flush()
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#opening?.destroy()
    this.#socket.destroy()
  }

  /** Closes with RST, so that the peer cannot take what it has for a complete message. */
  reset(): void {
    if (this.#closed) return
    // Elsewhere there is no RST: a unix socket just closes, and TLS without its own close is a cut to whoever
    // minds (RFC 9112 9.8).
    if (this.#socket instanceof TLSSocket || this.#socket.remoteFamily === undefined) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  // What the socket's events call.

  bytesArrived(bytes: Buffer, end: number): void {
    this.#owner.streamBytes(bytes, end)
  }

  /** Behind a TLS alert an end is told as well, but no close. */
  peerEnded(): void {
    if (this.#error === undefined) this.#owner.streamEnded()
    else this.#socket.destroy()
  }

  writeFailed(): void {
    if (this.#writeFailed) return
    this.#writeFailed = true
    if (this.#stall !== undefined) this.#timers.disarm(this.#stall)
    this.#owner.streamWriteFailed?.()
  }

  drained(): void {
    if (this.#stall !== undefined) this.#timers.disarm(this.#stall)
    if (!this.#closed) this.#owner.streamDrained()
  }

  failed(error: Error): void {
    this.#error ??= error
  }

  socketClosed(): void {
    this.#closed = true
    if (this.#stall !== undefined) this.#timers.disarm(this.#stall)
    this.#owner.streamClosed(this.#error)
  }

  /**
   * False while written bytes wait for the kernel to take them. Of those gathered for `flush` it knows
   * nothing.
   */
  get allSent(): boolean {
    return this.#socket.writableLength === 0
  }

  /** Bytes that the kernel has taken so far. */
  get taken(): number {
    const handle: unknown = Reflect.get(this.#socket, '_handle')
    if (typeof handle !== 'object' || handle === null) return 0
    const written = numberOf(Reflect.get(handle, 'bytesWritten'))
    return this.#direct + written - numberOf(Reflect.get(handle, 'writeQueueSize'))
  }

  stalled(): void {
    this.#owner.streamStalled()
  }

  /** Text that waits leaves with the first of the bytes; where these go on. */
  #fillText(bytes: Uint8Array, start: number, end: number): number {
    if (this.#text === '') return start
    const stop = Math.min(end, start + Math.max(0, TEXT_LIMIT - this.#text.length))
    this.#text += latin1Slice(bytes, start, stop)
    this.flush()
    return stop
  }

  /** Through TLS: whatever is written lies there until it has left. */
  #offerIndirectly(bytes: Uint8Array, start: number, end: number): number {
    if (this.backedUp) return start
    this.writeBytes(bytes, start, end)
    return end
  }

  /**
   * Below its high-water mark a socket tells nobody when it has room again, but every write tells when it is
   * over.
   */
  #probe(bytes: Uint8Array, start: number, end: number): number {
    if (this.#probing) return start
    this.#probing = true
    this.#onProbe ??= error => {
      this.#probing = false
      if (error === null || error === undefined) this.drained()
    }
    this.#write(Buffer.from(bytes.subarray(start, end)), this.#onProbe)
    return end
  }

  #own(socket: OwnedSocket): void {
    this.#socket = socket
    socket.causewayStream = this
    socket.on('end', onEnd)
    socket.on('drain', onDrain)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  #write(data: string | Buffer, done?: (error: Error | null | undefined) => void): void {
    if (this.#closed || this.#writeFailed || this.#socket.destroyed || this.#socket.writableEnded) return
    if (typeof data === 'string') this.#socket.write(data, 'latin1')
    else this.#socket.write(data, done)
    if (this.allSent || this.#stallMs === 0) return
    this.#stall ??= new StallDeadline(this, this.#timers, this.#stallMs)
    this.#stall.watch()
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function onSharedRead(this: OwnedSocket, size: number, buffer: Uint8Array): boolean {
  this.causewayStream?.bytesArrived(buffer as Buffer, size)
  return true
}

const SHARED_READ = { buffer: READ_BUFFER, callback: onSharedRead }

function onData(this: OwnedSocket, chunk: Buffer): void {
  this.causewayStream?.bytesArrived(chunk, chunk.length)
}

function onEnd(this: OwnedSocket): void {
  this.causewayStream?.peerEnded()
}

function onDrain(this: OwnedSocket): void {
  this.causewayStream?.drained()
}

function onError(this: OwnedSocket, error: Error): void {
  this.causewayStream?.failed(error)
}

function onClose(this: OwnedSocket): void {
  this.causewayStream?.socketClosed()
}
