/** Why a connection is ended, with the code of RFC 9113 7 that the client is told. */
export interface FrameFault {
  readonly code: number
  readonly detail: 'http2: closed-stream' | 'http2: stream-order' | 'http2: priority' | 'http2: window'
}

/** Who gets what was looked at, and knows what we have sent. */
export interface FrameSink {
  /** Bytes that may be acted on; valid during the call. */
  frames(bytes: Uint8Array, start: number, end: number): void
  /** Bytes of DATA that were given out on this stream so far. */
  sentOn(stream: number): number
}

const HEAD_BYTES = 9
/** RFC 9113 3.4. */
const PREFACE_BYTES = 24
const DATA = 0
const HEADERS = 1
const PRIORITY = 2
const RST_STREAM = 3
const PING = 6
const WINDOW_UPDATE = 8
const ACK = 1
const PING_BYTES = 8
/** Longest payload that is looked into: PRIORITY has five bytes, WINDOW_UPDATE four. */
const LOOK_BYTES = 5
const MAX_WINDOW = 0x7fff_ffff
const PROTOCOL_ERROR = 1
const FLOW_CONTROL_ERROR = 3
const STREAM_CLOSED = 5
/** Closed streams that are remembered, each way of closing: frames may have been on their way (RFC 9113 5.1). */
const REMEMBERED = 256

/**
 * Looks at the frames of one client before node:http2 gets them, for what that lets pass: it forgets a stream once it is closed, and neither
 * heeds PRIORITY nor forgives an answer to a ping that was never sent. Reads heads of frames and a few bytes behind them, never fields or bodies.
 */
export class FrameWatch {
  readonly #sink: FrameSink
  /** Streams that are open, with the window that the client has granted on them beyond the first. */
  readonly #open = new Map<number, number>()
  readonly #closed = new RecentStreams()
  /** Closed by a reset of ours. */
  readonly #dropped = new RecentStreams()
  #highest = 0
  #preface = PREFACE_BYTES
  readonly #head = new Uint8Array(HEAD_BYTES + LOOK_BYTES)
  /** Bytes of a head that has not come whole. */
  #held = 0
  /** Bytes that are wanted before the frame is judged: its head, and of some the beginning of the payload. */
  #wanted = HEAD_BYTES
  /** Bytes of the payload that are still to come. */
  #payload = 0
  #skipping = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** The stream is over, on both sides. */
  ended(stream: number): void {
    if (this.#open.delete(stream)) this.#closed.add(stream)
  }

  /** We have reset the stream: what the client had sent before it knew is no mistake. */
  dropped(stream: number): void {
    this.#open.delete(stream)
    this.#dropped.add(stream)
  }

  /** Takes bytes[0, size); the sink gets those that may be acted on. After a fault nothing more is to be read. */
  read(bytes: Uint8Array, size: number): FrameFault | undefined {
    // Good bytes stand from here on that have not been given yet, as few calls as can be: each may answer.
    let from = 0
    let headAt = 0
    let at = Math.min(this.#preface, size)
    this.#preface -= at
    while (at < size) {
      if (this.#payload > 0) {
        const step = Math.min(this.#payload, size - at)
        this.#payload -= step
        at += step
        if (this.#skipping) from = at
        continue
      }
      // A head that began in an earlier read stands in no run of this one.
      if (this.#held === 0) headAt = at
      else if (at === 0) headAt = -1
      at = this.#hold(bytes, at, size)
      if (this.#held < this.#wanted) break
      const fault = this.#judge()
      if (fault !== undefined || this.#skipping) this.#give(bytes, from, headAt)
      else if (headAt < 0) this.#sink.frames(this.#head, 0, this.#held)
      if (fault !== undefined) return fault
      if (this.#skipping || headAt < 0) from = at
      this.#held = 0
      this.#wanted = HEAD_BYTES
    }
    this.#give(bytes, from, this.#held > 0 ? headAt : size)
    return undefined
  }

  /** Gathers the head of a frame, as far as it is there; the position behind. */
  #hold(bytes: Uint8Array, start: number, size: number): number {
    let at = start
    while (at < size && this.#held < this.#wanted) {
      this.#head[this.#held] = bytes[at] as number
      this.#held += 1
      at += 1
      if (this.#held === HEAD_BYTES) this.#wanted = HEAD_BYTES + this.#lookBytes()
    }
    return at
  }

  #give(bytes: Uint8Array, from: number, to: number): void {
    if (to > from) this.#sink.frames(bytes, from, to)
  }

  get #length(): number {
    const head = this.#head
    return ((head[0] as number) << 16) | ((head[1] as number) << 8) | (head[2] as number)
  }

  get #stream(): number {
    return this.#number(5)
  }

  /** 31 bits of the held bytes from `at` on. */
  #number(at: number): number {
    const head = this.#head
    const high = ((head[at] as number) & 0x7f) << 24
    return (
      high | ((head[at + 1] as number) << 16) | ((head[at + 2] as number) << 8) | (head[at + 3] as number)
    )
  }

  #lookBytes(): number {
    const type = this.#head[3]
    if (type !== PRIORITY && type !== WINDOW_UPDATE) return 0
    return Math.min(this.#length, LOOK_BYTES)
  }

  #judge(): FrameFault | undefined {
    const [type, flags] = [this.#head[3], this.#head[4] as number]
    this.#payload = this.#length - (this.#held - HEAD_BYTES)
    this.#skipping = type === PING && (flags & ACK) !== 0 && this.#length === PING_BYTES && this.#stream === 0
    switch (type) {
      case HEADERS:
        return this.#headers(this.#stream)
      case DATA:
        return this.#onClosed(this.#stream)
      case RST_STREAM:
        this.ended(this.#stream)
        return undefined
      case PRIORITY:
        return this.#priority(this.#stream)
      case WINDOW_UPDATE:
        return this.#window(this.#stream)
      default:
        return undefined
    }
  }

  #headers(stream: number): FrameFault | undefined {
    if (stream <= this.#highest) return this.#onClosed(stream)
    this.#highest = stream
    this.#open.set(stream, 0)
    return undefined
  }

  /** RFC 9113 5.1: nothing more may come on a stream that is closed, unless it was closed by us; and numbers only grow (5.1.1). */
  #onClosed(stream: number): FrameFault | undefined {
    if (this.#open.has(stream) || this.#dropped.has(stream)) return undefined
    // What was never open is for node:http2 to judge.
    if (stream > this.#highest || stream === 0) return undefined
    if (this.#closed.has(stream)) return { code: STREAM_CLOSED, detail: 'http2: closed-stream' }
    return { code: PROTOCOL_ERROR, detail: 'http2: stream-order' }
  }

  /** RFC 9113 6.3; RFC 7540 5.3.1. */
  #priority(stream: number): FrameFault | undefined {
    const onItself = this.#held === HEAD_BYTES + LOOK_BYTES && this.#number(HEAD_BYTES) === stream
    return stream === 0 || onItself ? { code: PROTOCOL_ERROR, detail: 'http2: priority' } : undefined
  }

  /** RFC 9113 6.9.1. What was given out may not have been sent yet, so the window may be larger than is thought here, never smaller. */
  #window(stream: number): FrameFault | undefined {
    const granted = this.#open.get(stream)
    if (granted === undefined || this.#held < HEAD_BYTES + 4) return undefined
    const now = granted + this.#number(HEAD_BYTES)
    this.#open.set(stream, now)
    if (now <= MAX_WINDOW || now - this.#sink.sentOn(stream) <= MAX_WINDOW) return undefined
    return { code: FLOW_CONTROL_ERROR, detail: 'http2: window' }
  }
}

/** The last streams that something happened to. */
class RecentStreams {
  readonly #streams = new Set<number>()

  add(stream: number): void {
    this.#streams.add(stream)
    if (this.#streams.size <= REMEMBERED) return
    const [oldest] = this.#streams
    this.#streams.delete(oldest as number)
  }

  has(stream: number): boolean {
    return this.#streams.has(stream)
  }
}
