import { type Extent, LARGE_EXTENT } from '../../base/arena.ts'
import type { ExtentSource } from '../../base/extent-chain.ts'

/**
 * Copies of more than this lie in extents. As buffers of their own, those of a download would be garbage
 * outside of the heap, which V8 lets gather.
 */
const LARGE_COPY = 16 * 1024

/** Bytes that wait to be sent, in the pieces in which they were given. */
export class ChunkQueue {
  /** Bytes in it. */
  size = 0
  readonly #extents: ExtentSource
  readonly #chunks: Buffer[] = []
  /** The extent that each of them lies in. */
  readonly #in: (Extent | undefined)[] = []
  /** Bytes of the first that have left. */
  #at = 0

  constructor(extents: ExtentSource) {
    this.#extents = extents
  }

  /** Bytes that nobody will change any more. */
  push(bytes: Buffer): void {
    this.#push(bytes, undefined)
  }

  /** A copy of bytes[start, end). */
  pushCopy(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start
    const extent = size > LARGE_COPY && size <= LARGE_EXTENT ? this.#extents.takeExtent(size) : undefined
    const fits = extent !== undefined && extent.bytes.length >= size
    if (extent !== undefined && !fits) this.#extents.giveExtent(extent)
    const chunk = fits ? extent.bytes.subarray(0, size) : Buffer.allocUnsafe(size)
    chunk.set(bytes.subarray(start, end), 0)
    this.#push(chunk, fits ? extent : undefined)
  }

  /**
   * The piece that is next, while there is one; bytes[firstAt, end) of it have not left. Valid until `drop`.
   */
  get first(): Buffer {
    return this.#chunks[0] as Buffer
  }

  get firstAt(): number {
    return this.#at
  }

  /** So many bytes of the first piece have left. */
  drop(bytes: number): void {
    this.size -= bytes
    this.#at += bytes
    if (this.#at === this.#chunks[0]?.length) this.#shift()
  }

  /**
   * It will be here for long: copies leave the pool that Node cuts small buffers from, of which each would
   * keep the whole.
   */
  detach(): void {
    for (let i = 0; i < this.#chunks.length; i += 1) {
      const chunk = this.#chunks[i] as Buffer
      if (this.#in[i] === undefined && chunk.buffer.byteLength === Buffer.poolSize)
        this.#chunks[i] = ownCopy(chunk)
    }
  }

  /** Lets go of everything. */
  clear(): void {
    while (this.#chunks.length > 0) this.#shift()
    this.size = 0
  }

  #push(chunk: Buffer, extent: Extent | undefined): void {
    this.#chunks.push(chunk)
    this.#in.push(extent)
    this.size += chunk.length
  }

  #shift(): void {
    this.#at = 0
    this.#chunks.shift()
    const extent = this.#in.shift()
    if (extent !== undefined) this.#extents.giveExtent(extent)
  }
}

function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes, 0)
  return copy
}
