import { type HandshakePeer, probeHandshake } from '../../../upstreams/health/handshake-probe.ts'
import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import { Alarm } from '../shared/alarm.ts'

/** The waits between two connects double from the first to the last. */
const FIRST_MS = 50
const MAX_MS = 1000
/**
 * Longest wait while requests are held for this endpoint, but not for ever: then it is not restarting but
 * gone.
 */
const HELD_MAX_MS = 250
const HELD_FOR_MS = 60_000
/** A connect that has not got through by then has failed. */
const CONNECT_MS = 1000
const JITTER = 0.2

/** What a revival is given. */
export interface RevivalOptions {
  /** As the configuration is now: a reload may have mended what was wrong with a certificate. */
  peer(): HandshakePeer
  readonly clock: Clock
  readonly timers: Timers
  /** Times that it could be reached of late, only to refuse again: nobody is to be sent there that often. */
  readonly flaps: number
  random(): number
  /** Nothing of the upstream is ready: requests wait for this endpoint. */
  held(): boolean
  /** A connect has failed, for this reason. */
  failed(reason: string): void
  /** A connect got through. Called once; the revival has ended. */
  reached(): void
}

/** Connects to an endpoint that refused again and again, until somebody accepts. */
export class Revival {
  readonly #options: RevivalOptions
  readonly #alarm: Alarm
  readonly #limit: Alarm
  readonly #beganMs: number
  /** Since the last time that somebody was in a hurry. */
  #failures: number
  #abort: AbortController | undefined

  constructor(options: RevivalOptions) {
    this.#options = options
    this.#beganMs = options.clock.now()
    this.#failures = options.flaps
    this.#alarm = new Alarm(options.timers, () => this.#begin())
    this.#limit = new Alarm(options.timers, () => this.#abort?.abort())
    this.#wait()
  }

  /** Somebody needs it more than before: the wait that runs is cut to the first. */
  hasten(): void {
    this.#failures = 0
    if (this.#abort === undefined) this.#wait()
  }

  /** Ends it, and a connect under way; `reached` is not called any more. */
  stop(): void {
    this.#alarm.clear()
    this.#limit.clear()
    const abort = this.#abort
    this.#abort = undefined
    abort?.abort()
  }

  #begin(): void {
    this.#connect().catch((error: unknown) => {
      this.#options.timers.report(error)
      this.#failed()
    })
  }

  async #connect(): Promise<void> {
    const abort = new AbortController()
    this.#abort = abort
    this.#limit.set(CONNECT_MS)
    const probe = await probeHandshake(this.#options.peer(), abort.signal)
    if (this.#abort !== abort) return
    this.#abort = undefined
    this.#limit.clear()
    if (probe.ok) return this.#options.reached()
    this.#options.failed(probe.reason)
    this.#failed()
  }

  #failed(): void {
    this.#abort = undefined
    this.#failures += 1
    this.#wait()
  }

  #wait(): void {
    const { clock, random, held } = this.#options
    const waitMs = reviveAfterMs(this.#failures, clock.now() - this.#beganMs, held())
    this.#alarm.set(waitMs * (1 + JITTER * (2 * random() - 1)))
  }
}

/** The wait before the next connect, after so many that failed. */
export function reviveAfterMs(failures: number, sinceMs: number, held: boolean): number {
  const maxMs = held && sinceMs < HELD_FOR_MS ? HELD_MAX_MS : MAX_MS
  return Math.min(FIRST_MS * 2 ** failures, maxMs)
}
