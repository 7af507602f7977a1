import type { FieldList } from '../../http/field-list.ts'
import { FIRST_WINDOW } from '../../wire/http2-frames.ts'
import type { ConnectionMemory } from '../connection/client-memory.ts'
import { type HeaderPairs, trailerPairs } from './answer-pairs.ts'
import { ChunkQueue } from './chunk-queue.ts'

/** Who is at the server's end of a stream. */
export interface StreamOwner {
  /**
   * Some of the body; valid during the call. What of it is not held any more is to be given back by
   * `granted`.
   */
  streamData(bytes: Buffer, start: number, end: number): void
  /** No more of it in this read. */
  streamFlush(): void
  /** Fields behind the body; `streamEnded` follows. */
  streamTrailers(pairs: readonly string[]): void
  /** The client has sent all it had to send. */
  streamEnded(): void
  /** There is room for bytes again, after the owner was told to wait. */
  streamDrained(): void
  /** What it has to send may take long: of the request's head only what is still needed is to be kept. */
  letGoOfHead(): void
  /** The client has taken nothing of what waits for it, for too long: the stream is to be given up. */
  streamStalled(why: string): void
  /** Once, and last. The code of the reset, ours or the client's; NO_ERROR if both sides have ended. */
  streamClosed(code: number): void
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly memory: ConnectionMemory
  /** There is something to send. */
  streamReady(stream: Http2Stream): void
  /** It is to be told when others have sent what they were given. */
  streamInLine(stream: Http2Stream): void
  /** Tells the client, if it has not been told by the client; then the stream is gone. */
  streamReset(stream: Http2Stream, code: number): void
  /** Both sides have ended. */
  streamDone(stream: Http2Stream): void
  /** The client may send so many bytes more. */
  streamGranted(stream: Http2Stream, bytes: number): void
}

/** Where frames of a stream are written. */
export interface StreamWriter {
  /** Bytes of DATA that the connection's window lets pass. */
  readonly window: number
  headers(stream: number, pairs: HeaderPairs, ends: boolean): void
  /** Takes bytes for one DATA frame, from `chunks` on. */
  data(stream: number, bytes: Buffer, start: number, end: number, ends: boolean): void
}

/**
 * done: nothing is left to send. window, connection: it waits for one of the two windows. more: it has had
 * its turn.
 */
export type Sent = 'done' | 'window' | 'connection' | 'more'

/** Bytes of one request body that a client may send before somebody has asked for them. */
export const STREAM_WINDOW = 128 * 1024
/** Bytes that may wait for one client before its app has to. */
export const HIGH_WATER = 64 * 1024

/**
 * One stream of a client's connection (RFC 9113 5.1): both its sides with their windows, and what waits to be
 * sent. Nothing is written before the turn is over, so a head, its body and the end leave together. Calls on
 * a stream that is gone do nothing.
 */
export class Http2Stream {
  readonly id: number
  owner: StreamOwner
  /** The client has not ended its side. */
  inputOpen: boolean
  /** We have not ended ours. */
  outputOpen = true
  closed = false
  /** It stands in the list of those that have something to send. Of the sender. */
  listed = false
  /** Its owner was given bytes in this read. Of the receiver. */
  unflushed = false
  /** DATA that we may send; below nought after a change of settings (RFC 9113 6.9.2). */
  sendWindow: number
  /** DATA that the client may still send. */
  receiveWindow: number = STREAM_WINDOW
  /** Bytes that stand for it in its connection's account. */
  #held = 0
  /** Part of them: DATA that was found to wait for a window. */
  #blocked = 0
  readonly #host: StreamHost
  #interims: HeaderPairs[] | undefined = undefined
  /** A head that was given and has not left. */
  #head: HeaderPairs | undefined = undefined
  /** DATA that waits to be sent. */
  readonly #queue: ChunkQueue
  #ended = false
  #trailers: FieldList | undefined = undefined
  /** The reset that follows the end. */
  #resetBehind: number | undefined = undefined
  /** The owner was told to wait, and until no more than so many bytes are left. */
  #waiting = false
  #lowWater = 0
  /** Granted, and the client has not been told yet. */
  #untold = 0
  /** Bytes that waited at the last look, and since when it is that many. */
  #unsent = 0
  #unsentSinceMs = 0
  /** When our side was first seen to have ended before the client's. */
  #halfOverSinceMs: number | undefined = undefined

  constructor(
    id: number,
    host: StreamHost,
    owner: StreamOwner,
    inputOpen: boolean,
    sendWindow = FIRST_WINDOW,
  ) {
    this.id = id
    this.#host = host
    this.owner = owner
    this.inputOpen = inputOpen
    this.sendWindow = sendWindow
    this.#queue = new ChunkQueue(host.memory.extents)
  }

  /** Bytes of DATA that wait to be sent. */
  get queued(): number {
    return this.#queue.size
  }

  /** An interim answer, which leaves at once. */
  inform(pairs: HeaderPairs): void {
    if (this.closed || this.#ended) return
    if (this.#interims === undefined) this.#interims = [pairs]
    else this.#interims.push(pairs)
    this.#host.streamReady(this)
  }

  /** Gives the head. It leaves with `flush`, `end`, or enough bytes. */
  begin(pairs: HeaderPairs): void {
    this.#head = pairs
  }

  /** Bytes that nobody will change any more. False: the client is slow, wait for `streamDrained`. */
  put(bytes: Buffer): boolean {
    if (this.closed || this.#ended || bytes.length === 0) return true
    this.#queue.push(bytes)
    return this.#given(bytes.length)
  }

  /** The same for a copy of bytes[start, end). */
  putCopy(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.closed || this.#ended || start === end) return true
    this.#queue.pushCopy(bytes, start, end)
    return this.#given(end - start)
  }

  /** There is so much to send on the whole connection that it should be given no more. */
  get isCrowded(): boolean {
    return this.#host.memory.isQueueFull
  }

  /** `streamDrained` is told when all that was given has left; with nothing given, when there is room. */
  waitUntilSent(): void {
    if (this.closed || this.#ended) return
    if (this.queued === 0) {
      this.flush()
      return this.#host.streamInLine(this)
    }
    this.#waiting = true
    this.#lowWater = 0
    this.#host.streamReady(this)
  }

  /** What was given so far leaves with this turn. */
  flush(): void {
    if (!this.closed && !this.#isIdle) this.#host.streamReady(this)
  }

  /** Ends our side, behind what was given. */
  end(trailers?: FieldList): void {
    if (this.closed || this.#ended) return
    this.#ended = true
    this.#trailers = trailers
    this.#host.streamReady(this)
  }

  /** Ends both sides: once ours has ended, if it was to, else now. What still waits is then dropped. */
  close(code: number): void {
    if (this.closed) return
    if (this.#ended && this.outputOpen) this.#resetBehind = code
    else this.reset(code)
  }

  reset(code: number): void {
    if (!this.closed) this.#host.streamReset(this, code)
  }

  /** Bytes of the body are held no longer: the client may send as many more. Told in few frames. */
  granted(bytes: number): void {
    if (this.closed || !this.inputOpen) return
    this.#untold += bytes
    if (this.#untold < STREAM_WINDOW / 2) return
    this.#host.streamGranted(this, this.#untold)
    this.receiveWindow += this.#untold
    this.#untold = 0
  }

  /** So many bytes more are held on its behalf; fewer, if negative. */
  hold(bytes: number): void {
    if (this.closed) return
    this.#held += bytes
    this.#host.memory.add(bytes)
  }

  /** May so many bytes more of its request's body wait for the app? */
  admitsBody(bytes: number): boolean {
    return this.#host.memory.admitsBody(bytes)
  }

  /** Bytes of an answer wait for the client's windows. */
  get isBlocked(): boolean {
    return this.#blocked > 0
  }

  /** To be asked now and then. True: for so long the client has taken nothing of what waits for it. */
  isStalled(nowMs: number, limitMs: number): boolean {
    if (this.queued !== 0 && this.queued === this.#unsent) return nowMs - this.#unsentSinceMs >= limitMs
    this.#unsent = this.queued
    this.#unsentSinceMs = nowMs
    return false
  }

  /** To be asked now and then. True: our side has been over for so long, and the client's is not. */
  isOverdue(nowMs: number, limitMs: number): boolean {
    if (!this.inputOpen || this.outputOpen) return false
    this.#halfOverSinceMs ??= nowMs
    return nowMs - this.#halfOverSinceMs >= limitMs
  }

  /** Grants a new term. */
  excuse(nowMs: number): void {
    this.#unsentSinceMs = nowMs
  }

  // What the connection calls.

  /** The client has ended its side. */
  inputEnded(): void {
    this.inputOpen = false
    this.owner.streamEnded()
    if (!this.outputOpen && !this.closed) this.#host.streamDone(this)
  }

  /** The connection has let go of it. */
  gone(code: number): void {
    this.hold(-this.#held)
    this.closed = true
    this.#host.memory.queuedBytes -= this.queued - this.#blocked
    this.#queue.clear()
    this.#head = undefined
    this.#interims = undefined
    this.owner.streamClosed(code)
  }

  /** Writes what may be sent, of DATA about `most` bytes. Hot. */
  sendTo(writer: StreamWriter, most: number, frameBytes: number): Sent {
    const sent = this.#send(writer, most, frameBytes)
    const blocked = sent === 'window' || sent === 'connection' ? this.queued : 0
    if (blocked !== this.#blocked) {
      if (this.#blocked === 0) this.owner.letGoOfHead()
      this.#queue.detach()
      this.hold(blocked - this.#blocked)
      this.#host.memory.queuedBytes -= blocked - this.#blocked
      this.#blocked = blocked
    }
    return sent
  }

  #send(writer: StreamWriter, most: number, frameBytes: number): Sent {
    this.#sendHeads(writer)
    let left = most
    while (this.queued > 0) {
      if (left <= 0) return 'more'
      if (this.sendWindow <= 0) return 'window'
      if (writer.window <= 0) return 'connection'
      left -= this.#sendData(writer, frameBytes)
    }
    if (this.#ended && this.outputOpen) this.#sendEnd(writer)
    return 'done'
  }

  /** Its turn has come: there is room on the connection. */
  roomCame(): void {
    this.owner.streamDrained()
  }

  /** Behind a turn of sending, when nothing is written any more: tells who waits. */
  afterSending(): void {
    if (this.closed) return
    if (!this.outputOpen) {
      if (!this.inputOpen) this.#host.streamDone(this)
      else if (this.#resetBehind !== undefined) this.reset(this.#resetBehind)
    } else if (this.#waiting && this.queued <= this.#lowWater) {
      this.#waiting = false
      this.owner.streamDrained()
    }
  }

  #given(bytes: number): boolean {
    const { memory } = this.#host
    memory.queuedBytes += bytes
    if (this.queued < HIGH_WATER && (this.#blocked === 0 || !memory.isFull)) return true
    this.#waiting = true
    this.#lowWater = HIGH_WATER - 1
    this.#host.streamReady(this)
    return false
  }

  get #isIdle(): boolean {
    return this.#head === undefined && this.queued === 0
  }

  #sendHeads(writer: StreamWriter): void {
    const interims = this.#interims
    if (interims !== undefined) {
      this.#interims = undefined
      for (const pairs of interims) writer.headers(this.id, pairs, false)
    }
    const head = this.#head
    if (head === undefined) return
    this.#head = undefined
    const alone = this.#ended && this.queued === 0 && this.#trailers === undefined
    if (alone) this.outputOpen = false
    writer.headers(this.id, head, alone)
  }

  /** One frame, of one piece; the bytes in it. */
  #sendData(writer: StreamWriter, frameBytes: number): number {
    const queue = this.#queue
    const { first, firstAt } = queue
    const size = Math.min(first.length - firstAt, this.sendWindow, writer.window, frameBytes)
    const ends = this.#ended && size === queue.size && this.#trailers === undefined
    this.sendWindow -= size
    if (ends) this.outputOpen = false
    writer.data(this.id, first, firstAt, firstAt + size, ends)
    queue.drop(size)
    this.#host.memory.queuedBytes -= size
    return size
  }

  #sendEnd(writer: StreamWriter): void {
    this.outputOpen = false
    if (this.#trailers !== undefined) writer.headers(this.id, trailerPairs(this.#trailers), true)
    else writer.data(this.id, NOTHING, 0, 0, true)
  }
}

const NOTHING = Buffer.alloc(0)

/** The owner of a stream on which nothing is of interest any more. */
export const NOBODY: StreamOwner = {
  streamData: ignore,
  streamFlush: ignore,
  streamTrailers: ignore,
  streamEnded: ignore,
  streamDrained: ignore,
  letGoOfHead: ignore,
  streamStalled: ignore,
  streamClosed: ignore,
}

function ignore(): void {}
