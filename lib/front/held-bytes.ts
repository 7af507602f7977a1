/** Below this what a client may send ahead is not worth a system call. */
const HELD_LIMIT = 64 * 1024
const LINE_FEED = 10

/** Bytes of a client that nobody has taken yet: part of a head, a body nobody has asked for, further requests. */
export class HeldBytes {
  #bytes: Buffer | undefined = undefined

  get size(): number {
    return this.#bytes === undefined ? 0 : this.#bytes.length
  }

  /** Holds bytes[start, end), behind what is held already. `shared`: the memory is not ours and has to be copied. */
  hold(bytes: Buffer, start: number, end: number, shared: boolean): void {
    const rest = bytes.subarray(start, end)
    if (this.#bytes !== undefined) this.#bytes = Buffer.concat([this.#bytes, rest])
    // A small rest would keep the whole of a large buffer alive.
    else this.#bytes = shared || rest.length < bytes.length / 2 ? Buffer.from(rest) : rest
  }

  /** Hands over what is held, if anything is. */
  take(): Buffer | undefined {
    const bytes = this.#bytes
    this.#bytes = undefined
    return bytes
  }

  clear(): void {
    this.#bytes = undefined
  }

  /** Is it more than may lie here while nobody asks for it? A head has to fit, whatever its limit. */
  isOver(headersBytes: number): boolean {
    return this.size > Math.max(HELD_LIMIT, headersBytes)
  }
}

/** Does a line end in bytes[0, end)? */
export function hasLineFeed(bytes: Buffer, end: number): boolean {
  const at = bytes.indexOf(LINE_FEED)
  return at >= 0 && at < end
}
