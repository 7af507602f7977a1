import type { Load, Picker } from './load.ts'
import { WeightedDraw } from './weighted-draw.ts'

/**
 * Power of two choices: the less loaded of two random endpoints (Mitzenmacher, IEEE TPDS 2001).
 * O(1), allocates nothing, and several proxies in front of one pool do not herd.
 */
export class P2c<E extends Load> implements Picker<E> {
  readonly #ready: readonly E[]
  readonly #draw: WeightedDraw

  constructor(ready: readonly E[], random: () => number) {
    this.#ready = ready
    this.#draw = new WeightedDraw(
      ready.map(endpoint => endpoint.weight),
      random,
    )
  }

  pick(_key: number, avoid?: E): E | undefined {
    const ready = this.#ready
    if (ready.length < 2) return ready[0] // even if it just failed: the only endpoint is better than none
    const i = this.#draw.draw()
    const a = ready[i] as E
    const b = ready[this.#draw.drawOther(i)] as E
    if (a === avoid) return b
    if (b === avoid) return a
    // inflight / weight, cross-multiplied to spare the division. A tie goes to `a`, which was drawn by
    // weight: so weights hold on an idle pool too, where comparing (inflight + 1) / weight would send
    // everything to the heaviest.
    return a.inflight * b.weight <= b.inflight * a.weight ? a : b
  }
}
