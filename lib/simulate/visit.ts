import type { Attempt, AttemptOwner, Job, PooledEndpoint, PooledPlace } from '../../upstreams/job.ts'
import type { AttemptError } from '../../upstreams/measures.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'
import type { Agenda } from './agenda.ts'
import type { App, Visitor } from './app.ts'
import type { Demand } from './service-law.ts'

/** A request as its visits see it. */
export interface VisitingJob extends Job {
  readonly demand: Demand
  /** Uniform in [0, 1): decides whether it meets an error of the app. */
  readonly luck: number
  /** How often an app has begun to work on it. */
  begun: number
  /** The whole answer is there. */
  complete(status: number): void
}

/** What visits of one data thread are made with. */
export interface VisitContext {
  readonly agenda: Agenda
  readonly env: ThreadEnv
  /** By the index of their endpoint. */
  readonly apps: readonly App[]
  /** Over the network and back, milliseconds. */
  readonly roundTripMs: number
}

/**
 * coming: not yet at the app. asked: the answer is due. abandoned: the client has left, the slot stays taken.
 */
type State = 'coming' | 'asked' | 'abandoned' | 'over'

/** One attempt: a request on its way to an app, there, and its answer on its way back. */
export class Visit implements Attempt, Visitor, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #request: VisitingJob
  readonly #place: PooledPlace
  readonly #endpoint: PooledEndpoint
  readonly #owner: AttemptOwner
  readonly #context: VisitContext
  #state: State = 'coming'

  constructor(request: VisitingJob, place: PooledPlace, owner: AttemptOwner, context: VisitContext) {
    const { endpoint } = place
    this.#request = request
    this.#place = place
    this.#endpoint = endpoint
    this.#owner = owner
    this.#context = context
    const { env, agenda, roundTripMs } = context
    request.record.sentAtMs = env.clock.now()
    endpoint.countActive(1)
    env.timers.arm(this, owner.timeouts.connectMs)
    agenda.after(roundTripMs / 2, () => this.#arrive())
  }

  // Visitor.

  get demand(): Demand {
    return this.#request.demand
  }

  get luck(): number {
    return this.#request.luck
  }

  begun(): void {
    this.#request.begun += 1
  }

  answered(status: number): void {
    this.#later(() => this.#answerCame(status))
  }

  cut(): void {
    this.#later(() => this.#fail('UPSTREAM_CLOSED', 'reset', 'closed the connection before its answer'))
  }

  // Attempt.

  sendBody(): boolean {
    return true
  }

  endBody(): void {}

  flushBody(): void {}

  resumeAnswer(): void {}

  cancel(): void {
    if (this.#state !== 'coming' && this.#state !== 'asked') return
    if (this.#state === 'asked' && this.#owner.finishesAbandoned) {
      this.#endpoint.countActive(-1)
      this.#endpoint.countAbandoned(1)
      this.#state = 'abandoned'
      return
    }
    this.#close()
    this.#owner.attemptCancelled(this.#endpoint)
  }

  // Deadline.

  expired(): void {
    const { connectMs, responseMs } = this.#owner.timeouts
    if (this.#state === 'coming')
      this.#fail('CONNECT_TIMEOUT', 'connect_timeout', `no connection within ${connectMs} ms`)
    else this.#fail('UPSTREAM_TIMEOUT', 'header_timeout', `no answer within ${responseMs} ms`)
  }

  #arrive(): void {
    if (this.#state !== 'coming') return
    const { apps, env } = this.#context
    const app = apps[this.#endpoint.index] as App
    switch (app.receive(this)) {
      case 'taken':
        this.#state = 'asked'
        env.timers.arm(this, this.#owner.timeouts.responseMs)
        break
      case 'refused':
        this.#later(() => this.#fail('CONNECT_FAILED', 'connect', 'connection refused'))
        break
      case 'dropped':
        // Nothing comes back: the time-out runs.
        break
    }
  }

  #answerCame(status: number): void {
    if (this.#state === 'abandoned') return this.#abandonedEnded()
    if (this.#state !== 'asked') return
    const request = this.#request
    const { record } = request
    this.#close()
    if (status >= 500 && this.#owner.declines(this.#endpoint, request, status)) {
      return this.#owner.attemptDeclined(this.#endpoint, request, status)
    }
    const nowMs = this.#context.env.clock.now()
    record.firstByteAtMs = nowMs
    record.upstreamEndAtMs = nowMs
    this.#owner.attemptEnded(this.#endpoint, request, status, undefined)
    request.complete(status)
  }

  #fail(code: ErrorCode, kind: AttemptError, detail: string): void {
    if (this.#state === 'abandoned') return this.#abandonedEnded()
    if (this.#state === 'over') return
    this.#close()
    this.#owner.attemptFailed(this.#endpoint, this.#request, { code, kind, detail, answered: false })
  }

  #abandonedEnded(): void {
    this.#endpoint.countAbandoned(-1)
    this.#place.give()
    this.#state = 'over'
    this.#context.env.timers.disarm(this)
    this.#owner.attemptCancelled(this.#endpoint)
  }

  #close(): void {
    this.#state = 'over'
    this.#endpoint.countActive(-1)
    this.#place.give()
    this.#context.env.timers.disarm(this)
  }

  #later(happen: () => void): void {
    this.#context.agenda.after(this.#context.roundTripMs / 2, happen)
  }
}
