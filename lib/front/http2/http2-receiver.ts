import { latin1Slice } from '../../base/latin1.ts'
import { HpackDecoder, type HpackLimits } from '../../wire/hpack-decoder.ts'
import { type FrameHead, FrameReader, type FrameSink } from '../../wire/http2-frame-reader.ts'
import {
  CODE,
  FIRST_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  pingAck,
  read31,
  SETTINGS_ACK,
  windowFrame,
} from '../../wire/http2-frames.ts'
import { PeerSettings } from '../../wire/http2-settings.ts'
import { DataRun } from './data-run.ts'
import type { FloodBudget } from './flood-budget.ts'
import { HeaderBlock } from './http2-header-block.ts'
import type { Http2Sender } from './http2-sender.ts'
import type { Http2Stream } from './http2-stream.ts'
import type { StreamTable } from './http2-streams.ts'

/** Bytes of bodies that may be on their way on one connection, all streams together. */
const CONNECTION_WINDOW: number = 1024 * 1024
/** DATA frames below are tiny: their heads cost more than what they bring. */
const TINY_BYTES = 64

/** What the receiver finds for its connection. */
export interface ReceiverOwner {
  now(): number
  /** A request has come on a new stream. */
  headArrived(stream: number, pairs: string[], ends: boolean): void
  /** A request whose fields are too many; its stream was never open. */
  headRefused(stream: number, code: number, detail: string): void
  /** A read is over, but for what it has brought of bodies. */
  headsOver(): void
  /** The client has reset a stream. */
  resetArrived(stream: Http2Stream): void
  /** What the client did costs its stream. */
  streamFault(stream: Http2Stream | number, code: number): void
  /** It costs the connection. */
  fault(code: number, detail: string): void
  /** The client says goodbye. */
  goawayArrived(): void
}

export interface ReceiverParts {
  readonly sender: Http2Sender
  readonly streams: StreamTable
  readonly budget: FloodBudget
  readonly headLimits: HpackLimits
}

/** Takes the frames of one client by the rules of RFC 9113. */
export class Http2Receiver implements FrameSink {
  readonly #reader: FrameReader = new FrameReader(this)
  readonly #owner: ReceiverOwner
  readonly #sender: Http2Sender
  readonly #streams: StreamTable
  readonly #budget: FloodBudget
  readonly #headLimits: HpackLimits
  readonly #decoder = new HpackDecoder()
  readonly #settings = new PeerSettings()
  readonly #block = new HeaderBlock()
  readonly #run = new DataRun()
  /** Tiny DATA frames of this read. */
  #tiny = 0
  /** The stream of the DATA frame that is coming. */
  #target: Http2Stream | undefined = undefined
  #settled = false
  /** DATA that the client may still send on the connection. */
  #window = CONNECTION_WINDOW
  /** DATA that had left when the client last granted a window. */
  #sentSeen = 0
  #stopped = false

  constructor(owner: ReceiverOwner, { sender, streams, budget, headLimits }: ReceiverParts) {
    this.#owner = owner
    this.#sender = sender
    this.#streams = streams
    this.#budget = budget
    this.#headLimits = headLimits
  }

  stop(): void {
    this.#stopped = true
    this.#run.drop()
    this.#reader.stop()
  }

  /** Takes bytes[0, end), of which small pieces are put together in place. */
  read(bytes: Buffer, end: number): void {
    this.#reader.read(bytes, end)
    this.#owner.headsOver()
    this.#run.flush()
    if (this.#tiny > 0) this.#payForTiny()
  }

  // FrameSink.

  frameBegins(head: FrameHead): boolean {
    const { type, stream, size } = head
    if (type !== FRAME.data) this.#run.deliver()
    if (size > MAX_FRAME_BYTES) return this.#fault(CODE.frameSize, 'frame-size')
    if (this.#block.isOpen && (type !== FRAME.continuation || stream !== this.#block.stream))
      return this.#fault(CODE.protocol, 'header-block')
    if (!this.#settled && (type !== FRAME.settings || (head.flags & FLAG.ack) !== 0))
      return this.#fault(CODE.protocol, 'preface')
    switch (type) {
      case FRAME.data:
        return this.#dataBegins(head)
      case FRAME.headers:
        return this.#headersBegin(head)
      case FRAME.continuation:
        return this.#block.isOpen || this.#fault(CODE.protocol, 'header-block')
      case FRAME.push:
        return this.#fault(CODE.protocol, 'push')
      case FRAME.window:
        return this.#sized(head, 4)
      default:
        return this.#controlBegins(head)
    }
  }

  frameWhole(head: FrameHead, bytes: Buffer, start: number, end: number): void {
    switch (head.type) {
      case FRAME.headers:
        return this.#headers(head, bytes, start, end)
      case FRAME.continuation:
        return this.#continuation(head, bytes, start, end)
      case FRAME.settings:
        return this.#settingsArrived(head, bytes, start, end)
      case FRAME.window:
        return this.#grant(head.stream, read31(bytes, start))
      case FRAME.reset:
        return this.#reset(head.stream)
      case FRAME.priority:
        if (read31(bytes, start) === head.stream) this.#streamFault(head.stream, CODE.protocol)
        return
      case FRAME.ping:
        return this.#answer(pingAck(latin1Slice(bytes, start, end)))
      case FRAME.goaway:
        return this.#owner.goawayArrived()
    }
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#target
    if (stream !== undefined && !stream.closed) this.#run.add(stream, bytes, start, end)
  }

  dataEnds({ flags }: FrameHead): void {
    const stream = this.#target
    this.#target = undefined
    if (stream === undefined || (flags & FLAG.endStream) === 0) return
    this.#run.deliver()
    if (!stream.closed) stream.inputEnded()
  }

  framingBroken(what: 'preface' | 'padding'): void {
    this.#fault(CODE.protocol, what)
  }

  #dataBegins({ flags, stream: id, size }: FrameHead): boolean {
    if (id === 0) return this.#fault(CODE.protocol, 'stream-zero')
    const padded = (flags & FLAG.padded) !== 0
    if (padded && size === 0) return this.#fault(CODE.frameSize, 'frame-size')
    if (size > this.#window) return this.#fault(CODE.flowControl, 'window')
    this.#take(size)
    if (size < TINY_BYTES && (flags & FLAG.endStream) === 0) {
      this.#tiny += 1
      if (size <= (padded ? 1 : 0) && !this.#pays(size)) return false
    }
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#strayData(id, size)
    if (!stream.inputOpen) return this.#streamFault(stream, CODE.streamClosed)
    if (size > stream.receiveWindow) return this.#streamFault(stream, CODE.flowControl)
    stream.receiveWindow -= size
    this.#target = stream
    return true
  }

  /** DATA on a stream that is gone: ours to forgive if it may have crossed our reset, within its window. */
  #strayData(id: number, size: number): false {
    const allowed = this.#streams.allowanceOf(id)
    if (allowed === undefined) return this.#onGone(id)
    if (size > allowed) return this.#fault(CODE.flowControl, 'window')
    this.#streams.setAllowance(id, allowed - size)
    return false
  }

  /**
   * The connection's window is for all: what has come counts as taken, and each stream's own window bounds
   * what is held.
   */
  #take(size: number): void {
    this.#window -= size
    if (this.#window > CONNECTION_WINDOW / 2) return
    this.#sender.control(windowFrame(0, CONNECTION_WINDOW - this.#window))
    this.#window = CONNECTION_WINDOW
  }

  #headersBegin({ stream: id }: FrameHead): boolean {
    if (id === 0) return this.#fault(CODE.protocol, 'stream-zero')
    // Ours would be even; and numbers only grow (RFC 9113 5.1.1).
    if (id > this.#streams.highest) return (id & 1) === 1 || this.#fault(CODE.protocol, 'stream-order')
    const known = this.#streams.get(id) !== undefined || this.#streams.allowanceOf(id) !== undefined
    return known || this.#onGone(id)
  }

  #headers(head: FrameHead, bytes: Buffer, start: number, end: number): void {
    const block = this.#block
    const fault = block.begin(head, bytes, start, end)
    if (fault !== undefined) return void this.#fault(fault, 'header-block')
    if ((head.flags & FLAG.endHeaders) === 0) block.hold(bytes, block.start, block.end)
    else this.#blockWhole(bytes, block.start, block.end)
  }

  #continuation({ flags }: FrameHead, bytes: Buffer, start: number, end: number): void {
    const block = this.#block
    block.hold(bytes, start, end)
    if (block.isOver(this.#headLimits.maxBytes)) return void this.#fault(CODE.calm, '', 'flood: header block')
    if ((flags & FLAG.endHeaders) === 0) return
    const whole = block.take()
    this.#blockWhole(whole, 0, whole.length)
  }

  #blockWhole(bytes: Buffer, start: number, end: number): void {
    const { stream: id, ends, selfish } = this.#block
    this.#block.close()
    const pairs = this.#decoder.decode(bytes, start, end, this.#headLimits)
    if ('fault' in pairs && pairs.fault === 'compression')
      return void this.#fault(CODE.compression, 'compression')
    const stream = this.#streams.get(id)
    if (stream !== undefined) return this.#trailers(stream, pairs, ends)
    if (id <= this.#streams.highest) return
    this.#streams.highest = id
    if ('fault' in pairs) this.#owner.headRefused(id, CODE.calm, 'head-too-large')
    else if (selfish) this.#owner.headRefused(id, CODE.protocol, 'http2: priority')
    else this.#owner.headArrived(id, pairs, ends)
  }

  #trailers(stream: Http2Stream, pairs: string[] | object, ends: boolean): void {
    if (!stream.inputOpen) return void this.#streamFault(stream, CODE.streamClosed)
    // RFC 9113 8.1: nothing comes behind trailers.
    if (!ends || !Array.isArray(pairs)) return void this.#streamFault(stream, CODE.protocol)
    stream.owner.streamTrailers(pairs)
    if (!stream.closed) stream.inputEnded()
  }

  /** What neither opens a stream nor fills one. */
  #controlBegins(head: FrameHead): boolean {
    const { type, flags, stream, size } = head
    if (!this.#pays(size)) return false
    const ack = (flags & FLAG.ack) !== 0
    switch (type) {
      case FRAME.settings:
        if (stream !== 0) return this.#fault(CODE.protocol, 'stream-zero')
        return (ack ? size === 0 : size % 6 === 0) || this.#fault(CODE.frameSize, 'frame-size')
      case FRAME.ping:
        if (stream !== 0) return this.#fault(CODE.protocol, 'stream-zero')
        // One that was never sent harms nobody.
        return this.#sized(head, 8) && !ack
      case FRAME.goaway:
        if (stream !== 0) return this.#fault(CODE.protocol, 'stream-zero')
        return size >= 8 || this.#fault(CODE.frameSize, 'frame-size')
      case FRAME.reset:
        return stream === 0 ? this.#fault(CODE.protocol, 'stream-zero') : this.#sized(head, 4)
      case FRAME.priority:
        if (stream === 0) return this.#fault(CODE.protocol, 'priority')
        return size === 5 || this.#streamFault(stream, CODE.frameSize)
      default:
        return false
    }
  }

  #settingsArrived({ flags }: FrameHead, bytes: Buffer, start: number, end: number): void {
    this.#settled = true
    if ((flags & FLAG.ack) !== 0) return
    const before = this.#settings.window
    const fault = this.#settings.read(bytes, start, end)
    if (fault !== undefined) return void this.#fault(fault, 'settings')
    this.#sender.encoder.setTableBytes(this.#settings.tableBytes)
    const change = this.#settings.window - before
    if (change !== 0 && !this.#streams.resize(change, this.#settings.window))
      return void this.#fault(CODE.flowControl, 'window')
    this.#answer(SETTINGS_ACK)
  }

  #grant(id: number, bytes: number): void {
    const { sent } = this.#sender
    const news = sent - this.#sentSeen
    this.#sentSeen = sent
    if (!this.#budget.grant(FRAME_HEAD_BYTES + 4, news, this.#owner.now())) return this.#flood('frames')
    if (id === 0) return this.#grantConnection(bytes)
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      if (!this.#streams.wasOpen(id)) this.#fault(CODE.protocol, 'idle-stream')
    } else if (bytes === 0) this.#streamFault(stream, CODE.protocol)
    else if (stream.sendWindow + bytes > MAX_WINDOW) this.#streamFault(stream, CODE.flowControl)
    else {
      stream.sendWindow += bytes
      stream.flush()
    }
  }

  #grantConnection(bytes: number): void {
    if (bytes === 0) this.#fault(CODE.protocol, 'window')
    else if (this.#sender.window + bytes > MAX_WINDOW) this.#fault(CODE.flowControl, 'window')
    else this.#sender.widen(bytes)
  }

  #reset(id: number): void {
    const stream = this.#streams.get(id)
    if (stream !== undefined) this.#owner.resetArrived(stream)
    else if (!this.#streams.wasOpen(id)) this.#fault(CODE.protocol, 'idle-stream')
  }

  /** RFC 9113 5.1: nothing more may come on a stream that is closed, unless it was closed by us. */
  #onGone(id: number): false {
    if (this.#streams.isClosed(id)) return this.#fault(CODE.streamClosed, 'closed-stream')
    return this.#fault(CODE.protocol, this.#streams.wasOpen(id) ? 'stream-order' : 'idle-stream')
  }

  #sized({ size }: FrameHead, right: number): boolean {
    return size === right || this.#fault(CODE.frameSize, 'frame-size')
  }

  /** Those that are not taken pile up. */
  #answer(frame: string): void {
    if (!this.#sender.control(frame)) this.#flood('unread responses')
  }

  #pays(size: number): boolean {
    if (this.#budget.frame(FRAME_HEAD_BYTES + size, this.#owner.now())) return true
    this.#flood('frames')
    return false
  }

  #payForTiny(): void {
    const frames = this.#tiny
    this.#tiny = 0
    if (!this.#budget.tiny(frames, this.#owner.now())) this.#flood('tiny DATA frames')
  }

  #flood(what: string): void {
    this.#fault(CODE.calm, '', `flood: ${what}`)
  }

  #streamFault(stream: Http2Stream | number, code: number): false {
    const target = typeof stream === 'number' ? (this.#streams.get(stream) ?? stream) : stream
    this.#owner.streamFault(target, code)
    return false
  }

  #fault(code: number, what: string, detail = `http2: ${what}`): false {
    if (this.#stopped) return false
    this.stop()
    this.#owner.fault(code, detail)
    return false
  }
}

/** What the connection's window has to grow by, to begin with. */
export const FIRST_GRANT: number = CONNECTION_WINDOW - FIRST_WINDOW
