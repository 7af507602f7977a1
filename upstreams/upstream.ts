import { CONNECT_BOUNDS, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { type ErrorCode, traitsOf } from '../lib/base/errors.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { formatDuration } from '../lib/base/units.ts'
import type { UpstreamConfig, UpstreamTimeouts } from '../lib/config/model.ts'
import { DrainRate } from './drain-rate.ts'
import { Endpoint } from './endpoint.ts'
import type { AttemptFailure, AttemptOwner, EndpointConnection, Job, PooledEndpoint } from './job.ts'
import { RETRY_RESULTS, type RetryResult, UPSTREAM_BLOCK } from './measures.ts'
import { PassiveChecks } from './passive-checks.ts'
import { mayRetry, RetryBudget } from './retry.ts'
import { Rotation } from './rotation.ts'
import { AppConnection } from './transport/app-connection.ts'
import { TlsCredentials } from './transport/endpoint-tls.ts'
import { HTTP1 } from './transport/http1.ts'
import { attemptHttp2 } from './transport/http2-sessions.ts'
import { attemptUwsgi } from './transport/uwsgi.ts'
import { WaitingRoom, type WaitingRoomHost } from './waiting-room.ts'

/** Where an upstream's shared words and cells stand; endpoints in the order of the configuration. */
export interface UpstreamPlacement {
  readonly index: number
  readonly row: number
  readonly endpoints: readonly { readonly index: number; readonly row: number }[]
}

/** What an upstream tells the outside; see PassiveObserver. */
export interface UpstreamObserver {
  endpointEjected(upstream: string, endpoint: string, reason: string): void
  endpointUnreachable(upstream: string, endpoint: string, reason: string): void
  endpointSuspect(upstream: string, endpoint: string): void
  /** Answers on used connections come late there; believed for so long. */
  endpointStalls(upstream: string, endpoint: string, forMs: number): void
}

const AT = UPSTREAM_BLOCK.at
/** Want of descriptors, ports or buffers is over soon, one way or the other. */
const LOCAL_RETRY_SECONDS = 1
/**
 * Attempts of one request that never reached an app, at most: endpoints that come and go must not keep it for
 * ever.
 */
const MAX_UNSENT = 20

/** A pool of endpoints as one data thread sees it: chooses, takes slots, lets requests wait, tries again. */
export class Upstream implements AttemptOwner, WaitingRoomHost {
  readonly config: UpstreamConfig
  readonly #placement: UpstreamPlacement
  readonly #env: ThreadEnv
  readonly #endpoints: readonly PooledEndpoint[]
  readonly #room: WaitingRoom
  readonly #passive: PassiveChecks
  readonly #observer: UpstreamObserver
  readonly #budget: RetryBudget
  readonly #credentials: TlsCredentials
  readonly #rate: DrainRate
  #rotation: Rotation
  #version: number
  #successor: Upstream | undefined = undefined

  constructor(
    config: UpstreamConfig,
    placement: UpstreamPlacement,
    env: ThreadEnv,
    observer: UpstreamObserver,
    previous?: Upstream,
  ) {
    const { index, row } = placement
    const { name, queue } = config
    this.config = config
    this.#observer = observer
    this.#placement = placement
    this.#env = env
    this.#credentials = TlsCredentials.for(
      config.tls,
      previous === undefined ? undefined : previous.#credentials,
    )
    const placeFreed = () => this.#room.slotFreed()
    this.#endpoints = config.endpoints.map((endpoint, i) => {
      const place = placement.endpoints[i] as { index: number; row: number }
      const kept = previous?.endpointAt(place.index)
      const here = kept ?? new Endpoint<EndpointConnection>(endpoint, place, env)
      here.configure(endpoint, config, this.#credentials, placeFreed)
      return here
    })
    this.#room = new WaitingRoom({
      env,
      index,
      row,
      length: queue.length,
      timeoutMs: queue.timeoutMs,
      host: this,
    })
    this.#passive = new PassiveChecks(config.passive, index, env, this.#endpoints, {
      ejected: (endpoint, reason) => observer.endpointEjected(name, endpoint.name, reason),
      unreachable: (endpoint, reason) => observer.endpointUnreachable(name, endpoint.name, reason),
      suspect: endpoint => observer.endpointSuspect(name, endpoint.name),
    })
    this.#budget = new RetryBudget(config.retry.budgetShare, env.clock.now())
    this.#rate = new DrainRate(env.clock.now())
    this.#version = env.shared.version(index)
    this.#rotation = new Rotation(this.#endpoints, config, env.random)
  }

  get timeouts(): UpstreamTimeouts {
    return this.config.timeouts
  }

  /** Endpoints keep their index as long as they are configured: same index, same address. */
  endpointAt(index: number): PooledEndpoint | undefined {
    return this.#endpoints.find(endpoint => endpoint.index === index)
  }

  /**
   * Replaced by a reload. Waiting requests move on to the successor, endpoints that it did not take over
   * close their idle connections, running requests finish here.
   */
  retire(successor?: Upstream): void {
    this.#successor = successor
    // All leave before the first comes in: places are counted for both.
    if (successor !== undefined) for (const job of this.#room.clear()) successor.submit(job)
    for (const endpoint of this.#endpoints) {
      if (successor?.endpointAt(endpoint.index) !== endpoint) endpoint.retire()
    }
  }

  /** Finds the job an endpoint, or a place in the queue, or refuses it. */
  submit(job: Job): void {
    // Its body took longer to come than the configuration lasted.
    if (this.#successor !== undefined) return this.#successor.submit(job)
    this.#budget.requested()
    this.#refresh()
    if (!this.#room.hasBefore(job)) {
      const endpoint = this.#lease(job)
      if (endpoint !== undefined) return this.#attempt(job, endpoint)
    }
    this.#room.enter(job)
  }

  /** Sends the job to an endpoint only if one has a slot now; nobody waits for it. */
  submitNow(job: Job): boolean {
    this.#refresh()
    const endpoint = this.#room.hasBefore(job) ? undefined : this.#lease(job)
    if (endpoint === undefined) return false
    this.#attempt(job, endpoint)
    return true
  }

  /** Closes a connection on which nothing runs; false if there is none. */
  closeResting(): boolean {
    return this.#endpoints.some(endpoint => endpoint.closeResting())
  }

  // WaitingRoomHost.

  get holds(): boolean {
    return this.#rotation.members.length === 0
  }

  get hasSlot(): boolean {
    const { maxInflight } = this.config
    return this.#rotation.members.some(endpoint => endpoint.hasSlot(maxInflight))
  }

  get freeSlots(): number {
    const { maxInflight } = this.config
    return this.#rotation.members.reduce((sum, endpoint) => sum + endpoint.freeSlots(maxInflight), 0)
  }

  dispatch(job: Job): boolean {
    this.#refresh()
    const endpoint = this.#lease(job)
    if (endpoint === undefined) return false
    this.#room.leaving(job)
    this.#attempt(job, endpoint)
    return true
  }

  refuse(job: Job, why: 'full' | 'late'): void {
    const { name, maxInflight } = this.config
    const waiting = this.#room.size + 1
    job.record.retryAfterSeconds = this.#rate.secondsFor(waiting, this.#env.clock.now())
    if (this.#rotation.members.length === 0) return job.failed('NO_ENDPOINT', this.#whyNone(why))
    const all =
      maxInflight > 0
        ? `its max_inflight = ${maxInflight} requests`
        : 'the maximum number of requests for now'
    const detail = `every endpoint of upstream "${name}" runs ${all}`
    job.failed(why === 'full' ? 'QUEUE_FULL' : 'QUEUE_TIMEOUT', detail)
  }

  #whyNone(why: 'full' | 'late'): string {
    const { name, queue } = this.config
    const reason = this.#passive.whyNoneReady()
    const end =
      why === 'full'
        ? `its queue is full (queue.length = ${queue.length})`
        : `the request waited for queue.timeout = ${formatDuration(queue.timeoutMs)}`
    return `upstream "${name}" has no ready endpoint${reason === undefined ? '' : ` (${reason})`}, and ${end}`
  }

  // AttemptOwner.

  get finishesAbandoned(): boolean {
    return this.config.abandoned === 'finish'
  }

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
    const endMs = record.upstreamEndAtMs as number
    this.#passive.answered(endpoint, status)
    this.#rate.ended(endMs)
    endpoint.countAnswer(status, endMs - startMs)
    // An early answer comes before the request is sent: then the app's time counts from the attempt's start.
    const firstByteMs = (record.firstByteAtMs as number) - (record.sentAtMs ?? startMs)
    this.#env.cells.observe(this.#placement.row + AT.firstByte, LATENCY_BOUNDS, firstByteMs / 1000)
    endpoint.countFirstByte(firstByteMs)
    if (this.config.balance === 'peak-ewma')
      endpoint.observeFirstByte((record.firstByteAtMs as number) - startMs)
    if (record.attempts > 1) this.#countRetry('success')
    if (reusable !== undefined) this.#pool(reusable, job, endMs)
    this.#release(endpoint)
  }

  /**
   * An answer that another endpoint may better: one of the statuses to retry, and there is one that has not
   * been asked.
   */
  declines(endpoint: PooledEndpoint, job: Job, status: number): boolean {
    const { statuses, attempts } = this.config.retry
    if (!statuses.includes(status) || !job.idempotent || !job.repeatable) return false
    this.#refresh()
    if (job.record.attempts - job.unsent > attempts || !this.#othersReady(job, endpoint)) return false
    return this.#budget.take(this.#env.clock.now())
  }

  attemptDeclined(endpoint: PooledEndpoint, job: Job, status: number): void {
    const nowMs = this.#env.clock.now()
    this.#passive.answered(endpoint, status)
    endpoint.countAnswer(status, nowMs - (job.record.attemptAtMs as number))
    this.#release(endpoint)
    this.#tryAgain(job, endpoint)
  }

  attemptFailed(endpoint: PooledEndpoint, job: Job, failure: AttemptFailure): void {
    if (failure.kind === 'local') return this.#failLocally(endpoint, job, failure.detail)
    endpoint.countError(failure.kind)
    // A reused connection that the app had closed says nothing about its health.
    if (failure.code === 'REUSED_CLOSED') endpoint.closeIdle()
    else if (traitsOf(failure.code).fault === 'upstream') this.#passive.failed(endpoint, failure)
    this.#release(endpoint)
    if (failure.answered) return job.failed(failure.code, failure.detail)
    this.#retryOrGiveUp(job, endpoint, failure.code, failure.detail)
  }

  endpointStalls(endpoint: PooledEndpoint, forMs: number): void {
    if (endpoint.leavesUsed(this.#env.clock.now())) endpoint.closeIdle()
    this.#observer.endpointStalls(this.config.name, endpoint.name, forMs)
  }

  /** Nothing is known of the endpoint, and another try here would meet the same want. */
  #failLocally(endpoint: PooledEndpoint, job: Job, detail: string): void {
    this.#env.descriptors.ranShort()
    this.#refuseToOpen(endpoint, job, detail)
  }

  #refuseToOpen(endpoint: PooledEndpoint, job: Job, detail: string): void {
    job.record.retryAfterSeconds = LOCAL_RETRY_SECONDS
    this.#release(endpoint)
    job.failed('OUT_OF_RESOURCES', detail)
  }

  attemptCancelled(endpoint: PooledEndpoint): void {
    this.#release(endpoint)
  }

  #retryOrGiveUp(job: Job, failed: PooledEndpoint, code: ErrorCode, detail: string): void {
    const { idempotent, repeatable, record } = job
    const unsent = traitsOf(code).retry === 'unsent'
    if (unsent) job.unsent += 1
    this.#refresh()
    // An attempt that never reached an app is no attempt: the request waits here until there is one.
    const attemptsLeft = this.config.retry.attempts === 0 ? 0 : this.#attemptsLeft(job, record.attempts)
    const othersReady = this.#othersReady(job, failed)
    const firstThere = job.tried?.includes(failed) !== true
    if (!mayRetry(code, { attemptsLeft, idempotent, repeatable, othersReady, firstThere })) {
      this.#countRetry(record.attempts > 1 ? 'failure' : 'not_replayable')
      return job.failed(code, detail)
    }
    if (!unsent && !this.#budget.take(this.#env.clock.now())) {
      this.#countRetry('budget_exhausted')
      return job.failed(code, detail)
    }
    this.#tryAgain(job, failed)
  }

  #attemptsLeft(job: Job, made: number): number {
    return job.unsent > MAX_UNSENT ? 0 : this.config.retry.attempts + 1 - (made - job.unsent)
  }

  #othersReady({ tried }: Job, failed: PooledEndpoint): boolean {
    return this.#rotation.members.some(endpoint => endpoint !== failed && tried?.includes(endpoint) !== true)
  }

  #tryAgain(job: Job, failed: PooledEndpoint): void {
    job.tried = job.tried === undefined ? [failed] : [...job.tried, failed]
    if (this.#successor !== undefined) return this.#successor.submit(job)
    const next = this.#lease(job)
    if (next === undefined) this.#room.enter(job)
    else this.#attempt(job, next)
  }

  /** A ready endpoint with a free slot, the slot taken. */
  #lease(job: Job): PooledEndpoint | undefined {
    return this.#rotation.lease(job, this.config.maxInflight)
  }

  #attempt(job: Job, endpoint: PooledEndpoint): void {
    const { record } = job
    record.attempts += 1
    record.endpoint = endpoint.name
    record.attemptAtMs = this.#env.clock.now()
    record.sentAtMs = undefined
    if (endpoint.shares(job)) return attemptHttp2(endpoint, this, this.#env, job, this.config.keepalive)
    const idle = endpoint.takeChosen()
    if (idle !== undefined) return idle.run(job, this)
    const place = endpoint.openPlace(job.siblings)
    if (place === undefined)
      return this.#refuseToOpen(endpoint, job, 'no file descriptor available for a connection to the app')
    if (job.dial !== undefined) return job.dial(place, this)
    if (endpoint.protocol === 'uwsgi') return attemptUwsgi(place, this, this.#env, job)
    new AppConnection(place, this, this.#env, job, HTTP1)
  }

  #pool(client: EndpointConnection, job: Job, nowMs: number): void {
    const { idleMs, max } = this.config.keepalive
    const { endpoint } = client
    if (client.epoch !== endpoint.connectionEpoch || endpoint.leavesUsed(nowMs)) return client.leave()
    const restMs = idleMs ?? endpoint.keepalive.restMs(client.promisedIdleMs, nowMs)
    const keeps = restMs > 0 && !this.#isInTheWay(endpoint, job)
    if (keeps && endpoint.putIdle(client, max)) client.rest(restMs)
    else client.leave()
  }

  /**
   * The next request like this would find all places taken, and could not use the connection. One that waits
   * may be another, which can.
   */
  #isInTheWay(endpoint: PooledEndpoint, job: Job): boolean {
    return endpoint.isFull && this.#room.size === 0 && !endpoint.mayReuse(job)
  }

  #release(endpoint: PooledEndpoint): void {
    endpoint.release()
    this.#room.slotFreed()
  }

  /** Hot: one load, unless an endpoint changed state. */
  #refresh(): void {
    const version = this.#env.shared.version(this.#placement.index)
    if (version === this.#version) return
    this.#version = version
    this.#rotation = new Rotation(this.#endpoints, this.config, this.#env.random)
    this.#passive.statesChanged()
  }

  #countRetry(result: RetryResult): void {
    this.#env.cells.add(this.#placement.row + AT.retries + RETRY_RESULTS.indexOf(result), 1)
  }
}
