/** What all arenas of the process may have together. */
export interface ArenaBudget {
  /** Size of the next slab. */
  readonly slabBytes: number
  /** False: there is no room for one more slab. */
  takeSlab(bytes: number): boolean
  giveSlab(bytes: number): void
}

/** A piece of the arena, taken and given back as a whole. `bytes` is exactly that piece. */
export interface Extent {
  readonly bytes: Buffer
  readonly slab: Slab
  /** Of a small extent: the large one that it was cut from. */
  readonly cutFrom: Cut | undefined
}

/** A large extent that serves as small ones. */
interface Cut {
  readonly large: Extent
  used: number
}

export const LARGE_EXTENT = 64 * 1024
export const SMALL_EXTENT = 4 * 1024
const SMALL_IN_LARGE = LARGE_EXTENT / SMALL_EXTENT

/** An empty slab is kept for so long: load comes in waves, and new memory costs a page fault every 4 KiB. */
const KEEP_MS = 2000

let mapped = 0

/** Bytes of all slabs of this thread. */
export function mappedBytes(): number {
  return mapped
}

/**
 * Memory for what waits, cut into extents of two sizes. Nothing is allocated for a body, so nothing is left
 * behind in the allocator when thousands of them have gone: a slab is mapped when it is first needed and
 * unmapped when it has been empty for a while.
 */
export class Arena {
  readonly #budget: ArenaBudget
  readonly #slabs: Slab[] = []
  #usedBytes = 0
  #heldBytes = 0
  /**
   * No slab before these has a free extent of that kind. The first slabs are filled first, so that the last
   * ones empty.
   */
  #firstLarge = 0
  #firstSmall = 0

  constructor(budget: ArenaBudget) {
    this.#budget = budget
  }

  /** Bytes in extents that are taken. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes in slabs. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * A extent for `size` bytes or the first of them; a smaller one where no large one is free. Undefined: all
   * is taken.
   */
  take(size: number): Extent | undefined {
    const extent =
      size > SMALL_EXTENT
        ? (this.#takeLarge() ?? this.#takeSmall())
        : (this.#takeSmall() ?? this.#grow()?.takeSmall())
    if (extent !== undefined) this.#usedBytes += extent.bytes.length
    return extent
  }

  give(extent: Extent): void {
    this.#usedBytes -= extent.bytes.length
    extent.slab.give(extent)
    this.#firstLarge = Math.min(this.#firstLarge, extent.slab.index)
    this.#firstSmall = Math.min(this.#firstSmall, extent.slab.index)
  }

  /**
   * Gives slabs back that have been empty for a while; with `atOnce` those that are empty now. To be called
   * now and then.
   */
  trim(nowMs: number, atOnce = false): void {
    let dropped = false
    for (const slab of this.#slabs) {
      if (!slab.isEmptySince(nowMs, atOnce ? 0 : KEEP_MS)) continue
      this.#heldBytes -= slab.size
      this.#budget.giveSlab(slab.size)
      slab.unmap()
      dropped = true
    }
    if (!dropped) return
    const left = this.#slabs.filter(slab => slab.size > 0)
    this.#slabs.length = 0
    for (const slab of left) this.#add(slab)
    this.#firstLarge = 0
    this.#firstSmall = 0
  }

  #takeLarge(): Extent | undefined {
    for (let i = this.#firstLarge; i < this.#slabs.length; i += 1) {
      const extent = this.#slabs[i]?.takeLarge()
      if (extent !== undefined) return extent
      this.#firstLarge = i + 1
    }
    return this.#grow()?.takeLarge()
  }

  #takeSmall(): Extent | undefined {
    for (let i = this.#firstSmall; i < this.#slabs.length; i += 1) {
      const extent = this.#slabs[i]?.takeSmall()
      if (extent !== undefined) return extent
      this.#firstSmall = i + 1
    }
    return undefined
  }

  #grow(): Slab | undefined {
    const size = this.#budget.slabBytes
    if (!this.#budget.takeSlab(size)) return undefined
    const slab = new Slab(size)
    this.#heldBytes += size
    this.#add(slab)
    return slab
  }

  #add(slab: Slab): void {
    slab.index = this.#slabs.length
    this.#slabs.push(slab)
  }
}

/** Memory mapped as one, and its free extents. */
export class Slab {
  index = 0
  readonly #buffer: ArrayBuffer
  readonly #free: Extent[] = []
  readonly #freeSmall: Extent[] = []
  readonly #cuts: Cut[] = []
  #size: number
  /** Large extents that are taken, and small ones. */
  #used = 0
  #emptySinceMs: number | undefined = undefined

  /**
   * A buffer that could be resized is not the C library's: V8 maps it by itself and unmaps it once it is
   * detached, whatever the allocator's thresholds are.
   */
  constructor(size: number) {
    this.#size = size
    mapped += size
    this.#buffer = new ArrayBuffer(size, { maxByteLength: size })
    for (let at = size - LARGE_EXTENT; at >= 0; at -= LARGE_EXTENT)
      this.#free.push({ bytes: Buffer.from(this.#buffer, at, LARGE_EXTENT), slab: this, cutFrom: undefined })
  }

  /** 0 once it is unmapped. */
  get size(): number {
    return this.#size
  }

  takeLarge(): Extent | undefined {
    const extent = this.#free.pop() ?? this.#mended()
    if (extent !== undefined) this.#used += 1
    return extent
  }

  takeSmall(): Extent | undefined {
    if (this.#freeSmall.length === 0) this.#cut()
    const extent = this.#freeSmall.pop()
    if (extent === undefined) return undefined
    if (extent.cutFrom !== undefined) extent.cutFrom.used += 1
    this.#used += 1
    return extent
  }

  give(extent: Extent): void {
    this.#used -= 1
    this.#emptySinceMs = undefined
    if (extent.cutFrom === undefined) this.#free.push(extent)
    else {
      extent.cutFrom.used -= 1
      this.#freeSmall.push(extent)
    }
  }

  /** To be asked now and then. */
  isEmptySince(nowMs: number, forMs: number): boolean {
    if (this.#used > 0) this.#emptySinceMs = undefined
    else this.#emptySinceMs ??= nowMs
    return this.#emptySinceMs !== undefined && nowMs - this.#emptySinceMs >= forMs
  }

  /** Nobody has any of it any more. */
  unmap(): void {
    this.#buffer.transferToFixedLength(0)
    mapped -= this.#size
    this.#size = 0
  }

  #cut(): void {
    const large = this.#free.pop()
    if (large === undefined) return
    const cutFrom = { large, used: 0 }
    this.#cuts.push(cutFrom)
    const { buffer, byteOffset } = large.bytes
    for (let i = SMALL_IN_LARGE - 1; i >= 0; i -= 1) {
      const bytes = Buffer.from(buffer, byteOffset + i * SMALL_EXTENT, SMALL_EXTENT)
      this.#freeSmall.push({ bytes, slab: this, cutFrom })
    }
  }

  /** A large extent that was cut and of which nothing is taken any more. */
  #mended(): Extent | undefined {
    const at = this.#cuts.findIndex(({ used }) => used === 0)
    const [cut] = at < 0 ? [] : this.#cuts.splice(at, 1)
    if (cut === undefined) return undefined
    const others = this.#freeSmall.filter(({ cutFrom }) => cutFrom !== cut)
    this.#freeSmall.length = 0
    this.#freeSmall.push(...others)
    return cut.large
  }
}
