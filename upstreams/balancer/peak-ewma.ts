import { FEW, type Load, type Picker } from './load.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** An endpoint that we know nothing of counts as this slow: it is tried, but not with everything at once. */
const INITIAL_MS = 30
/** Below this a difference is noise. */
const FLOOR_MS = 1
/** Time in which an old observation loses 63 % of its say. */
const DECAY_MS = 10_000

/**
 * How slow an endpoint is, pessimist's version (Finagle's and linkerd's peak EWMA): one slow answer counts at
 * once and in full, better ones are believed bit by bit, and with no news at all it is forgiven, so that it
 * is tried again.
 *
 * Only for answers that came: a server that fails fast must not look like a fast one.
 */
export class PeakEwma {
  #estimateMs = INITIAL_MS
  #atMs: number

  constructor(nowMs: number) {
    this.#atMs = nowMs
  }

  /** Takes in the time from a request's start to its answer's first byte. */
  observe(ms: number, nowMs: number): void {
    if (ms >= this.value(nowMs)) this.#estimateMs = ms
    else this.#estimateMs = ms + (this.#estimateMs - ms) * this.#keptAt(nowMs)
    this.#atMs = Math.max(nowMs, this.#atMs)
  }

  /** The estimate as of now, at least 1. */
  value(nowMs: number): number {
    return Math.max(FLOOR_MS, this.#estimateMs * this.#keptAt(nowMs))
  }

  #keptAt(nowMs: number): number {
    return nowMs > this.#atMs ? Math.exp((this.#atMs - nowMs) / DECAY_MS) : 1
  }
}

/**
 * An endpoint runs several requests at a time: each that it already runs delays a further one by about half
 * its time.
 */
const DELAY_SHARE = 0.5

/**
 * Of two random endpoints, or of all where there are few, the one that is expected to answer soonest: its
 * latency, times what it already runs. For pools whose endpoints differ in speed (other machines, other
 * zones).
 */
export class PeakEwmaPicker<E extends Load> implements Picker<E> {
  readonly #ready: readonly E[]
  readonly #draw: WeightedDraw
  readonly #meanWeight: number

  constructor(ready: readonly E[], random: () => number) {
    const weights = ready.map(endpoint => endpoint.weight)
    this.#ready = ready
    this.#draw = new WeightedDraw(weights, random)
    this.#meanWeight = weights.reduce((sum, weight) => sum + weight, 0) / Math.max(1, weights.length)
  }

  pick(_key: number, avoid?: E): E | undefined {
    const ready = this.#ready
    if (ready.length < 2) return ready[0]
    const first = this.#draw.draw()
    if (ready.length > FEW)
      return this.#sooner(ready[first] as E, ready[this.#draw.drawOther(first)] as E, avoid)
    let best = ready[first] as E
    for (let n = 1; n < ready.length; n += 1)
      best = this.#sooner(best, ready[(first + n) % ready.length] as E, avoid)
    return best
  }

  #sooner(a: E, b: E, avoid: E | undefined): E {
    if (a === avoid) return b
    if (b === avoid) return a
    return this.#costMs(a) <= this.#costMs(b) ? a : b
  }

  /**
   * The weight divides the requests and not the latency: a heavy endpoint takes more at a time, it is no
   * faster.
   */
  #costMs(endpoint: E): number {
    return endpoint.latencyMs * ((DELAY_SHARE * endpoint.inflight * this.#meanWeight) / endpoint.weight + 1)
  }
}
