import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { Deadline } from '../../lib/base/timers.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import type { ExchangeRecord } from '../../lib/http/record.ts'
import type { AttemptFailure, AttemptOwner, Job, PooledEndpoint } from '../job.ts'

/** Interim answers to one request. Each costs the client's buffer, and no app needs more than a few. */
const MAX_INTERIM = 64

/** Why a connect timeout ended it, in words. */
export function noConnectionWithin(connectMs: number): string {
  return `no connection within ${connectMs} ms`
}

/**
 * The times of an attempt, whatever it speaks: what the record says of them, how long each phase may take,
 * and what the log says of one that took longer. One timer serves all phases, each of which arms it anew. An
 * attempt extends it, so that a request needs no further object.
 */
export abstract class AttemptClock implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly endpoint: PooledEndpoint
  protected readonly env: ThreadEnv
  /** On a connection that runs attempts one after the other: of the one that runs. */
  protected owner: AttemptOwner
  protected readonly startMs: number
  #interim = 0

  constructor(endpoint: PooledEndpoint, owner: AttemptOwner, env: ThreadEnv) {
    this.endpoint = endpoint
    this.owner = owner
    this.env = env
    this.startMs = env.clock.now()
  }

  abstract cancel(): void
  abstract expired(): void
  /** Ends the attempt and tells its owner, unless that has been done. */
  protected abstract fail(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void

  // The record's times.

  /** A connection is there, and was waited for from the start; the milliseconds. */
  protected markConnected(record: ExchangeRecord): number {
    const tookMs = this.env.clock.now() - this.startMs
    record.connectMs += tookMs
    return tookMs
  }

  /** The request is written out. */
  protected markSent(record: ExchangeRecord): void {
    record.sentAtMs = this.env.clock.now()
  }

  /** The answer's head has come; when. */
  protected markAnswered(record: ExchangeRecord): number {
    const nowMs = this.env.clock.now()
    record.firstByteAtMs = nowMs
    return nowMs
  }

  /** The answer's end has come; when. */
  protected markEnded(record: ExchangeRecord): number {
    const nowMs = this.env.clock.now()
    record.upstreamEndAtMs = nowMs
    return nowMs
  }

  // The limits of each phase.

  protected awaitConnection(): void {
    this.env.timers.arm(this, this.owner.timeouts.connectMs)
  }

  protected awaitAnswer(): void {
    this.env.timers.arm(this, this.owner.timeouts.responseMs)
  }

  /** Something moved inside the answer, or in a conversation: silence counts from here. */
  protected watchSilence(): void {
    this.env.timers.arm(this, this.owner.timeouts.idleMs)
  }

  protected stopClock(): void {
    this.env.timers.disarm(this)
  }

  // What has run out.

  protected failUnconnected(): void {
    this.fail('CONNECT_TIMEOUT', 'connect_timeout', noConnectionWithin(this.owner.timeouts.connectMs))
  }

  /** `detail`: if more is known than that no answer came. */
  protected failUnanswered(detail = `no response within ${this.owner.timeouts.responseMs} ms`): void {
    this.fail('UPSTREAM_TIMEOUT', 'header_timeout', detail)
  }

  /** A client that reads slowly makes us pause the answer: that is not the upstream's silence. */
  protected failSilent(isPaused: boolean): void {
    if (isPaused) return this.watchSilence()
    const { idleMs } = this.owner.timeouts
    this.fail('UPSTREAM_TIMEOUT', 'body_timeout', `idle for ${idleMs} ms within its response`)
  }

  /**
   * Nothing has moved either way in a conversation. Nobody owed anything: it says nothing about the
   * endpoint's health.
   */
  protected endConversation(job: Job): void {
    const { idleMs } = this.owner.timeouts
    this.cancel()
    job.failed('TUNNEL_IDLE', `idle in both directions for ${idleMs} ms`)
  }

  // Interim answers.

  /** Another request begins on the connection. */
  protected forgetInterim(): void {
    this.#interim = 0
  }

  /** Passes an interim answer on, or fails the attempt if the app sends too many. */
  protected inform(job: Job, head: ResponseHead): void {
    this.#interim += 1
    if (this.#interim > MAX_INTERIM) this.fail('UPSTREAM_BAD', 'protocol', 'too many interim responses')
    else job.informed(head)
  }

  // A request whose client has left while the app works on it.

  /**
   * It keeps its slot until the first byte, the close or the timeout shows that the app is through with it.
   */
  protected abandon(): void {
    this.endpoint.countAbandoned(1)
  }

  /** To be called when the connection is dealt with: the slot may go to the next request at once. */
  protected abandonEnded(): void {
    this.endpoint.countAbandoned(-1)
    this.owner.attemptCancelled(this.endpoint)
  }
}
