import type { Priority } from '../config/model.ts'
import { randomStream } from './random.ts'
import type { Demand } from './service-law.ts'

/** One request, as it reaches the dispatcher. */
export interface Arrival {
  readonly atMs: number
  readonly demand: Demand
  /** Uniform in [0, 1): decides whether it meets an error of the app. */
  readonly luck: number
  /** Uniform in [0, 1): decides which data thread gets it. */
  readonly placeDraw: number
  readonly priority: Priority
  /** May be repeated. */
  readonly idempotent: boolean
}

/** Requests that come by themselves, whatever becomes of those before them (an open loop). */
export interface DescribedLoad {
  readonly perSecond: number
  /** `poisson`: by chance, as from many clients; `uniform`: one like the other. */
  readonly arrivals: 'poisson' | 'uniform'
  readonly durationMs: number
  /** Shares, 0 to 1. */
  readonly highShare: number
  readonly lowShare: number
  readonly postShare: number
}

/** The arrivals, in their order; the same for the same seed. */
export function* describedArrivals(load: DescribedLoad, seed: number): Generator<Arrival> {
  const gaps = randomStream(seed, 'arrivals')
  const draws = randomStream(seed, 'requests')
  const gapMs = 1000 / load.perSecond
  for (let atMs = 0; ; ) {
    atMs += load.arrivals === 'poisson' ? -gapMs * Math.log(1 - gaps()) : gapMs
    if (atMs > load.durationMs) return
    yield {
      atMs,
      demand: { quantile: draws(), loggedMs: undefined, loggedAt: undefined },
      luck: draws(),
      placeDraw: draws(),
      priority: priorityOf(load, draws()),
      idempotent: draws() >= load.postShare,
    }
  }
}

function priorityOf({ highShare, lowShare }: DescribedLoad, draw: number): Priority {
  if (draw < highShare) return 'high'
  return draw < highShare + lowShare ? 'low' : 'normal'
}
