import { STATE } from '../lib/base/shared-state.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import type { PassiveConfig } from '../lib/config/model.ts'
import type { AttemptFailure, PooledEndpoint } from './job.ts'

/** What traffic shows about endpoints, told to the outside. */
export interface PassiveObserver {
  /** Traffic alone has taken the endpoint out. */
  ejected(endpoint: PooledEndpoint, reason: string): void
  /** Connects fail: the endpoint is out until a probe gets through. */
  unreachable(endpoint: PooledEndpoint, reason: string): void
  /** Something failed there; said at most every SUSPECT_MS by a thread. */
  suspect(endpoint: PooledEndpoint): void
}

/**
 * So many 5xx in a row, while another endpoint has none, take an endpoint out at once; a smaller share is
 * found out in time.
 */
const BAD_ANSWERS = 5
/** How often a thread asks for a probe of the same endpoint. */
const SUSPECT_MS = 250

/** Judges endpoints by the attempts of this thread; the counts are those of all threads. */
export class PassiveChecks {
  readonly #config: PassiveConfig
  /** The upstream's words. */
  readonly #index: number
  readonly #env: ThreadEnv
  readonly #endpoints: readonly PooledEndpoint[]
  readonly #observer: PassiveObserver
  /** Why connects of this thread failed, while the endpoint could not be reached. */
  readonly #unreachableBecause = new Map<PooledEndpoint, string>()

  constructor(
    config: PassiveConfig,
    index: number,
    env: ThreadEnv,
    endpoints: readonly PooledEndpoint[],
    observer: PassiveObserver,
  ) {
    this.#config = config
    this.#index = index
    this.#env = env
    this.#endpoints = endpoints
    this.#observer = observer
  }

  /**
   * Why no endpoint is ready, as far as this thread knows: what keeps the first that is not away on purpose.
   */
  whyNoneReady(): string | undefined {
    const out = this.#endpoints.find(({ state }) => (state & (STATE.unreachable | STATE.down)) !== 0)
    if (out === undefined) return this.#endpoints.length === 0 ? undefined : 'all are draining'
    if ((out.state & STATE.unreachable) === 0) return `${out.name} is down according to its health checks`
    return `${out.name}: ${this.#unreachableBecause.get(out) ?? 'connects are failing'}`
  }

  /** States have changed: what can be reached again has no reason any more. */
  statesChanged(): void {
    for (const endpoint of this.#unreachableBecause.keys())
      if ((endpoint.state & STATE.unreachable) === 0) this.#unreachableBecause.delete(endpoint)
  }

  /** Hot: two loads for a good answer after good ones. */
  answered(endpoint: PooledEndpoint, status: number): void {
    const { shared } = this.#env
    shared.clearFailures(endpoint.index)
    if (status < 500) shared.clearBadAnswers(endpoint.index)
    else this.#answeredBadly(endpoint, status)
  }

  failed(endpoint: PooledEndpoint, { kind, detail }: AttemptFailure): void {
    const { shared } = this.#env
    if (kind === 'connect' || kind === 'connect_timeout') return this.#unreachable(endpoint, detail)
    this.#suspect(endpoint)
    const { failures } = this.#config
    const inARow = shared.countFailure(endpoint.index)
    if (failures === 0 || inARow < failures) return
    this.#eject(endpoint, detail)
  }

  /**
   * One refused connect is enough: nobody listens there, and a probe finds out at once when somebody does.
   */
  #unreachable(endpoint: PooledEndpoint, reason: string): void {
    const { shared } = this.#env
    this.#unreachableBecause.set(endpoint, reason)
    if (!shared.setState(endpoint.index, STATE.unreachable, true)) return
    shared.changed(this.#index)
    this.#observer.unreachable(endpoint, reason)
  }

  #answeredBadly(endpoint: PooledEndpoint, status: number): void {
    const { shared } = this.#env
    const inARow = shared.countBadAnswer(endpoint.index)
    this.#suspect(endpoint)
    if (this.#config.failureRateShare === 0 || inARow < BAD_ANSWERS) return
    // All endpoints answer so: it is the app, not the endpoint.
    const othersFine = this.#endpoints.some(
      other => other !== endpoint && other.state === 0 && shared.badAnswers(other.index) === 0,
    )
    if (othersFine) this.#eject(endpoint, `${BAD_ANSWERS} consecutive responses with status ${status}`)
  }

  #suspect(endpoint: PooledEndpoint): void {
    const nowMs = this.#env.clock.now()
    endpoint.doubt(nowMs)
    if (nowMs - endpoint.suspectedAtMs < SUSPECT_MS) return
    endpoint.suspectedAtMs = nowMs
    this.#observer.suspect(endpoint)
  }

  #eject(endpoint: PooledEndpoint, reason: string): void {
    const { shared } = this.#env
    shared.clearFailures(endpoint.index)
    shared.clearBadAnswers(endpoint.index)
    const ejected = this.#endpoints.filter(other => (other.state & STATE.ejected) !== 0).length
    if (ejected >= mostEjected(this.#endpoints.length, this.#config.maxEjectedShare)) return
    if (!shared.setState(endpoint.index, STATE.ejected, true)) return
    shared.changed(this.#index)
    this.#observer.ejected(endpoint, reason)
  }
}

/** How many of so many endpoints may be ejected at a time: a share of them, but always one. */
export function mostEjected(endpoints: number, maxShare: number): number {
  return Math.max(1, Math.floor(endpoints * maxShare))
}
