import type { ByteStream } from '../../base/byte-stream.ts'
import { latin1Write } from '../../base/latin1.ts'
import { HpackEncoder } from '../../wire/hpack-encoder.ts'
import {
  FIRST_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  MAX_FRAME_BYTES,
  writeFrameHead,
} from '../../wire/http2-frames.ts'
import type { HeaderPairs } from './answer-pairs.ts'
import { HIGH_WATER, type Http2Stream, type StreamWriter } from './http2-stream.ts'
import { atTurnEnd, type TurnTaker } from './turns.ts'

/** Most that one turn writes to one connection. */
const TURN_BYTES = 128 * 1024
/** Most of it that one stream has before others have their share. */
const SHARE_BYTES = 2 * MAX_FRAME_BYTES
/** Acknowledgements and the like that may wait for a client that does not read. */
const MAX_CONTROL = 64 * 1024

/**
 * Frames of one turn are put together here; what does not fit leaves before. One for the thread: nothing
 * waits in it.
 */
let scratch = newScratch()

/**
 * Beyond it, bytes that a `ByteStream` copies become garbage outside of the heap, of which a download makes a
 * lot.
 */
const SMALL_BYTES = 16 * 1024

/** What leaves on one connection: frames of all its streams in fair turns, one write a turn. */
export class Http2Sender implements StreamWriter, TurnTaker {
  /** DATA that the client takes on the whole connection. */
  window: number = FIRST_WINDOW
  /** Bytes of DATA that have left. */
  sent = 0
  /** Frames that have left. */
  frames = 0
  readonly encoder = new HpackEncoder()
  readonly #stream: ByteStream
  /** Frames that belong to no answer, as text; they go first. */
  #control = ''
  /** Streams that have something to send. */
  #ready: Http2Stream[] = []
  /** Those that wait for the connection's window. */
  #starved: Http2Stream[] = []
  /** Those that wait until others have sent what they were given, in the order in which they came. */
  readonly #line = new Set<Http2Stream>()
  #due = false
  /** Writes are over at once: the client reads, and there is no TLS. */
  #isSwift = true
  #at = 0

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  /** A frame that belongs to no answer. False: too many wait already. */
  control(frame: string): boolean {
    this.#control += frame
    this.#schedule()
    return this.#control.length <= MAX_CONTROL
  }

  /** The stream has something to send. */
  ready(stream: Http2Stream): void {
    if (stream.listed) return
    stream.listed = true
    this.#ready.push(stream)
    this.#schedule()
  }

  /**
   * The stream is to be told when it can be given something: the socket takes nothing now, or so much waits
   * for the next turn that more would not leave with it.
   */
  queueUp(stream: Http2Stream): void {
    this.#line.add(stream)
  }

  /** The stream is gone, and what it was given. */
  forget(stream: Http2Stream): void {
    this.#line.delete(stream)
    if (this.#line.size > 0) this.#schedule()
  }

  /** The client takes more on the whole connection. */
  widen(bytes: number): void {
    this.window += bytes
    if (this.window <= 0 || this.#starved.length === 0) return
    for (const stream of this.#starved) this.#ready.push(stream)
    this.#starved = []
    this.#schedule()
  }

  /** True if streams wait for the connection's window. */
  get isStarved(): boolean {
    return this.#starved.length > 0
  }

  /** The socket takes nothing now. */
  get isBackedUp(): boolean {
    return this.#stream.backedUp
  }

  /** Bytes of DATA that the windows let leave on this stream. */
  room(stream: Http2Stream): number {
    if (this.isStarved) return 0
    return Math.min(stream.sendWindow, this.window, HIGH_WATER)
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.#control !== '' || this.#ready.length > 0 || this.#line.size > 0) this.#schedule()
  }

  turnEnds(): void {
    this.#due = false
    if (!this.#stream.closed && !this.isBackedUp) this.#send()
  }

  /** Writes the frames that belong to no answer, whatever the socket says: nothing follows. */
  finish(): void {
    this.#putControl()
    this.#emit()
  }

  // StreamWriter.

  headers(stream: number, pairs: HeaderPairs, ends: boolean): void {
    const block = this.encoder.encode(pairs)
    const endStream = ends ? FLAG.endStream : 0
    const size = block.length
    if (size <= MAX_FRAME_BYTES)
      return this.#put(FRAME.headers, endStream | FLAG.endHeaders, stream, block, 0, size)
    this.#put(FRAME.headers, endStream, stream, block, 0, MAX_FRAME_BYTES)
    for (let at = MAX_FRAME_BYTES; at < size; at += MAX_FRAME_BYTES) {
      const end = Math.min(at + MAX_FRAME_BYTES, size)
      this.#put(FRAME.continuation, end === size ? FLAG.endHeaders : 0, stream, block, at, end)
    }
  }

  data(stream: number, bytes: Buffer, start: number, end: number, ends: boolean): void {
    this.window -= end - start
    this.sent += end - start
    this.#put(FRAME.data, ends ? FLAG.endStream : 0, stream, bytes, start, end)
  }

  #schedule(): void {
    if (this.#due) return
    this.#due = true
    atTurnEnd(this)
  }

  #send(): void {
    this.#putControl()
    const turn = this.#ready
    this.#ready = []
    let at = 0
    let most = TURN_BYTES
    for (; at < turn.length && most > 0; at += 1) {
      const stream = turn[at] as Http2Stream
      if (stream.closed) continue
      const before = stream.queued
      const state = stream.sendTo(this, Math.min(most, SHARE_BYTES), MAX_FRAME_BYTES)
      most -= before - stream.queued
      if (state === 'more') turn.push(stream)
      else if (state === 'connection') this.#starved.push(stream)
      else stream.listed = false
    }
    this.#emit()
    this.#goOn(turn, at)
  }

  /** Tells those that waited for room, then those that had their turn, and keeps the others. */
  #goOn(turn: readonly Http2Stream[], done: number): void {
    for (let i = done; i < turn.length; i += 1) this.#ready.push(turn[i] as Http2Stream)
    if (this.#line.size > 0) this.#callLine()
    for (let i = 0; i < done; i += 1) (turn[i] as Http2Stream).afterSending()
    if (this.#ready.length > 0 && !this.isBackedUp) this.#schedule()
  }

  /** Before those that have just sent something: they would leave no room. */
  #callLine(): void {
    for (const stream of this.#line) {
      if (this.isBackedUp || stream.isCrowded) return
      this.#line.delete(stream)
      stream.roomCame()
    }
  }

  #putControl(): void {
    const text = this.#control
    this.#control = ''
    for (let at = 0; at < text.length; at += TURN_BYTES) {
      const piece = text.slice(at, at + TURN_BYTES)
      if (this.#at + piece.length > scratch.length) this.#emit()
      latin1Write(scratch, piece, this.#at)
      this.#at += piece.length
    }
  }

  #put(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    const size = end - start
    if (this.#at + FRAME_HEAD_BYTES + size > scratch.length) this.#emit()
    this.frames += 1
    writeFrameHead(scratch, this.#at, size, type, flags, stream)
    scratch.set(
      start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end),
      this.#at + FRAME_HEAD_BYTES,
    )
    this.#at += FRAME_HEAD_BYTES + size
  }

  #emit(): void {
    const end = this.#at
    if (end === 0) return
    this.#at = 0
    if (end > SMALL_BYTES && this.#isSwift) return this.#lend(end)
    this.#stream.writeBytes(scratch, 0, end)
    this.#stream.flush()
  }

  /**
   * Without a copy: the kernel has most often taken all of it when the call is over. If not, the memory is
   * given away.
   */
  #lend(end: number): void {
    this.#stream.writeKept(scratch.subarray(0, end))
    if (this.#stream.allSent) return
    this.#isSwift = false
    scratch = newScratch()
  }
}

function newScratch(): Buffer {
  return Buffer.allocUnsafeSlow(TURN_BYTES + MAX_FRAME_BYTES)
}
