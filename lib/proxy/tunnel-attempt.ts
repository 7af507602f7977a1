import type { Attempt, AttemptFailure, AttemptOwner, Job, PooledPlace } from '../../upstreams/job.ts'
import { AttemptClock } from '../../upstreams/transport/attempt-clock.ts'
import { reasonOf } from '../../upstreams/transport/socket-error.ts'
import { ByteStream, type ByteStreamOwner } from '../base/byte-stream.ts'
import type { ErrorCode } from '../base/errors.ts'
import { isLocalError, localReason } from '../base/local-error.ts'
import type { ThreadEnv } from '../base/thread-env.ts'

/**
 * A client's bytes on their way to an endpoint that gets them as they are. `bodyWanted`: connected, they may
 * flow. `answerEnd`: both sides have ended, or the endpoint is gone behind the end of one.
 */
export interface TunnelJob extends Job {
  /** The endpoint sends no more; it may go on taking bytes. */
  endpointEnded(): void
}

/** asked: it has the client's bytes, and has not said anything yet. open: it has. closed: over. */
type State = 'connecting' | 'asked' | 'open' | 'closed'

/**
 * One attempt to reach an endpoint for a tunnel and, from the connect on, its connection: the slot is taken
 * until that has closed.
 */
export class TunnelAttempt extends AttemptClock implements Attempt, ByteStreamOwner {
  readonly #job: TunnelJob
  readonly #place: PooledPlace
  readonly #stream: ByteStream
  #state: State = 'connecting'
  /** Who was the first to send no more. */
  #firstEnd: 'client' | 'endpoint' | undefined = undefined
  /** It sends no more. */
  #ended = false
  #takesBytes = true
  #movedAtMs = 0

  constructor(job: TunnelJob, place: PooledPlace, owner: AttemptOwner, env: ThreadEnv) {
    const { endpoint } = place
    super(endpoint, owner, env)
    this.#job = job
    this.#place = place
    endpoint.countActive(1)
    job.attempting(this)
    const { proxyProtocol: version } = endpoint
    const peer = endpoint.peer(version === undefined ? undefined : job.proxyHeader(version))
    // No stall time: an endpoint that takes nothing makes both sides silent.
    this.#stream = ByteStream.connect(peer, this, env.timers, 0, () => this.#connected())
    this.awaitConnection()
  }

  // Attempt: the client's side.

  sendBody(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#isUp || !this.#takesBytes) return true
    this.#moved()
    this.endpoint.countTunnelBytes('sent', end - start)
    this.#stream.writeBytes(bytes, start, end)
    this.#stream.flush()
    return !this.#stream.backedUp
  }

  endBody(): void {
    if (!this.#isUp) return
    this.#firstEnd ??= 'client'
    this.#moved()
    if (this.#takesBytes) this.#stream.end()
  }

  flushBody(): void {}

  resumeAnswer(): void {
    this.#moved()
    this.#stream.resume()
  }

  /** A shutdown is nobody's fault; all else reaches the endpoint as the break that it is. */
  cancel(): void {
    const before = this.#state
    if (before === 'closed') return
    if (before !== 'connecting' && this.#job.record.end !== 'shutdown') this.#stream.reset()
    this.#close()
    this.#tellOwner(before)
  }

  // ByteStreamOwner: the endpoint's side.

  streamBytes(bytes: Buffer, end: number): void {
    if (!this.#isUp) return
    if (this.#state === 'asked') this.#answered()
    this.#moved()
    this.endpoint.countTunnelBytes('received', end)
    if (!this.#job.answerBytes(bytes, 0, end)) this.#stream.pause()
  }

  streamEnded(): void {
    if (!this.#isUp) return
    if (this.#isMute) return this.#lost('closed the connection')
    this.#firstEnd ??= 'endpoint'
    this.#ended = true
    this.#moved()
    this.#job.endpointEnded()
    this.#closeIfDone()
  }

  streamDrained(): void {
    this.#moved()
    this.#job.sendDrained()
  }

  /** What the client still sends is taken and dropped, so that its end is heard. */
  streamWriteFailed(): void {
    this.#takesBytes = false
    this.#job.sendDrained()
    this.#closeIfDone()
  }

  streamStalled(): void {}

  streamClosed(error: Error | undefined): void {
    const reason = error === undefined ? 'closed the connection' : reasonOf(error)
    const before = this.#state
    if (before === 'closed') return
    if (before === 'connecting' && error !== undefined && isLocalError(error))
      return this.fail('OUT_OF_RESOURCES', 'local', localReason(error))
    if (before === 'connecting') return this.fail('CONNECT_FAILED', 'connect', reason)
    if (this.#isMute) return this.#lost(reason)
    this.#close()
    this.#tellOwner(before)
    // Behind one side's end it does not matter how the other one closes: they do not wait for each other.
    if (this.#firstEnd === undefined) this.#job.failed('UPSTREAM_CLOSED', `${reason} within the tunnel`)
    else this.#job.answerEnd()
  }

  // Deadline.

  expired(): void {
    switch (this.#state) {
      case 'connecting':
        return this.failUnconnected()
      case 'asked':
        return this.failUnanswered(`sent nothing within ${this.owner.timeouts.responseMs} ms`)
      case 'open':
        return this.#watchTunnel()
      case 'closed':
    }
  }

  get #isUp(): boolean {
    return this.#state === 'asked' || this.#state === 'open'
  }

  /** It has said nothing yet to a client that waits for it. */
  get #isMute(): boolean {
    return this.#state === 'asked' && this.#firstEnd === undefined
  }

  #connected(): void {
    if (this.#state !== 'connecting') return
    const { record } = this.#job
    this.owner.connected(this.markConnected(record))
    this.markSent(record)
    this.#state = 'asked'
    this.endpoint.tunnelOpened()
    this.awaitAnswer()
    this.#job.bodyWanted()
  }

  #answered(): void {
    const { record } = this.#job
    record.upstreamEndAtMs = this.markAnswered(record)
    this.#state = 'open'
    this.env.timers.arm(this, this.owner.timeouts.tunnelMs)
  }

  /** Where writing has failed the socket does not close by itself. */
  #closeIfDone(): void {
    if (!this.#takesBytes && this.#ended) this.#stream.destroy()
  }

  #moved(): void {
    this.#movedAtMs = this.env.clock.now()
  }

  #watchTunnel(): void {
    const { tunnelMs } = this.owner.timeouts
    const leftMs = this.#movedAtMs + tunnelMs - this.env.clock.now()
    if (leftMs > 0) return this.env.timers.arm(this, leftMs)
    this.cancel()
    this.#job.failed('TUNNEL_IDLE', `idle for ${tunnelMs} ms`)
  }

  #lost(reason: string): void {
    this.fail('UPSTREAM_CLOSED', 'reset', `${reason} before its first byte`)
  }

  /** Once the client's bytes are on their way the tunnel only needs to be told: they are not sent twice. */
  protected fail(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    const answered = this.#state !== 'connecting'
    this.#close()
    this.owner.attemptFailed(this.endpoint, this.#job, { code, kind, detail, answered })
  }

  /** The slot comes free. How a tunnel ends says nothing about the endpoint's health. */
  #tellOwner(before: State): void {
    if (before === 'open') this.owner.attemptEnded(this.endpoint, this.#job, 200, undefined)
    else this.owner.attemptCancelled(this.endpoint)
  }

  #close(): void {
    if (this.#isUp) this.endpoint.tunnelClosed()
    this.#state = 'closed'
    this.endpoint.countActive(-1)
    this.stopClock()
    this.#stream.destroy()
    this.#place.give()
  }
}
