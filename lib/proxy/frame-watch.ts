/**
 * RFC 6455 7.4.1: going away. Nothing is masked towards a client; towards an app a frame has to have a mask,
 * of zeros here (5.3).
 */
export const GOING_AWAY_TO_CLIENT = Buffer.from([0x88, 2, 0x03, 0xe9])
export const GOING_AWAY_TO_APP = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9])

const OPCODE = 0x0f
const CLOSE = 8
const MASKED = 0x80

/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 5.2) without looking into them, to know where
 * a frame of ours would not tear one in two. Keeps no bytes.
 */
export class FrameWatch {
  /** Bytes of the current frame's head so far, and as many as it has as far as they tell. */
  #headSize = 0
  #headNeeded = 2
  #opcode = 0
  #masked = false
  #length = 0
  /** Bytes of the current frame's mask and payload that are still to come. */
  #left = 0
  #closed = false

  /** A frame may follow: none is under way, and none was the last one. */
  get between(): boolean {
    return this.#headSize === 0 && this.#left === 0 && !this.#closed
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, end - at)
        this.#left -= step
        at += step
      } else {
        this.#takeHead(bytes[at] as number)
        at += 1
      }
    }
  }

  #takeHead(byte: number): void {
    const at = this.#headSize
    this.#headSize += 1
    if (at === 0) this.#opcode = byte & OPCODE
    else if (at === 1) this.#takeLength(byte)
    else this.#length = this.#length * 256 + byte
    if (this.#headSize < this.#headNeeded) return
    this.#left = this.#length + (this.#masked ? 4 : 0)
    this.#closed ||= this.#opcode === CLOSE
    this.#headSize = 0
    this.#headNeeded = 2
  }

  /** 126 and 127: the length stands in the 2 or 8 bytes that follow. */
  #takeLength(byte: number): void {
    const length = byte & ~MASKED
    this.#masked = (byte & MASKED) !== 0
    this.#length = length < 126 ? length : 0
    if (length >= 126) this.#headNeeded = length === 126 ? 4 : 10
  }
}
