import { hashKey, mixBits } from './key-hash.ts'
import type { NamedLoad, Picker } from './load.ts'

/** An endpoint takes at most this much of the mean load; what is above goes to the key's next choice. */
const LOAD_FACTOR = 1.25

/**
 * Rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 1998): every endpoint draws a number for the key,
 * the highest wins, so an endpoint that comes or goes moves only its own share of the keys. With bounded
 * loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018), so that one hot key cannot drown its endpoint. O(n).
 */
export class HashPicker<E extends NamedLoad> implements Picker<E> {
  readonly #ready: readonly E[]
  readonly #seeds: Uint32Array
  /** What an endpoint may take of each request in the pool. */
  readonly #bounds: Float64Array

  constructor(ready: readonly E[]) {
    const total = ready.reduce((sum, endpoint) => sum + endpoint.weight, 0)
    this.#ready = ready
    this.#seeds = Uint32Array.from(ready, endpoint => hashKey(endpoint.identity))
    this.#bounds = Float64Array.from(ready, endpoint => (LOAD_FACTOR * endpoint.weight) / total)
  }

  pick(key: number, avoid?: E): E | undefined {
    const ready = this.#ready
    if (ready.length < 2) return ready[0]
    const running = this.#running()
    const mixedKey = mixBits(key)
    let best: E | undefined
    let bestScore = Number.NEGATIVE_INFINITY
    let spare: E | undefined
    let spareScore = Number.NEGATIVE_INFINITY
    for (let i = 0; i < ready.length; i += 1) {
      const endpoint = ready[i] as E
      if (endpoint === avoid) continue
      const score = scoreOf(mixedKey, this.#seeds[i] as number, endpoint.weight)
      const mostRequests = Math.ceil((this.#bounds[i] as number) * (running + 1))
      if (endpoint.inflight < mostRequests) {
        if (score > bestScore) {
          best = endpoint
          bestScore = score
        }
      } else if (score > spareScore) {
        spare = endpoint
        spareScore = score
      }
    }
    // All can be at their bound only when the one below it has just failed.
    return best ?? spare
  }

  #running(): number {
    let sum = 0
    for (let i = 0; i < this.#ready.length; i += 1) sum += (this.#ready[i] as E).inflight
    return sum
  }
}

/**
 * Weighted rendezvous (Schindelhauer and Schomaker, SPAA 2005): with u uniform in (0, 1), the largest of
 * ln(u) / weight falls on an endpoint in proportion to its weight.
 */
function scoreOf(mixedKey: number, seed: number, weight: number): number {
  const uniform = (mixBits(mixedKey ^ seed) + 0.5) / 2 ** 32
  return Math.log(uniform) / weight
}
