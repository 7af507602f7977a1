import type { Load, Picker } from './load.ts'

/** Turns taken before the first pick, at most: enough to part the threads, and soon done in a large pool. */
const MAX_OFFSET = 256

/**
 * Smooth weighted round robin, as in nginx (ngx_http_upstream_round_robin.c): weights 5, 1, 1 give a a b a c
 * a a and not five a in a row. Starts at a random turn, so that threads and proxies do not march in step.
 * O(n).
 */
export class RoundRobin<E extends Load> implements Picker<E> {
  readonly #ready: readonly E[]
  /** What each endpoint is owed by now; the largest is next. */
  readonly #owed: Float64Array

  constructor(ready: readonly E[], random: () => number) {
    this.#ready = ready
    this.#owed = new Float64Array(ready.length)
    const cycle = ready.reduce((sum, endpoint) => sum + endpoint.weight, 0)
    const offset = Math.floor(random() * Math.min(cycle, MAX_OFFSET))
    for (let turn = 0; turn < offset; turn += 1) this.pick(0)
  }

  pick(_key: number, avoid?: E): E | undefined {
    const ready = this.#ready
    const owed = this.#owed
    if (ready.length < 2) return ready[0]
    let total = 0
    let best = -1
    for (let i = 0; i < ready.length; i += 1) {
      const endpoint = ready[i] as E
      if (endpoint === avoid) continue // it neither gains nor pays in this turn
      total += endpoint.weight
      owed[i] = (owed[i] as number) + endpoint.weight
      if (best < 0 || (owed[i] as number) > (owed[best] as number)) best = i
    }
    owed[best] = (owed[best] as number) - total
    return ready[best]
  }
}
