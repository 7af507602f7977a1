import type { FrameHead } from '../../wire/http2-frame-reader.ts'
import { CODE, FLAG, read31 } from '../../wire/http2-frames.ts'

/** Frames that one list of fields may come in: clients fill theirs. */
const MAX_FRAMES = 64
/** What may be held of a list that is going to be refused, so that its stream alone suffers. */
const MIN_BYTES = 64 * 1024
const PRIORITY_BYTES = 5

/**
 * The list of fields that is coming, in HEADERS and the CONTINUATION frames behind it (RFC 9113 4.3). One at
 * a time.
 */
export class HeaderBlock {
  stream = 0
  /** Nothing follows it on its stream. */
  ends = false
  /** Its stream is said to depend on itself (RFC 7540 5.3.1). */
  selfish = false
  /** CONTINUATION has to come. */
  isOpen = false
  /** Where its first piece stands. */
  start = 0
  end = 0
  #pieces: Buffer[] = []
  #size = 0

  /**
   * Looks at the payload of a HEADERS frame (RFC 9113 6.2); a number is the code of what is wrong with it.
   */
  begin(head: FrameHead, bytes: Uint8Array, start: number, end: number): number | undefined {
    this.stream = head.stream
    this.ends = (head.flags & FLAG.endStream) !== 0
    this.selfish = false
    const padded = (head.flags & FLAG.padded) !== 0
    const prioritized = (head.flags & FLAG.priority) !== 0
    let at = start + (padded ? 1 : 0)
    if (prioritized) at += PRIORITY_BYTES
    if (at > end) return CODE.frameSize
    if (prioritized) this.selfish = read31(bytes, at - PRIORITY_BYTES) === head.stream
    this.start = at
    this.end = end - (padded ? (bytes[start] as number) : 0)
    return this.end < at ? CODE.protocol : undefined
  }

  /** Keeps a piece until the rest has come. */
  hold(bytes: Buffer, start: number, end: number): void {
    this.isOpen = true
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)))
    this.#size += end - start
  }

  /** More than a client needs for a list of so many bytes. */
  isOver(bytes: number): boolean {
    return this.#size > Math.max(bytes, MIN_BYTES) || this.#pieces.length > MAX_FRAMES
  }

  /** All pieces as one. */
  take(): Buffer {
    return Buffer.concat(this.#pieces)
  }

  close(): void {
    this.isOpen = false
    this.#size = 0
    if (this.#pieces.length > 0) this.#pieces = []
  }
}
