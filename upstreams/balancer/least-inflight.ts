import type { Load, Picker } from './load.ts'

/**
 * The endpoint with the fewest requests for its weight. Exact over all threads, because the counts are
 * global. Ties, the rule on a quiet site, are drawn by weight: so they neither favour the head of the list
 * nor, as (inflight + 1) / weight would, the heaviest alone. O(n).
 */
export class LeastInflight<E extends Load> implements Picker<E> {
  readonly #ready: readonly E[]
  readonly #random: () => number

  constructor(ready: readonly E[], random: () => number) {
    this.#ready = ready
    this.#random = random
  }

  pick(_key: number, avoid?: E): E | undefined {
    const ready = this.#ready
    if (ready.length < 2) return ready[0]
    let best: E | undefined
    let bestLoad = 0
    let tied = 0
    for (let i = 0; i < ready.length; i += 1) {
      const endpoint = ready[i] as E
      if (endpoint === avoid) continue
      const load = endpoint.inflight / endpoint.weight
      if (best !== undefined && load > bestLoad) continue
      tied = best !== undefined && load === bestLoad ? tied + endpoint.weight : endpoint.weight
      // One pass over an unknown number of ties: the newest wins with its share of those seen so far.
      if (tied === endpoint.weight || this.#random() * tied < endpoint.weight) best = endpoint
      bestLoad = load
    }
    return best
  }
}
