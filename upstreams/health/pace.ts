import type { Health } from './health.ts'

/** Between two probes of an app that has just been started: most are there within seconds. */
const STARTING_MS = 150
const STARTING_FOR_MS = 5000
/** And then, until it counts as absent. */
const SLOW_STARTING_MS = 500
/** While requests wait for the endpoint; after a minute it is not restarting but gone. */
const HELD_MS = 150
const HELD_LATER_MS = 1000
const SOON_FOR_MS = 60_000
/** While traffic says that something is wrong and probes have not contradicted yet. */
const CONFIRMING_MS = 100

/** What decides how soon the next probe is due. */
export interface Pace {
  readonly intervalMs: number
  readonly health: Health
  /** How long the health has been that state. */
  readonly lastedMs: number
  /** Nothing of the upstream is ready. */
  readonly held: boolean
  /** Traffic has failed there, and no probe has passed since. */
  readonly suspected: boolean
}

/** Time from the start of a probe to the start of the next; never more than the configured interval. */
export function paceMs(pace: Pace): number {
  return Math.min(pace.intervalMs, quickMs(pace))
}

function quickMs({ health, lastedMs, held, suspected }: Pace): number {
  if (health.state === 'up') return suspected && health.fails > 0 ? CONFIRMING_MS : Number.POSITIVE_INFINITY
  if (held) return lastedMs < SOON_FOR_MS ? HELD_MS : HELD_LATER_MS
  if (health.state === 'down' || lastedMs >= SOON_FOR_MS) return Number.POSITIVE_INFINITY
  return lastedMs < STARTING_FOR_MS ? STARTING_MS : SLOW_STARTING_MS
}
