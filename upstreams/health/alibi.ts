/**
 * A busy app is not a dead app. A probe that gets no answer in time may just wait behind our own requests:
 * where workers are as many as slots, the probe finds none free. Refused connects and bad answers are no
 * matter of time, and count whatever runs.
 */

/** What traffic shows of an endpoint, over all threads; counters since the process began. */
export interface Traffic {
  /** Requests that it runs. */
  readonly running: number
  /** How many it may run; 0: no cap. */
  readonly slots: number
  /** Answers of any status, and bytes out of tunnels. */
  readonly signs: number
  /** Requests that it did not answer in time. */
  readonly timeouts: number
  /** No answer has taken longer so far; undefined before the first. */
  readonly longestMs: number | undefined
  /** After this long a request counts as not answered in time. */
  readonly responseMs: number
}

/** What is known at the end of a probe that got no answer. */
export interface Circumstances {
  /** When the probe before this one began; at the first, when this one did. */
  readonly before: Traffic
  /** When this one began. */
  readonly started: Traffic
  readonly now: Traffic
  /** For how long there has been no sign of life, in traffic or by probes. */
  readonly silentMs: number
}

/**
 * `alive`: it answers requests while the probe waits, which is as good as a probe that passed. `patient`: all
 * its slots are taken and nothing has come, but for no longer than requests have taken there.
 */
export type Alibi = 'alive' | 'patient'

/**
 * Why the probe's silence says nothing about the endpoint; undefined if it does: the endpoint had a free
 * slot, or hangs.
 */
export function alibiOf({ before, started, now, silentMs }: Circumstances): Alibi | undefined {
  if (!isBusy(started) && !isBusy(now)) return undefined
  if (now.signs > before.signs) return 'alive'
  // Without a cap nobody knows whether the probe had to wait.
  if (now.slots === 0 || now.timeouts > before.timeouts) return undefined
  const usualMs = Math.min(now.longestMs ?? now.responseMs, now.responseMs)
  return silentMs <= usualMs ? 'patient' : undefined
}

function isBusy({ running, slots }: Traffic): boolean {
  return running > 0 && running >= slots
}
