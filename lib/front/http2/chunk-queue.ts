import { LARGE_SLOT, type Slot } from '../../base/arena.ts'
import type { SlotSource } from '../../proxy/slot-chain.ts'

/** Copies of more than this lie in slots. As buffers of their own, those of a download would be garbage outside of the heap, which V8 lets gather. */
const LARGE_COPY = 16 * 1024

/** Bytes that wait to be sent, in the pieces in which they were given. */
export class ChunkQueue {
  /** Bytes in it. */
  size = 0
  readonly #slots: SlotSource
  readonly #chunks: Buffer[] = []
  /** The slot that each of them lies in. */
  readonly #in: (Slot | undefined)[] = []
  /** Bytes of the first that have left. */
  #at = 0

  constructor(slots: SlotSource) {
    this.#slots = slots
  }

  /** Bytes that nobody will change any more. */
  push(bytes: Buffer): void {
    this.#push(bytes, undefined)
  }

  /** A copy of bytes[start, end). */
  pushCopy(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start
    const slot = size > LARGE_COPY && size <= LARGE_SLOT ? this.#slots.takeSlot(size) : undefined
    const fits = slot !== undefined && slot.bytes.length >= size
    if (slot !== undefined && !fits) this.#slots.giveSlot(slot)
    const chunk = fits ? slot.bytes.subarray(0, size) : Buffer.allocUnsafe(size)
    chunk.set(bytes.subarray(start, end), 0)
    this.#push(chunk, fits ? slot : undefined)
  }

  /** The piece that is next, while there is one; bytes[firstAt, end) of it have not left. Valid until `drop`. */
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

  /** It will be here for long: copies leave the pool that Node cuts small buffers from, of which each would keep the whole. */
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

  #push(chunk: Buffer, slot: Slot | undefined): void {
    this.#chunks.push(chunk)
    this.#in.push(slot)
    this.size += chunk.length
  }

  #shift(): void {
    this.#at = 0
    this.#chunks.shift()
    const slot = this.#in.shift()
    if (slot !== undefined) this.#slots.giveSlot(slot)
  }
}

function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes, 0)
  return copy
}
