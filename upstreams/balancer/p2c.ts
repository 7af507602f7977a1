import { FEW, type Load, type Picker } from './load.ts'
import { WeightedDraw } from './weighted-draw.ts'

/**
 * Power of two choices: the less loaded of two random endpoints (Mitzenmacher, IEEE TPDS 2001). Allocates
 * nothing, and several proxies in front of one pool do not herd. In a pool of a few all are looked at: with
 * one slow endpoint among four, two choices would meet it in vain too often.
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
    const first = this.#draw.draw()
    if (ready.length > FEW)
      return lessLoaded(ready[first] as E, ready[this.#draw.drawOther(first)] as E, avoid)
    let best = ready[first] as E
    // From the drawn one on, so that among equals none is favoured for its place in the list.
    for (let n = 1; n < ready.length; n += 1)
      best = lessLoaded(best, ready[(first + n) % ready.length] as E, avoid)
    return best
  }
}

/**
 * inflight / weight, cross-multiplied to spare the division. A tie goes to `a`, which was drawn by weight: so
 * weights hold on an idle pool too, where comparing (inflight + 1) / weight would send everything to the
 * heaviest.
 */
function lessLoaded<E extends Load>(a: E, b: E, avoid: E | undefined): E {
  if (a === avoid) return b
  if (b === avoid) return a
  return a.inflight * b.weight <= b.inflight * a.weight ? a : b
}
