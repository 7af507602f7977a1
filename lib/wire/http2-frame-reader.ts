import { latin1Slice } from '../base/latin1.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE, read31 } from './http2-frames.ts'

/** The head of a frame (RFC 9113 4.1). */
export interface FrameHead {
  readonly type: number
  readonly flags: number
  readonly stream: number
  /** Bytes of the payload, padding included. */
  readonly size: number
}

/**
 * Who judges and takes the frames. Any call may `stop` the reader. All bytes are valid during the call only.
 */
export interface FrameSink {
  /** A frame begins. False: its payload is dropped as it comes, and nothing more is said of it. */
  frameBegins(head: FrameHead): boolean
  /** The whole payload of a frame that is not DATA. */
  frameWhole(head: FrameHead, bytes: Buffer, start: number, end: number): void
  /** Some of the payload of a DATA frame, as it comes, without padding. */
  dataBytes(bytes: Buffer, start: number, end: number): void
  /** All of a DATA frame has come. */
  dataEnds(head: FrameHead): void
  /** More padding than payload, or no preface: the reader has stopped. */
  framingBroken(what: 'preface' | 'padding'): void
}

/**
 * preface: before anything else. head: between frames. whole: a payload that is wanted in one piece. pad: the
 * length of a DATA frame's padding is to come. data, padding: the rest of it. skip: a payload that nobody
 * wants. stopped: for ever.
 */
type State = 'preface' | 'head' | 'whole' | 'pad' | 'data' | 'padding' | 'skip' | 'stopped'

/**
 * Cuts what a client sends into frames, however it comes. Holds an incomplete frame only, and of DATA nothing
 * but the head.
 */
export class FrameReader implements FrameHead {
  type = 0
  flags = 0
  stream = 0
  size = 0
  readonly #sink: FrameSink
  #state: State = 'preface'
  /** Bytes that the state still waits for. */
  #left = PREFACE.length
  /** Padding behind the data. */
  #padding = 0
  readonly #head: Buffer = Buffer.alloc(FRAME_HEAD_BYTES)
  #payload: Buffer | undefined = undefined
  /** Bytes of a head or a payload that are held. */
  #held = 0

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Nothing more is read. */
  stop(): void {
    this.#state = 'stopped'
    this.#payload = undefined
  }

  /** Takes bytes[0, end). */
  read(bytes: Buffer, end: number): void {
    let at = 0
    while (at < end) at = this.#step(bytes, at, end)
  }

  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, at, end)
      case 'whole':
        return this.#readWhole(bytes, at, end)
      case 'data':
        return this.#readData(bytes, at, end)
      case 'pad':
        return this.#readPad(bytes, at)
      case 'padding':
      case 'skip':
        return this.#drop(at, end)
      case 'preface':
        return this.#readPreface(bytes, at, end)
      case 'stopped':
        return end
    }
  }

  #readPreface(bytes: Buffer, at: number, end: number): number {
    const from = PREFACE.length - this.#left
    const size = Math.min(this.#left, end - at)
    if (latin1Slice(bytes, at, at + size) !== PREFACE.slice(from, from + size)) {
      this.stop()
      this.#sink.framingBroken('preface')
      return end
    }
    this.#left -= size
    if (this.#left === 0) this.#state = 'head'
    return at + size
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    if (this.#held === 0 && end - at >= FRAME_HEAD_BYTES) {
      this.#begin(bytes, at)
      return at + FRAME_HEAD_BYTES
    }
    const size = Math.min(FRAME_HEAD_BYTES - this.#held, end - at)
    bytes.copy(this.#head, this.#held, at, at + size)
    this.#held += size
    if (this.#held === FRAME_HEAD_BYTES) {
      this.#held = 0
      this.#begin(this.#head, 0)
    }
    return at + size
  }

  #begin(bytes: Buffer, at: number): void {
    this.size = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    this.type = bytes[at + 3] as number
    this.flags = bytes[at + 4] as number
    this.stream = read31(bytes, at + 5)
    const wanted = this.#sink.frameBegins(this)
    if (this.#isStopped()) return
    this.#left = this.size
    if (!wanted) this.#state = this.size === 0 ? 'head' : 'skip'
    else if (this.type !== FRAME.data) this.#beginWhole()
    else if ((this.flags & FLAG.padded) !== 0) this.#state = 'pad'
    else this.#beginData(0)
  }

  #beginWhole(): void {
    this.#state = 'whole'
    if (this.size > 0) return
    this.#state = 'head'
    this.#sink.frameWhole(this, this.#head, 0, 0)
  }

  #beginData(padding: number): void {
    this.#padding = padding
    this.#left -= padding
    this.#state = 'data'
    if (this.#left === 0) this.#dataDone()
  }

  #readWhole(bytes: Buffer, at: number, end: number): number {
    if (this.#payload === undefined && end - at >= this.size) {
      this.#state = 'head'
      this.#sink.frameWhole(this, bytes, at, at + this.size)
      return at + this.size
    }
    this.#payload ??= Buffer.allocUnsafeSlow(this.size)
    const size = Math.min(this.#left, end - at)
    bytes.copy(this.#payload, this.size - this.#left, at, at + size)
    this.#left -= size
    if (this.#left === 0) {
      const payload = this.#payload
      this.#payload = undefined
      this.#state = 'head'
      this.#sink.frameWhole(this, payload, 0, this.size)
    }
    return at + size
  }

  #readPad(bytes: Buffer, at: number): number {
    const padding = bytes[at] as number
    this.#left -= 1
    if (padding <= this.#left) this.#beginData(padding)
    else {
      this.stop()
      this.#sink.framingBroken('padding')
    }
    return at + 1
  }

  #readData(bytes: Buffer, at: number, end: number): number {
    const size = Math.min(this.#left, end - at)
    this.#left -= size
    this.#sink.dataBytes(bytes, at, at + size)
    if (this.#left === 0 && !this.#isStopped()) this.#dataDone()
    return at + size
  }

  #dataDone(): void {
    this.#left = this.#padding
    if (this.#left > 0) {
      this.#state = 'padding'
      return
    }
    this.#state = 'head'
    this.#sink.dataEnds(this)
  }

  #drop(at: number, end: number): number {
    const size = Math.min(this.#left, end - at)
    this.#left -= size
    if (this.#left > 0) return at + size
    const ends = this.#state === 'padding'
    this.#state = 'head'
    if (ends) this.#sink.dataEnds(this)
    return at + size
  }

  /** Asked behind calls that may have stopped it. */
  #isStopped(): boolean {
    return this.#state === 'stopped'
  }
}
