/**
 * What active checks say of one endpoint. Ejection and drain are machines of their own (house words: ready).
 */
export type Health =
  | { readonly state: 'up'; readonly fails: number }
  | { readonly state: 'down'; readonly passes: number; readonly reason: string }

/** What one probe found. The reason is for people. */
export type Probe = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/** Consecutive results that it takes to change sides; at least 1 each. */
export interface Thresholds {
  readonly rise: number
  readonly fall: number
}

/**
 * Health of an endpoint that was never probed: it may work, but its first failure is enough. So an endpoint
 * that works serves at once, and one that does not yet listen leaves after a single probe instead of `fall`.
 */
export function newcomer({ fall }: Thresholds): Health {
  return { state: 'up', fails: fall - 1 }
}

/**
 * Next health after one probe. Pure: no clock, no I/O, so every transition is a one-line test.
 * Returns the same object when nothing moved, so callers detect a change with `!==`.
 */
export function afterProbe(now: Health, probe: Probe, { rise, fall }: Thresholds): Health {
  if (now.state === 'up') {
    if (probe.ok) return now.fails === 0 ? now : { state: 'up', fails: 0 }
    const fails = now.fails + 1
    return fails < fall ? { state: 'up', fails } : { state: 'down', passes: 0, reason: probe.reason }
  }
  if (!probe.ok) {
    const same = now.passes === 0 && now.reason === probe.reason
    return same ? now : { state: 'down', passes: 0, reason: probe.reason }
  }
  const passes = now.passes + 1
  return passes < rise ? { ...now, passes } : { state: 'up', fails: 0 }
}
