import { ByteStream, type ByteStreamOwner } from '../../lib/base/byte-stream.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import { isLocalError, localReason } from '../../lib/base/local-error.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import { isSecure } from '../../lib/config/endpoint-fit.ts'
import type { FieldList } from '../../lib/http/field-list.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import type { Leaving } from '../connection-pool.ts'
import type { Attempt, AttemptFailure, AttemptOwner, EndpointConnection, Job, PooledPlace } from '../job.ts'
import { AnswerPause } from './answer-pause.ts'
import { type AnswerListener, AnswerReader } from './answer-reader.ts'
import { AttemptClock } from './attempt-clock.ts'
import { isBodyCertain } from './body-certain.ts'
import { ClosingConnection } from './closing.ts'
import { keepAliveTimeout } from './keep-alive-field.ts'
import type { RequestForm } from './request-form.ts'
import { reasonOf } from './socket-error.ts'
import { refusesHandshake } from './tls-error.ts'

/** `abandoned`: nobody waits for the answer any more, but the app still works on it. */
type State = 'connecting' | 'idle' | 'head' | 'body' | 'abandoned' | 'closed'

/**
 * One connection to an endpoint: connects, runs one attempt at a time, never pipelines (uWSGI and gunicorn
 * answer only the first), waits in the pool between two if its form allows more than one. Any byte that no
 * request asked for destroys it (RFC 9112 9.2): it could be taken for the next answer.
 */
export class AppConnection
  extends AttemptClock
  implements Attempt, EndpointConnection, ByteStreamOwner, AnswerListener
{
  readonly epoch: number
  readonly #place: PooledPlace
  readonly #form: RequestForm
  readonly #stream: ByteStream
  readonly #answer: AnswerReader
  #state: State = 'connecting'
  #job: Job | undefined
  /** Attempts begun on this connection. */
  #runs = 0
  /** When it went into the pool last. */
  #restingSinceMs = 0
  /** Milliseconds that it had waited there when this attempt took it. */
  #restedMs = 0
  #sending = false
  /** The upstream takes no more, but its answer may be on the way. */
  #sendFailed = false
  #readPaused = false
  readonly #pause = new AnswerPause()
  promisedIdleMs: number | undefined = undefined

  constructor(place: PooledPlace, owner: AttemptOwner, env: ThreadEnv, job: Job, form: RequestForm) {
    const { endpoint } = place
    super(endpoint, owner, env)
    this.#place = place
    this.#form = form
    this.#job = job
    this.#answer = new AnswerReader(this)
    const stallMs = owner.timeouts.responseMs
    const { proxyProtocol } = endpoint
    this.epoch = endpoint.connectionEpoch
    const peer = endpoint.peer(proxyProtocol === undefined ? undefined : job.proxyHeader(proxyProtocol))
    this.#stream = ByteStream.connect(peer, this, env.timers, stallMs, () => this.#connected())
    this.awaitConnection()
    endpoint.countActive(1)
    job.attempting(this)
  }

  run(job: Job, owner: AttemptOwner): void {
    this.#job = job
    this.owner = owner
    this.#restedMs = (job.record.attemptAtMs as number) - this.#restingSinceMs
    this.endpoint.countActive(1)
    job.attempting(this)
    this.#begin(job)
  }

  rest(idleMs: number): void {
    this.env.timers.arm(this, idleMs)
  }

  /** Taken from the pool at once, not when the socket has closed: the next request must not find it. */
  leave(how: Leaving = this.endpoint.isFull ? 'making room' : 'lingering'): void {
    this.endpoint.removeIdle(this)
    this.#state = 'closed'
    this.stopClock()
    if (!this.#stream.closed) new ClosingConnection(this.#stream, this.#place, this.env.timers, how)
  }

  // Attempt: what the job calls.

  sendBody(bytes: Uint8Array, start: number, end: number): boolean {
    const job = this.#job
    if (!this.#sending || job === undefined) return true
    this.#form.writeBody(this.#stream, job, bytes, start, end)
    if (this.#state === 'body' || job.converses === true) this.watchSilence()
    return !this.#stream.backedUp
  }

  endBody(): void {
    const job = this.#job
    if (!this.#sending || job === undefined) return
    this.#form.writeEnd(this.#stream, job)
    this.#stream.flush()
    this.#sent()
  }

  flushBody(): void {
    if (this.#sending) this.#stream.flush()
  }

  pauseAnswer(): void {
    if (this.#readPaused || this.#state !== 'body') return
    this.#readPaused = true
    this.#pause.skip()
    this.#stream.pause()
  }

  resumeAnswer(): void {
    if (!this.#readPaused) return
    this.#readPaused = false
    this.#stream.resume()
    if (this.#state === 'body') this.watchSilence()
  }

  cancel(): void {
    if (this.#job === undefined) return
    const working = this.#state === 'head' && this.#allSent && this.owner.finishesAbandoned
    this.#detach()
    if (working) {
      this.#state = 'abandoned'
      return this.abandon()
    }
    this.owner.attemptCancelled(this.endpoint)
    this.#destroy()
  }

  #abandonedEnded(): void {
    this.leave()
    this.abandonEnded()
  }

  // ByteStreamOwner.

  streamBytes(bytes: Buffer, end: number): void {
    switch (this.#state) {
      case 'body':
        this.watchSilence()
        if (this.#pause.isRunning) this.#paused(this.env.clock.now())
        this.#answer.read(bytes, end)
        break
      case 'head':
        this.#answer.read(bytes, end)
        if (this.#answer.head !== undefined) this.#pause.firstCame()
        return
      case 'idle':
        return this.leave()
      case 'abandoned':
        return this.#abandonedEnded()
      case 'connecting':
      case 'closed':
        this.#stream.destroy()
    }
  }

  streamEnded(): void {
    if (this.#state === 'abandoned') return this.#abandonedEnded()
    if (this.#state === 'idle') this.#closedWhileIdle()
    else if (this.#state === 'body' && this.#answer.head?.framing === 'close') return this.answerWhole(false)
    else if (this.#job !== undefined) return this.#lost('closed the connection')
    this.leave()
  }

  /** An app that answers early may close without reading the rest: its answer is still read. */
  streamWriteFailed(): void {
    this.#sendFailed = true
    if (!this.#sending) return
    this.#sending = false
    this.#job?.sendDrained()
    if (this.#state === 'head') this.awaitAnswer()
  }

  streamDrained(): void {
    if (this.#sending) this.#job?.sendDrained()
  }

  streamStalled(): void {
    this.failUnanswered('stopped reading the request')
  }

  streamClosed(error: Error | undefined): void {
    const was = this.#state
    this.#state = 'closed'
    this.stopClock()
    this.#place.give()
    if (was === 'abandoned') return this.#abandonedEnded()
    this.endpoint.removeIdle(this)
    if (was === 'idle') this.#closedWhileIdle()
    if (this.#job === undefined) return
    if (error !== undefined && isLocalError(error))
      return this.fail('OUT_OF_RESOURCES', 'local', localReason(error))
    const reason = error === undefined ? 'closed the connection' : reasonOf(error)
    const unread = this.#answer.silent && error !== undefined && refusesHandshake(error)
    if (was === 'connecting' || unread) this.fail('CONNECT_FAILED', 'connect', reason)
    else this.#lost(reason, was)
  }

  expired(): void {
    if (this.#isQuiet && this.#job?.converses === true) return this.endConversation(this.#job)
    switch (this.#state) {
      case 'connecting':
        return this.failUnconnected()
      case 'idle':
        this.endpoint.keepalive.survived(this.env.clock.now() - this.#restingSinceMs)
        return this.leave()
      case 'head':
        return this.failUnanswered()
      case 'body':
        return this.failSilent(this.#readPaused)
      case 'abandoned':
        return this.#abandonedEnded()
      case 'closed':
    }
  }

  // AnswerListener.

  answerInformed(head: ResponseHead): void {
    if (this.#job !== undefined) this.inform(this.#job, head)
  }

  answerBegun(head: ResponseHead): void {
    const job = this.#job as Job
    if (head.status >= 500 && this.owner.declines(this.endpoint, job, head.status)) {
      this.#destroy()
      return this.owner.attemptDeclined(this.endpoint, job, head.status)
    }
    this.#state = 'body'
    this.promisedIdleMs = keepAliveTimeout(head) ?? this.promisedIdleMs
    if (this.#runs === 1) this.endpoint.keepalive.recognise(head.fields)
    else this.endpoint.keepalive.kept()
    this.#form.answered()
    this.markAnswered(job.record)
    if (head.framing === 'close' || head.framing === 'chunked' || head.contentLength > 0) this.watchSilence()
    job.answered(head)
  }

  answerData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#job === undefined) return
    if (!this.#job.answerBytes(bytes, start, end)) this.pauseAnswer()
  }

  answerPause(): void {
    this.#job?.answerFlush()
  }

  answerWhole(clean: boolean, trailers?: FieldList): void {
    const job = this.#job
    const { head } = this.#answer
    if (job === undefined || head === undefined) return this.#stream.destroy()
    const whole = this.#allSent
    const ends = clean && isBodyCertain(head)
    const unnamed = this.endpoint.proxyProtocol === undefined
    const reusable = ends && whole && head.keepAlive && this.#form.reusable && unnamed
    if (this.#pause.isMissing) this.#paused(job.record.firstByteAtMs as number)
    this.#restingSinceMs = this.markEnded(job.record)
    this.#detach()
    this.resumeAnswer()
    if (reusable) this.#state = 'idle'
    else if (whole && (!ends || isSecure(this.endpoint.protocol))) this.leave()
    else this.#destroy()
    this.owner.attemptEnded(this.endpoint, job, head.status, reusable ? this : undefined)
    job.answerEnd(trailers)
  }

  answerBad(detail: string): void {
    this.fail('UPSTREAM_BAD', 'protocol', detail)
  }

  #connected(): void {
    const job = this.#job
    if (job === undefined || this.#state !== 'connecting') return this.#stream.destroy()
    this.owner.connected(this.markConnected(job.record))
    this.#begin(job)
  }

  #begin(job: Job): void {
    this.#runs += 1
    this.#state = 'head'
    this.#pause.begin()
    this.#answer.begin(job.method)
    this.forgetInterim()
    this.#sending = true
    this.#form.writeHead(this.#stream, job)
    job.bodyWanted()
    if (!this.#sending) return
    this.#stream.flush()
    if (job.bodyFraming === 'none') this.#sent()
    else if (job.converses === true) this.watchSilence()
    else this.stopClock()
  }

  /** The request is written: from now on the answer is due. */
  #sent(): void {
    this.#sending = false
    if (this.#job === undefined) return
    this.markSent(this.#job.record)
    if (this.#state === 'head') this.awaitAnswer()
  }

  /** The answer's second part, or its only one. What cannot be repeated shows nothing: it never reuses. */
  #paused(nowMs: number): void {
    const job = this.#job
    if (job?.idempotent !== true) return this.#pause.skip()
    const pauseMs = nowMs - (job.record.firstByteAtMs as number)
    const forMs = this.#pause.ended(this.endpoint.stall, this.#runs > 1, pauseMs, nowMs)
    if (forMs !== undefined) this.owner.endpointStalls(this.endpoint, forMs)
  }

  /** The request flows, and nothing waits to go either way. */
  get #isQuiet(): boolean {
    return this.#sending && !this.#readPaused && !this.#stream.backedUp
  }

  /** False after an early answer: the app will not read the rest, and may have reset us for it. */
  get #allSent(): boolean {
    return !this.#sending && !this.#sendFailed && this.#stream.allSent
  }

  /** Whatever comes or fails after that is nobody's. */
  #destroy(): void {
    this.#detach()
    this.#state = 'closed'
    this.#stream.destroy()
    this.#place.give()
  }

  #closedWhileIdle(): void {
    const nowMs = this.env.clock.now()
    this.endpoint.keepalive.closedEarly(nowMs - this.#restingSinceMs, nowMs)
  }

  #lost(reason: string, was: State = this.#state): void {
    if (was === 'body') return this.fail('UPSTREAM_TRUNCATED', 'reset', `${reason} within its response`)
    const { silent } = this.#answer
    if (this.#runs > 1 && silent) {
      this.endpoint.keepalive.closedEarly(this.#restedMs, this.env.clock.now())
      return this.fail('REUSED_CLOSED', 'reset', `${reason} before its response, on a reused connection`)
    }
    if (!silent) return this.fail('UPSTREAM_CLOSED', 'reset', `${reason} before its response`)
    const { code, detail } = this.#form.unanswered(reason)
    this.fail(code, 'reset', detail)
  }

  protected fail(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    const job = this.#job
    const answered = this.#answer.head !== undefined
    this.#destroy()
    if (job !== undefined) this.owner.attemptFailed(this.endpoint, job, { code, kind, detail, answered })
  }

  /** Cuts the tie between the attempt and its job: nothing of this connection reaches it any more. */
  #detach(): void {
    if (this.#job !== undefined) this.endpoint.countActive(-1)
    this.#job = undefined
    this.#sending = false
    this.#answer.stop()
  }
}
