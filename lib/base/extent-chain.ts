import { type Extent, LARGE_EXTENT, SMALL_EXTENT } from './arena.ts'

/** Where extents come from. */
export interface ExtentSource {
  /** Undefined: all memory is taken. */
  takeExtent(size: number): Extent | undefined
  giveExtent(extent: Extent): void
}

/** bytes[start, end), valid until the chain changes. */
export interface Piece {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** Of one extent, or of memory of its own where no extent was to be had. */
interface Link {
  readonly extent: Extent | undefined
  readonly bytes: Buffer
  used: number
}

/** So much lies in small extents before large ones are taken. */
const SMALL_PART = 4 * SMALL_EXTENT

/** Bytes in their order, in extents of the arena. */
export class ExtentChain {
  readonly #source: ExtentSource
  #links: Link[] = []
  #size = 0
  #ownBytes = 0
  #extentBytes = 0

  constructor(source: ExtentSource) {
    this.#source = source
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of it that are in no extent. */
  get ownBytes(): number {
    return this.#ownBytes
  }

  /** Bytes of its extents, used or not. */
  get extentBytes(): number {
    return this.#extentBytes
  }

  /** Copies of bytes[start, end) as there is room; the position behind the last one that was taken. */
  append(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end) {
      const link = this.#room(end - at)
      if (link === undefined) break
      const count = Math.min(end - at, link.bytes.length - link.used)
      link.bytes.set(at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count), link.used)
      link.used += count
      at += count
    }
    this.#size += at - start
    return at
  }

  /** A copy of bytes[start, end) outside of the arena. */
  appendOwn(bytes: Uint8Array, start: number, end: number): void {
    const own = Buffer.from(bytes.subarray(start, end))
    this.#links.push({ extent: undefined, bytes: own, used: own.length })
    this.#size += own.length
    this.#ownBytes += own.length
  }

  /** Some bytes from `at` on, which is before the end. */
  piece(at: number): Piece {
    let start = at
    let i = 0
    while (start >= (this.#links[i] as Link).used) {
      start -= (this.#links[i] as Link).used
      i += 1
    }
    const { bytes, used } = this.#links[i] as Link
    return { bytes, start, end: used }
  }

  /** All of it, to be written. */
  buffers(): Buffer[] {
    return this.#links.map(({ bytes, used }) => bytes.subarray(0, used))
  }

  /** Gives back what lies wholly before `at`; how many bytes that was. */
  dropBefore(at: number): number {
    let dropped = 0
    let count = 0
    for (const { used } of this.#links) {
      if (dropped + used > at) break
      dropped += used
      count += 1
    }
    if (count > 0) this.#give(this.#links.splice(0, count))
    this.#size -= dropped
    return dropped
  }

  clear(): void {
    this.#give(this.#links)
    this.#links = []
    this.#size = 0
  }

  #room(wanted: number): Link | undefined {
    const last = this.#links[this.#links.length - 1]
    if (last !== undefined && last.used < last.bytes.length) return last
    const extent = this.#source.takeExtent(this.#size + wanted > SMALL_PART ? LARGE_EXTENT : SMALL_EXTENT)
    if (extent === undefined) return undefined
    const link = { extent, bytes: extent.bytes, used: 0 }
    this.#links.push(link)
    this.#extentBytes += extent.bytes.length
    return link
  }

  #give(links: readonly Link[]): void {
    for (const { extent, used } of links) {
      if (extent === undefined) this.#ownBytes -= used
      else {
        this.#extentBytes -= extent.bytes.length
        this.#source.giveExtent(extent)
      }
    }
  }
}
