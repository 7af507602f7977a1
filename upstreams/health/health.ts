import type { Alibi } from './alibi.ts'

/**
 * What active checks say of one endpoint. Ejection and drain are machines of their own (house words: ready).
 * `new` has not passed yet: it gets no traffic, and its first pass is enough; the reason is undefined before
 * its first probe has ended.
 */
export type Health =
  | { readonly state: 'new'; readonly reason: string | undefined }
  | { readonly state: 'up'; readonly fails: number }
  | { readonly state: 'down'; readonly passes: number; readonly reason: string }

/** What one probe found. The reason is for people. */
export type Probe =
  | { readonly ok: true }
  | {
      readonly ok: false
      readonly reason: string
      /** It could not be made, for want of something here; that says nothing about the endpoint. */
      readonly local?: boolean
      /**
       * It got through to the endpoint, and no answer came in time: that one may be busy with other requests.
       */
      readonly unanswered?: true
      /** That is no failure: see Alibi. */
      readonly alibi?: Alibi
    }

/** Consecutive results that it takes to change sides; at least 1 each. */
export interface Thresholds {
  readonly rise: number
  readonly fall: number
}

/** Health of an endpoint that nobody knows: probe first. */
export const UNKNOWN: Health = { state: 'new', reason: undefined }

/**
 * Health of an endpoint that served before it was to be probed: it goes on, but its first failure is enough.
 */
export function serving({ fall }: Thresholds): Health {
  return { state: 'up', fails: fall - 1 }
}

/**
 * Next health after one probe. Pure: no clock, no I/O, so every transition is a one-line test.
 * Returns the same object when nothing moved, so callers detect a change with `!==`.
 */
export function afterProbe(now: Health, probe: Probe, { rise, fall }: Thresholds): Health {
  if (!probe.ok && probe.local === true) return now
  switch (now.state) {
    case 'new':
      if (probe.ok) return { state: 'up', fails: 0 }
      return now.reason === probe.reason ? now : { state: 'new', reason: probe.reason }
    case 'up': {
      if (probe.ok || probe.alibi === 'alive') return now.fails === 0 ? now : { state: 'up', fails: 0 }
      if (probe.alibi === 'patient') return now
      const fails = now.fails + 1
      return fails < fall ? { state: 'up', fails } : { state: 'down', passes: 0, reason: probe.reason }
    }
    case 'down': {
      if (!probe.ok) {
        const same = now.passes === 0 && now.reason === probe.reason
        return same ? now : { state: 'down', passes: 0, reason: probe.reason }
      }
      const passes = now.passes + 1
      return passes < rise ? { ...now, passes } : { state: 'up', fails: 0 }
    }
  }
}

/** Worth telling: it has changed sides, or it was found out why an endpoint does not come up. */
export function isFlip(before: Health, after: Health): boolean {
  if (before.state !== after.state) return true
  return before.state === 'new' && before.reason === undefined && before !== after
}
