import type { ClientMemory } from '../connection/client-memory.ts'

/** Below this what a client may send ahead is not worth a system call. */
const HELD_LIMIT = 64 * 1024
const LINE_FEED = 10
const NOTHING = Buffer.alloc(0)

/** What can be kept from reading. */
export interface Readable {
  pause(): void
  resume(): void
}

/**
 * Bytes of a client that nobody has taken yet: part of a head, a body nobody has asked for, further requests.
 */
export class HeldBytes {
  #bytes: Buffer | undefined = undefined
  readonly #memory: ClientMemory
  #paused = false
  #stopped = false

  constructor(memory: ClientMemory) {
    this.#memory = memory
  }

  get size(): number {
    return this.#bytes === undefined ? 0 : this.#bytes.length
  }

  /**
   * Holds bytes[start, end), behind what is held already. `shared`: the memory is not ours and has to be
   * copied.
   */
  hold(bytes: Buffer, start: number, end: number, shared: boolean): void {
    const rest = bytes.subarray(start, end)
    this.#memory.usedBytes += rest.length
    if (this.#bytes !== undefined) this.#bytes = Buffer.concat([this.#bytes, rest])
    // A small rest would keep the whole of a large buffer alive.
    else this.#bytes = shared || rest.length < bytes.length / 2 ? Buffer.from(rest) : rest
  }

  /** Hands over what is held, if anything is. */
  take(): Buffer | undefined {
    const bytes = this.#bytes
    this.clear()
    return bytes
  }

  /** The same; nothing is no bytes. */
  takeAll(): Buffer {
    return this.take() ?? NOTHING
  }

  clear(): void {
    this.#memory.usedBytes -= this.size
    this.#bytes = undefined
  }

  /** Would a head that goes on like this still be within its limit? */
  takesLine(bytes: number, headersBytes: number): boolean {
    return this.size > 0 && this.size + bytes <= headersBytes
  }

  /** Nothing more is read while too much lies here. */
  pauseIfOver(stream: Readable, headersBytes: number): void {
    if (this.#isOver(headersBytes)) this.#pause(stream)
  }

  /** Nothing more is read, however little lies here, before `restart`. */
  stop(stream: Readable): void {
    this.#stopped = true
    this.#pause(stream)
  }

  /** Behind it `readOn` reads on. */
  restart(): void {
    this.#stopped = false
  }

  readOn(stream: Readable, headersBytes: number): void {
    if (!this.#paused || this.#stopped || this.#isOver(headersBytes)) return
    this.#paused = false
    stream.resume()
  }

  #pause(stream: Readable): void {
    if (this.#paused) return
    this.#paused = true
    stream.pause()
  }

  /** Is it more than may lie here while nobody asks for it? A head has to fit, whatever its limit. */
  #isOver(headersBytes: number): boolean {
    return this.size > Math.max(HELD_LIMIT, headersBytes)
  }
}

/** Does a line end in bytes[0, end)? */
export function hasLineFeed(bytes: Buffer, end: number): boolean {
  const at = bytes.indexOf(LINE_FEED)
  return at >= 0 && at < end
}
