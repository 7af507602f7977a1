import type { PassiveConfig } from '../../lib/config/model.ts'
import { type Sample, total } from './window.ts'

/** So much has to be known before anybody is judged: a few unlucky requests are no sign. */
const MIN_REQUESTS = 20
/** Unless nothing at all works there any more. */
const MIN_REQUESTS_ALL_FAILED = 5
/** The others do better if their share of failures is less than this part of the endpoint's. */
const CLEARLY = 0.5
/** What a person does not feel is not worth an ejection, however many times slower it is. */
const MIN_SLOWER_MS = 20

/** What is known of an endpoint that gets traffic. */
export interface Suspect {
  readonly name: string
  readonly window: Sample
  readonly lastSecond: Sample
}

/** Whom to eject, and why. */
export interface Outlier {
  readonly name: string
  readonly reason: string
}

/** The parts of `passive` that decide. */
export type OutlierRules = Pick<PassiveConfig, 'failureRateShare' | 'latencyFactor'>

interface Found extends Outlier {
  /** The worst goes first. */
  readonly weight: number
}

/**
 * Endpoints of one upstream that do clearly worse than the others, at most `room` of them, the worst first.
 * Where all do equally badly it is the app, and nobody is to blame. `windowSeconds` is for the reason only.
 */
export function outliers(
  suspects: readonly Suspect[],
  rules: OutlierRules,
  room: number,
  windowSeconds: number,
): Outlier[] {
  const found: Found[] = []
  for (const suspect of suspects) {
    const others = suspects.filter(other => other !== suspect)
    const outlier = failing(suspect, others, rules, windowSeconds) ?? slow(suspect, others, rules)
    if (outlier !== undefined) found.push(outlier)
  }
  const worst = found.sort((a, b) => b.weight - a.weight).slice(0, Math.max(0, room))
  return worst.map(({ name, reason }) => ({ name, reason }))
}

function failing(
  { name, window, lastSecond }: Suspect,
  others: readonly Suspect[],
  { failureRateShare }: OutlierRules,
  windowSeconds: number,
): Found | undefined {
  if (failureRateShare === 0) return undefined
  const rate = failureRate(window)
  if (window.requests >= MIN_REQUESTS && rate >= failureRateShare && doBetter(others, rate)) {
    return { name, reason: failureText(window, `${windowSeconds} s`), weight: 1 + rate }
  }
  const { requests, failures } = lastSecond
  if (requests < MIN_REQUESTS_ALL_FAILED || failures < requests || !doBetter(others, 1)) return undefined
  return { name, reason: failureText(lastSecond, '1 s'), weight: 2 }
}

/**
 * Somebody must have shown that the app can do it, and can still do it: it may have broken down for all just
 * now.
 */
function doBetter(others: readonly Suspect[], rate: number): boolean {
  const window = total(others.map(other => other.window))
  const lastSecond = total(others.map(other => other.lastSecond))
  if (window.requests < MIN_REQUESTS_ALL_FAILED || failureRate(window) >= rate * CLEARLY) return false
  return lastSecond.requests === 0 || failureRate(lastSecond) < rate * CLEARLY
}

function slow(
  { name, window }: Suspect,
  others: readonly Suspect[],
  { latencyFactor }: OutlierRules,
): Found | undefined {
  if (latencyFactor === 0 || window.firstBytes < MIN_REQUESTS) return undefined
  const usualMs = median(
    others.filter(other => other.window.firstBytes >= MIN_REQUESTS).map(other => meanMs(other.window)),
  )
  if (usualMs === undefined) return undefined
  const ownMs = meanMs(window)
  if (ownMs <= usualMs * latencyFactor || ownMs - usualMs <= MIN_SLOWER_MS) return undefined
  const reason = `first byte after ${Math.round(ownMs)} ms, while the others need ${Math.round(usualMs)} ms`
  // Slow is better than failing.
  return { name, reason, weight: 1 - usualMs / ownMs }
}

function failureRate({ requests, failures }: Sample): number {
  return requests === 0 ? 0 : failures / requests
}

function failureText(sample: Sample, time: string): string {
  return `${Math.round(failureRate(sample) * 100)} % of ${sample.requests} requests failed in ${time}`
}

function meanMs({ firstBytes, firstByteSumMs }: Sample): number {
  return firstByteSumMs / firstBytes
}

/** The lower one of two in the middle: where one of three is slow as well, it must not hide the other. */
function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)]
}
