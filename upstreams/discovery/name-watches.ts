import type { Lookups } from './lookups.ts'
import { NameWatch, type Wanted, type WatchParts } from './name-watch.ts'

/** All names that are followed, each for one upstream. */
export class NameWatches {
  readonly #parts: WatchParts
  readonly #watches = new Map<string, NameWatch>()

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  /** Follows these, too. Resolves once each has been looked up for the first time, well or not. */
  async add(wanted: readonly Wanted[], lookups: Lookups): Promise<void> {
    for (const one of wanted) {
      const key = keyOf(one.upstream, one.named.name)
      if (!this.#watches.has(key)) this.#watches.set(key, new NameWatch(one, lookups, this.#parts))
    }
    await Promise.all(wanted.map(one => this.of(one.upstream, one.named.name)?.first))
  }

  /**
   * Follows exactly these from now on; where a name stands twice, the first counts. Whoever stays keeps its
   * last answer.
   */
  keep(wanted: readonly Wanted[], lookups: Lookups): void {
    const byKey = new Map(wanted.toReversed().map(one => [keyOf(one.upstream, one.named.name), one]))
    for (const [key, watch] of this.#watches) {
      if (byKey.has(key)) continue
      watch.stop()
      this.#watches.delete(key)
    }
    void this.add(wanted, lookups)
    for (const [key, one] of byKey) this.#watches.get(key)?.configure(one, lookups)
  }

  of(upstream: string, name: string): NameWatch | undefined {
    return this.#watches.get(keyOf(upstream, name))
  }

  /** An endpoint of the upstream has failed. */
  doubt(upstream: string): void {
    const prefix = keyOf(upstream, '')
    for (const [key, watch] of this.#watches) if (key.startsWith(prefix)) watch.doubt()
  }

  stop(): void {
    for (const watch of this.#watches.values()) watch.stop()
    this.#watches.clear()
  }
}

function keyOf(upstream: string, name: string): string {
  return `${upstream}\n${name}`
}
