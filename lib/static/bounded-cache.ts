interface Held<V> {
  readonly value: V
  readonly bytes: number
  used: boolean
}

export interface CacheBounds {
  readonly entries: number
  readonly bytes: number
}

/**
 * A map that stays within bounds by second chance: what was used since its last turn goes to the back once
 * more, what was not is thrown out. Nearly as good as least-recently-used, and a hit is one look-up and one
 * flag.
 */
export class BoundedCache<V> {
  readonly #bounds: CacheBounds
  readonly #held = new Map<string, Held<V>>()
  #bytes = 0

  constructor(bounds: CacheBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#held.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Hot. */
  get(key: string): V | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    held.used = true
    return held.value
  }

  /** What alone is larger than the bound is not held. */
  set(key: string, value: V, bytes: number): void {
    this.delete(key)
    if (bytes > this.#bounds.bytes) return
    this.#makeRoom(bytes)
    this.#held.set(key, { value, bytes, used: false })
    this.#bytes += bytes
  }

  delete(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#bytes -= held.bytes
  }

  #makeRoom(bytes: number): void {
    // Entries put back while the loop runs come round again, now unused: it ends after two rounds at most.
    for (const [key, held] of this.#held) {
      if (this.#held.size < this.#bounds.entries && this.#bytes + bytes <= this.#bounds.bytes) return
      if (held.used) {
        held.used = false
        this.#held.delete(key)
        this.#held.set(key, held)
      } else {
        this.delete(key)
      }
    }
  }
}
