import { CONNECT_BOUNDS, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { type ErrorCode, traitsOf } from '../lib/base/errors.ts'
import { STATE } from '../lib/base/shared-state.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import type { UpstreamConfig, UpstreamTimeouts } from '../lib/config/model.ts'
import type { Picker } from './balancer/load.ts'
import { makePicker } from './balancer/policies.ts'
import { Endpoint } from './endpoint.ts'
import type {
  AttemptFailure,
  AttemptOwner,
  EndpointConnection,
  Job,
  PooledEndpoint,
  WaitingLine,
} from './job.ts'
import {
  QUEUE_REJECTIONS,
  type QueueRejection,
  RETRY_RESULTS,
  type RetryResult,
  UPSTREAM_BLOCK,
} from './measures.ts'
import { Queue } from './queue.ts'
import { mayRetry, RetryBudget } from './retry.ts'
import { AppConnection } from './transport/app-connection.ts'
import { HTTP1 } from './transport/http1.ts'
import { attemptUwsgi } from './transport/uwsgi.ts'

/** Where an upstream's shared words and cells stand; endpoints in the order of the configuration. */
export interface UpstreamPlacement {
  readonly slot: number
  readonly row: number
  readonly endpoints: readonly { readonly slot: number; readonly row: number }[]
}

/** What an upstream tells the outside. */
export interface UpstreamObserver {
  /** Traffic alone has taken the endpoint out. */
  endpointEjected(upstream: string, endpoint: string, reason: string): void
  /** Connects fail: the endpoint is out until a probe gets through. */
  endpointUnreachable(upstream: string, endpoint: string, reason: string): void
  /** Something failed there; said at most every SUSPECT_MS. */
  endpointSuspect(upstream: string, endpoint: string): void
}

const AT = UPSTREAM_BLOCK.at
/** A waiter looks again after this long even if no wake came, so that a lost wake cannot cost more. */
const WAIT_CHECK_MS = 1000

/** A pool of endpoints as one data thread sees it: chooses, takes slots, queues, retries. */
export class Upstream implements AttemptOwner, WaitingLine {
  readonly config: UpstreamConfig
  readonly #placement: UpstreamPlacement
  readonly #env: ThreadEnv
  readonly #observer: UpstreamObserver
  readonly #endpoints: readonly PooledEndpoint[]
  readonly #queue: Queue<Job>
  readonly #budget: RetryBudget
  #ready: readonly PooledEndpoint[] = []
  #picker: Picker<PooledEndpoint>
  #version: number
  #listening = false
  #successor: Upstream | undefined = undefined

  constructor(
    config: UpstreamConfig,
    placement: UpstreamPlacement,
    env: ThreadEnv,
    observer: UpstreamObserver,
    previous?: Upstream,
  ) {
    this.config = config
    this.#placement = placement
    this.#env = env
    this.#observer = observer
    this.#endpoints = config.endpoints.map((endpoint, i) => {
      const place = placement.endpoints[i] as { slot: number; row: number }
      const kept = previous?.endpointAt(place.slot)
      const here = kept ?? new Endpoint<EndpointConnection>(endpoint, place, env)
      here.configure(endpoint, config.server)
      return here
    })
    this.#queue = new Queue<Job>({
      clock: env.clock,
      timers: env.timers,
      timeoutMs: config.queue.timeoutMs,
      timedOut: (job, waitedMs) => this.#queueTimedOut(job, waitedMs),
    })
    this.#budget = new RetryBudget(config.retry.budgetShare, env.clock.now())
    this.#version = env.shared.version(placement.slot)
    this.#picker = this.#buildPicker()
  }

  get timeouts(): UpstreamTimeouts {
    return this.config.timeouts
  }

  /** Endpoints keep their slot for the life of the process: same slot, same address. */
  endpointAt(slot: number): PooledEndpoint | undefined {
    return this.#endpoints.find(endpoint => endpoint.slot === slot)
  }

  /**
   * Replaced by a reload. Waiting requests move on to the successor, endpoints that it did not take over close
   * their idle connections, running requests finish here.
   */
  retire(successor?: Upstream): void {
    this.#successor = successor
    for (
      let job = this.#queue.peek();
      successor !== undefined && job !== undefined;
      job = this.#queue.peek()
    ) {
      job.record.queueMs += this.#leaveQueue(job)
      successor.submit(job)
    }
    for (const endpoint of this.#endpoints) {
      if (successor?.endpointAt(endpoint.slot) !== endpoint) endpoint.retire()
    }
  }

  /** Finds the job an endpoint, or a place in the queue, or refuses it. */
  submit(job: Job): void {
    // Its body took longer to come than the configuration lasted.
    if (this.#successor !== undefined) return this.#successor.submit(job)
    this.#budget.requested()
    this.#refresh()
    if (this.#queue.size === 0) {
      const endpoint = this.#lease(job, undefined)
      if (endpoint !== undefined) return this.#attempt(job, endpoint)
    }
    this.#enqueue(job)
  }

  /** The client of a job that has no attempt running has gone. */
  withdraw(job: Job): void {
    if (!this.#queue.remove(job)) return
    this.#leftQueue(job)
    this.#countRejection('client_gone')
  }

  // AttemptOwner.

  connected(tookMs: number): void {
    this.#env.cells.observe(this.#placement.row + AT.connect, CONNECT_BOUNDS, tookMs / 1000)
  }

  attemptEnded(
    endpoint: PooledEndpoint,
    job: Job,
    status: number,
    reusable: EndpointConnection | undefined,
  ): void {
    const { record } = job
    const startMs = record.attemptAtMs as number
    this.#env.shared.clearFailures(endpoint.slot)
    endpoint.countAnswer(status, (record.upstreamEndAtMs as number) - startMs)
    // An early answer comes before the request is sent: then the app's time counts from the attempt's start.
    const firstByteMs = (record.firstByteAtMs as number) - (record.sentAtMs ?? startMs)
    this.#env.cells.observe(this.#placement.row + AT.firstByte, LATENCY_BOUNDS, firstByteMs / 1000)
    if (this.config.balance === 'peak-ewma')
      endpoint.observeFirstByte((record.firstByteAtMs as number) - startMs)
    if (record.attempts > 1) this.#countRetry('success')
    if (reusable !== undefined) this.#pool(reusable, record.upstreamEndAtMs as number)
    this.#release(endpoint)
  }

  attemptFailed(endpoint: PooledEndpoint, job: Job, failure: AttemptFailure): void {
    endpoint.countError(failure.kind)
    // A reused connection that the app had closed says nothing about its health.
    if (failure.code === 'REUSED_CLOSED') endpoint.closeIdle()
    else if (traitsOf(failure.code).fault === 'upstream') this.#countFailure(endpoint, failure.detail)
    this.#release(endpoint)
    if (failure.answered) return job.failed(failure.code, failure.detail)
    this.#retryOrGiveUp(job, endpoint, failure.code, failure.detail)
  }

  attemptCancelled(endpoint: PooledEndpoint): void {
    this.#release(endpoint)
  }

  #retryOrGiveUp(job: Job, failed: PooledEndpoint, code: ErrorCode, detail: string): void {
    const { idempotent, repeatable, record } = job
    this.#refresh()
    const attemptsLeft = this.config.retry.attempts + 1 - record.attempts
    const othersReady = this.#ready.some(endpoint => endpoint !== failed)
    if (!mayRetry(code, { attemptsLeft, idempotent, repeatable, othersReady })) {
      this.#countRetry(record.attempts > 1 ? 'failure' : 'not_replayable')
      return job.failed(code, detail)
    }
    if (!this.#budget.take(this.#env.clock.now())) {
      this.#countRetry('budget_exhausted')
      return job.failed(code, detail)
    }
    const next = this.#lease(job, failed)
    if (next === undefined) this.#enqueue(job)
    else this.#attempt(job, next)
  }

  /** A ready endpoint with a free slot, the slot taken. */
  #lease(job: Job, avoid: PooledEndpoint | undefined): PooledEndpoint | undefined {
    const max = this.config.maxInflight
    const first = this.#picker.pick(job.key, avoid)
    if (first === undefined) return undefined
    if (first.acquire(max)) return first
    for (const other of this.#ready) {
      if (other !== first && other !== avoid && other.acquire(max)) return other
    }
    return undefined
  }

  #attempt(job: Job, endpoint: PooledEndpoint): void {
    const { record } = job
    record.attempts += 1
    record.endpoint = endpoint.name
    record.attemptAtMs = this.#env.clock.now()
    record.sentAtMs = undefined
    if (job.dial !== undefined) return job.dial(endpoint, this)
    if (endpoint.protocol === 'uwsgi') return attemptUwsgi(endpoint, this, this.#env, job)
    const idle = this.#mayReuse(job, endpoint) ? endpoint.takeIdle() : undefined
    if (idle === undefined) new AppConnection(endpoint, this, this.#env, job, HTTP1)
    else idle.run(job, this)
  }

  /** What must not be sent twice goes out on a used connection only where that is known to be safe, or was asked for. */
  #mayReuse(job: Job, { keepalive }: PooledEndpoint): boolean {
    return job.idempotent || keepalive.proven || this.config.keepalive.idleMs !== undefined
  }

  #pool(client: EndpointConnection, nowMs: number): void {
    const { idleMs, max } = this.config.keepalive
    const restMs = idleMs ?? client.endpoint.keepalive.restMs(client.promisedIdleMs, nowMs)
    if (restMs > 0 && client.endpoint.putIdle(client, max)) client.rest(restMs)
    else client.destroy()
  }

  #release(endpoint: PooledEndpoint): void {
    endpoint.release()
    this.#env.shared.wakeOne(this.#placement.slot)
  }

  #countFailure(endpoint: PooledEndpoint, reason: string): void {
    const { shared } = this.#env
    const { failures } = this.config.passive
    if (failures === 0 || shared.countFailure(endpoint.slot) < failures) return
    shared.clearFailures(endpoint.slot)
    if (!shared.setState(endpoint.slot, STATE.ejected, true)) return
    shared.changed(this.#placement.slot)
    this.#observer.endpointEjected(this.config.name, endpoint.name, reason)
  }

  #enqueue(job: Job): void {
    if (this.#queue.size >= this.config.queue.length) {
      this.#countRejection('full')
      return job.failed(this.#ready.length === 0 ? 'NO_ENDPOINT' : 'QUEUE_FULL', this.#whyWaiting())
    }
    this.#queue.push(job)
    this.#countQueue(1)
    job.waitsIn(this)
    if (!this.#listening) this.#listen().catch(() => {})
  }

  /** Dispatches from the queue whenever a slot or an endpoint may have come free, until nobody waits. */
  async #listen(): Promise<void> {
    const { shared } = this.#env
    const { slot } = this.#placement
    this.#listening = true
    shared.addWaiting(slot, 1)
    while (this.#queue.size > 0) {
      const ticket = shared.wakeTicket(slot)
      this.#dispatchWaiting()
      if (this.#queue.size > 0) await shared.waitForWake(slot, ticket, WAIT_CHECK_MS)
    }
    shared.addWaiting(slot, -1)
    this.#listening = false
    // The wake that ended this may have been for more slots than we had jobs: pass it on.
    shared.wakeOne(slot)
  }

  #dispatchWaiting(): void {
    this.#refresh()
    for (let job = this.#queue.peek(); job !== undefined; job = this.#queue.peek()) {
      const endpoint = this.#lease(job, undefined)
      if (endpoint === undefined) return
      const waitedMs = this.#leaveQueue(job)
      job.record.queueMs += waitedMs
      this.#env.cells.observe(this.#placement.row + AT.queueWait, LATENCY_BOUNDS, waitedMs / 1000)
      this.#attempt(job, endpoint)
    }
  }

  #queueTimedOut(job: Job, waitedMs: number): void {
    job.record.queueMs += waitedMs
    this.#leftQueue(job)
    this.#countRejection('timeout')
    job.failed(this.#ready.length === 0 ? 'NO_ENDPOINT' : 'QUEUE_TIMEOUT', this.#whyWaiting())
  }

  #whyWaiting(): string {
    const { name, maxInflight } = this.config
    return this.#ready.length === 0
      ? `upstream "${name}" has no ready endpoint`
      : `every endpoint of upstream "${name}" runs its max_inflight = ${maxInflight} requests`
  }

  /** Hot: one load, unless an endpoint changed state. */
  #refresh(): void {
    const version = this.#env.shared.version(this.#placement.slot)
    if (version === this.#version) return
    this.#version = version
    this.#picker = this.#buildPicker()
  }

  #buildPicker(): Picker<PooledEndpoint> {
    const ready = this.#endpoints.filter(endpoint => endpoint.state === 0)
    // Traffic alone never empties a pool: with nothing ready, those that are merely ejected are tried all the same.
    this.#ready =
      ready.length > 0 ? ready : this.#endpoints.filter(endpoint => endpoint.state === STATE.ejected)
    return makePicker(this.config.balance, this.#ready, this.#env.random)
  }

  /** Takes the first of the queue, which is `job`, out; returns for how many milliseconds it waited. */
  #leaveQueue(job: Job): number {
    const waitedMs = this.#queue.shift()
    this.#leftQueue(job)
    return waitedMs
  }

  #leftQueue(job: Job): void {
    this.#countQueue(-1)
    job.waitsIn(undefined)
  }

  #countQueue(by: 1 | -1): void {
    this.#env.cells.add(this.#placement.row + AT.queueDepth, by)
  }

  #countRejection(reason: QueueRejection): void {
    this.#env.cells.add(this.#placement.row + AT.queueRejected + QUEUE_REJECTIONS.indexOf(reason), 1)
  }

  #countRetry(result: RetryResult): void {
    this.#env.cells.add(this.#placement.row + AT.retries + RETRY_RESULTS.indexOf(result), 1)
  }
}
