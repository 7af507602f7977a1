/** How long an app works on a request. Times are milliseconds. */
export type ServiceLaw =
  | { readonly law: 'constant'; readonly ms: number }
  | { readonly law: 'exponential'; readonly meanMs: number }
  /** Most are near the median, a few are far above: as real pages are. */
  | { readonly law: 'lognormal'; readonly p50Ms: number; readonly p99Ms: number }
  /** Any of the times that were seen; in rising order. */
  | { readonly law: 'seen'; readonly sortedMs: readonly number[] }
  /** As long as it took in the log, times `factor` for an endpoint that is not the one of the log. */
  | { readonly law: 'logged'; readonly factors: ReadonlyMap<string, number>; readonly own: number }

/** What a request asks of an app, whichever endpoint gets it. */
export interface Demand {
  /** 0 to 1: so great a share of the requests takes less time. */
  readonly quantile: number
  /** What it took in the log, and where. */
  readonly loggedMs: number | undefined
  readonly loggedAt: string | undefined
}

/** 99 % of a normal distribution lie below so many standard deviations. */
const Z99 = 2.3263478740408408

/** Milliseconds of work. */
export function serviceMs(law: ServiceLaw, demand: Demand): number {
  switch (law.law) {
    case 'constant':
      return law.ms
    case 'exponential':
      return -law.meanMs * Math.log(1 - demand.quantile)
    case 'lognormal': {
      const sigma = Math.log(law.p99Ms / law.p50Ms) / Z99
      return law.p50Ms * Math.exp(sigma * normalQuantile(demand.quantile))
    }
    case 'seen':
      return law.sortedMs[Math.floor(demand.quantile * law.sortedMs.length)] ?? 0
    case 'logged': {
      const there = law.factors.get(demand.loggedAt ?? '') ?? 1
      return ((demand.loggedMs ?? 0) / there) * law.own
    }
  }
}

const FAR = 0.02425
const MIDDLE_TOP = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
  2.506628277459239,
] as const
const MIDDLE_BOTTOM = [
  -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1,
] as const
const FAR_TOP = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
] as const
const FAR_BOTTOM = [
  0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1,
] as const

/** Inverse of the standard normal distribution (Acklam's approximation: relative error below 1.15e-9). */
export function normalQuantile(share: number): number {
  const p = Math.min(Math.max(share, 1e-12), 1 - 1e-12)
  if (p < FAR) return farQuantile(p)
  if (p > 1 - FAR) return -farQuantile(1 - p)
  const q = p - 0.5
  return (q * polynomial(MIDDLE_TOP, q * q)) / polynomial(MIDDLE_BOTTOM, q * q)
}

function farQuantile(p: number): number {
  const q = Math.sqrt(-2 * Math.log(p))
  return polynomial(FAR_TOP, q) / polynomial(FAR_BOTTOM, q)
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0)
}
