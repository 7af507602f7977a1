import type { ClientHttp2Session } from 'node:http2'
import type { Clock } from '../../lib/base/clock.ts'
import type { Deadline, Timers } from '../../lib/base/timers.ts'

/** What the watch looks at. */
export interface WatchedSession {
  /** When the endpoint was heard last. */
  readonly heardMs: number
  /** Requests wait for their answers. */
  readonly isBusy: boolean
  readonly http2: ClientHttp2Session | undefined
  /** It does not even answer a ping. */
  isMute(): void
}

/** A connection with requests on it that has been silent for longer is asked whether somebody is there. */
const SILENT_MS = 5000

/**
 * Asks a silent connection with waiting requests by a ping (RFC 9113 6.7): one that is gone without a word
 * would hold all of them until their time is up.
 */
export class Http2Watch implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #session: WatchedSession
  readonly #env: { readonly clock: Clock; readonly timers: Timers }
  readonly #patienceMs: number
  #askedAtMs: number | undefined = undefined

  constructor(
    session: WatchedSession,
    env: { readonly clock: Clock; readonly timers: Timers },
    patienceMs: number,
  ) {
    this.#session = session
    this.#env = env
    this.#patienceMs = patienceMs
  }

  /** A request runs. */
  begin(): void {
    if (this.tick === undefined) this.#env.timers.arm(this, SILENT_MS)
  }

  stop(): void {
    this.#env.timers.disarm(this)
  }

  expired(): void {
    const { isBusy, heardMs } = this.#session
    if (!isBusy) return
    const askedAtMs = this.#askedAtMs
    this.#askedAtMs = undefined
    if (askedAtMs !== undefined && heardMs <= askedAtMs) return this.#session.isMute()
    const leftMs = heardMs + SILENT_MS - this.#env.clock.now()
    if (leftMs > 0) return this.#env.timers.arm(this, leftMs)
    this.#ask()
  }

  #ask(): void {
    this.#askedAtMs = this.#env.clock.now()
    this.#env.timers.arm(this, this.#patienceMs)
    this.#session.http2?.ping(error => {
      if (error !== null || this.#askedAtMs === undefined) return
      // Whether it answers requests is another question: their own time-out decides.
      this.#askedAtMs = undefined
      this.#env.timers.disarm(this)
      this.#env.timers.arm(this, SILENT_MS)
    })
  }
}
