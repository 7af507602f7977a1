import type { ByteStream } from '../../base/byte-stream.ts'
import { CODE } from '../../wire/http2-frames.ts'
import type { Http2Sender } from './http2-sender.ts'
import type { Http2Stream } from './http2-stream.ts'
import type { StreamTable } from './http2-streams.ts'

/**
 * Looks after all open streams of one connection, whoever owns them: also those of refused heads, and of
 * exchanges that have ended and still have to deliver.
 */
export class StreamWatch {
  /** When a frame of an answer last left, as far as looks have shown. */
  movedAtMs: number
  readonly #streams: StreamTable
  readonly #sender: Http2Sender
  readonly #socket: ByteStream
  /** At the last look. */
  #frames = 0
  #dataBytes = 0
  #takenBytes = 0
  /** When the client was last seen to have taken some of the bodies that wait for it. */
  #tookAtMs: number

  constructor(streams: StreamTable, sender: Http2Sender, socket: ByteStream, nowMs: number) {
    this.#streams = streams
    this.#sender = sender
    this.#socket = socket
    this.movedAtMs = nowMs
    this.#tookAtMs = nowMs
  }

  /** Begins the term of `movedAtMs` anew. */
  moved(nowMs: number): void {
    this.movedAtMs = nowMs
  }

  /**
   * Ends streams whose time is over: `lingerMs` for a client that goes on with a request that has its answer,
   * `writeMs` for one that takes nothing of what waits for it (0: for ever). True: it takes nothing at all,
   * so the connection has to go.
   */
  look(nowMs: number, lingerMs: number, writeMs: number): boolean {
    this.#note(nowMs)
    this.letGoOfHeads()
    for (const stream of this.#streams.all())
      if (stream.isOverdue(nowMs, lingerMs)) stream.close(CODE.noError)
    return writeMs > 0 && this.#lookForStalled(nowMs, writeMs)
  }

  /** Of requests whose answers take long, only what the log needs is kept. */
  letGoOfHeads(): void {
    for (const stream of this.#streams.all()) stream.owner.letGoOfHead()
  }

  /** Memory is short: gives up what has waited for its client's windows for so long. */
  shed(nowMs: number, limitMs: number): void {
    for (const stream of this.#streams.all())
      if (stream.isBlocked && stream.isStalled(nowMs, limitMs))
        giveUp(stream, 'memory is short, and the client is not reading')
  }

  #note(nowMs: number): void {
    const { frames, sent } = this.#sender
    if (frames !== this.#frames) this.movedAtMs = nowMs
    // Heads need no window: answers without a body would buy time for those that wait for the connection's.
    const { allSent, taken } = this.#socket
    if (sent !== this.#dataBytes || (!allSent && taken !== this.#takenBytes)) this.#tookAtMs = nowMs
    this.#frames = frames
    this.#dataBytes = sent
    this.#takenBytes = taken
  }

  #lookForStalled(nowMs: number, writeMs: number): boolean {
    const tookNothing = nowMs - this.#tookAtMs >= writeMs
    // What they wait for may be the connection that they share, not a window of their own.
    const isNarrow = !this.#socket.allSent || this.#sender.isStarved
    for (const stream of this.#streams.all()) {
      if (!stream.isStalled(nowMs, writeMs)) continue
      if (tookNothing && !this.#socket.allSent) return true
      if (isNarrow && !tookNothing) stream.excuse(nowMs)
      else giveUp(stream, 'stopped reading the response')
    }
    return false
  }
}

/** Its owner says so in the log; a stream without one is just reset. */
function giveUp(stream: Http2Stream, why: string): void {
  stream.owner.streamStalled(why)
  stream.reset(CODE.cancel)
}
