import { Arena, type ArenaBudget, type Extent } from '../../base/arena.ts'
import type { ExtentSource } from '../../base/extent-chain.ts'

/** What all clients of one thread may make it hold before they are held to their shares. */
const THREAD_BYTES = 8 * 1024 * 1024
/** Part of what is left of it that one connection may have. */
const SHARE = 1 / 8
/**
 * What every connection may have, whatever the others hold: one stalled download and a page's worth of
 * requests.
 */
const LEAST_BYTES = 192 * 1024
/**
 * Bodies that wait for their app came byte by byte over the wire, each within its window: they are refused
 * only beyond so much in all.
 */
const BODIES_BYTES = 64 * 1024 * 1024
const SLAB_BYTES = 1024 * 1024
/** DATA of one connection's answers that may wait to be sent: one turn writes no more. */
const QUEUE_BYTES = 128 * 1024

/**
 * Extents for what waits, so that thousands of pieces leave neither garbage nor holes in the allocator's
 * memory.
 */
class ExtentStock implements ArenaBudget, ExtentSource {
  readonly slabBytes = SLAB_BYTES
  readonly #arena = new Arena(this)

  /** Bytes of the extents that were taken. */
  get usedBytes(): number {
    return this.#arena.usedBytes
  }

  ticked(nowMs: number): void {
    this.#arena.trim(nowMs)
  }

  // ArenaBudget.

  takeSlab(bytes: number): boolean {
    return this.#arena.heldBytes + bytes <= BODIES_BYTES
  }

  giveSlab(): void {}

  // ExtentSource.

  takeExtent(size: number): Extent | undefined {
    return this.#arena.take(size)
  }

  giveExtent(extent: Extent): void {
    this.#arena.give(extent)
  }
}

/**
 * The account of what the clients of one thread make it hold: decoded heads, bodies that wait for their app,
 * answers that wait for their client's window. Each connection may hold a part of what is left (Choudhury and
 * Hahne, "Dynamic queue length thresholds", IEEE/ACM ToN 1998): one client alone has much, many at once have
 * little each, and together they stay within the bound.
 */
export class ClientMemory implements ExtentSource {
  usedBytes = 0
  readonly #bodies = new ExtentStock()
  /**
   * Of answers on their way. Apart: where they find no extent they do without, bodies of requests are
   * refused.
   */
  readonly answers = new ExtentStock()

  /** Most that one connection may hold now. */
  get shareBytes(): number {
    return Math.max(LEAST_BYTES, (THREAD_BYTES - this.usedBytes) * SHARE)
  }

  /** Bytes of all extents that were taken. */
  get extentBytes(): number {
    return this.#bodies.usedBytes + this.answers.usedBytes
  }

  /** To be called at every tick of the thread. */
  ticked(nowMs: number): void {
    this.#bodies.ticked(nowMs)
    this.answers.ticked(nowMs)
  }

  // ExtentSource, for bodies of requests.

  takeExtent(size: number): Extent | undefined {
    return this.#bodies.takeExtent(size)
  }

  giveExtent(extent: Extent): void {
    this.#bodies.giveExtent(extent)
  }
}

/** One connection's part of the account. */
export class ConnectionMemory {
  usedBytes = 0
  /**
   * DATA of answers, on all streams, that was given and has not left. What was found to wait for a window is
   * counted as used instead.
   */
  queuedBytes = 0
  readonly #all: ClientMemory
  #closed = false

  constructor(all: ClientMemory) {
    this.#all = all
  }

  /** So many bytes more are held; fewer, if negative. Hot. */
  add(bytes: number): void {
    if (this.#closed) return
    this.usedBytes += bytes
    this.#all.usedBytes += bytes
  }

  /** For answers on their way. */
  get extents(): ExtentSource {
    return this.#all.answers
  }

  /** More DATA need not be given: it would not leave with the next turn. */
  get isQueueFull(): boolean {
    return this.queuedBytes >= QUEUE_BYTES
  }

  /** The connection is gone, and with it all that it held. */
  close(): void {
    this.add(-this.usedBytes)
    this.#closed = true
  }

  /** May a request begin that needs so many bytes? */
  admits(bytes: number): boolean {
    return this.usedBytes + bytes <= this.#all.shareBytes
  }

  /** May so many bytes more of a body wait for their app? */
  admitsBody(bytes: number): boolean {
    return this.usedBytes + bytes <= LEAST_BYTES || this.#all.usedBytes + bytes <= BODIES_BYTES
  }

  /** It holds all that it may: answers stay with their apps. */
  get isFull(): boolean {
    return this.usedBytes >= this.#all.shareBytes
  }
}
