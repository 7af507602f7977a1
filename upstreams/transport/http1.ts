import { ByteStream, type ByteStreamOwner } from '../../lib/base/byte-stream.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { Deadline } from '../../lib/base/timers.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import { ChunkedDecoder, type ChunkSink, chunkHead, LAST_CHUNK } from '../../lib/wire/chunked.ts'
import type { HeadLimits } from '../../lib/wire/refusal.ts'
import { readResponseHead } from '../../lib/wire/response-head.ts'
import type { Attempt, AttemptOwner, EndpointConnection, Job, PooledEndpoint } from '../job.ts'
import type { AttemptError } from '../measures.ts'
import { isBodyCertain } from './body-certain.ts'
import { keepAliveTimeout } from './keep-alive-field.ts'
import { reasonOf } from './socket-error.ts'

/** What an app may send as a head: more than we take from clients, since apps set many cookies. */
const RESPONSE_LIMITS: HeadLimits = { headersBytes: 64 * 1024, headerCount: 256, targetBytes: 8 * 1024 }

/** Interim answers to one request. Each costs the client's buffer, and no app needs more than a few. */
const MAX_INTERIM = 64

type State = 'connecting' | 'idle' | 'head' | 'body' | 'closed'

/**
 * One HTTP/1.1 connection to an endpoint: connects, runs one attempt at a time, never pipelines (uWSGI and gunicorn answer only the first),
 * waits in the pool between two. Any byte that no request asked for destroys it (RFC 9112 9.2): it could be taken for the next answer.
 */
export class Http1Client implements Attempt, EndpointConnection, ByteStreamOwner, ChunkSink, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly endpoint: PooledEndpoint
  #owner: AttemptOwner
  readonly #env: ThreadEnv
  readonly #stream: ByteStream
  readonly #startMs: number
  #state: State = 'connecting'
  #job: Job | undefined
  /** Attempts begun on this connection. */
  #runs = 0
  /** Interim answers of this attempt. */
  #interim = 0
  #sending = false
  /** The upstream takes no more, but its answer may be on the way. */
  #sendFailed = false
  #readPaused = false
  /** Part of a head that has not arrived whole. */
  #held: Buffer | undefined = undefined
  #head: ResponseHead | undefined = undefined
  #remaining = 0
  #decoder: ChunkedDecoder | undefined = undefined
  promisedIdleMs: number | undefined = undefined

  constructor(endpoint: PooledEndpoint, owner: AttemptOwner, env: ThreadEnv, job: Job) {
    this.endpoint = endpoint
    this.#owner = owner
    this.#env = env
    this.#job = job
    this.#startMs = env.clock.now()
    const stallMs = owner.timeouts.responseMs
    this.#stream = ByteStream.connect(endpoint.peer, this, env.timers, stallMs, () => this.#connected())
    env.timers.arm(this, owner.timeouts.connectMs)
    endpoint.countActive(1)
    job.attempting(this)
  }

  get usable(): boolean {
    return this.#state === 'idle'
  }

  run(job: Job, owner: AttemptOwner): void {
    this.#job = job
    this.#owner = owner
    this.endpoint.countActive(1)
    job.attempting(this)
    this.#begin(job)
  }

  rest(idleMs: number): void {
    this.#env.timers.arm(this, idleMs)
  }

  /** Only while nothing runs on it that would have to be told. */
  destroy(): void {
    this.#state = 'closed'
    this.#stream.destroy()
  }

  // Attempt: what the job calls.

  sendBody(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#sending) return true
    if (this.#job?.bodyFraming === 'chunked') {
      this.#stream.writeText(chunkHead(end - start))
      this.#stream.writeBytes(bytes, start, end)
      this.#stream.writeText('\r\n')
    } else this.#stream.writeBytes(bytes, start, end)
    return !this.#stream.backedUp
  }

  endBody(): void {
    if (!this.#sending) return
    if (this.#job?.bodyFraming === 'chunked') this.#stream.writeText(LAST_CHUNK)
    this.#stream.flush()
    this.#sent()
  }

  flushBody(): void {
    if (this.#sending) this.#stream.flush()
  }

  resumeAnswer(): void {
    if (!this.#readPaused) return
    this.#readPaused = false
    this.#stream.resume()
    if (this.#state === 'body') this.#env.timers.arm(this, this.#owner.timeouts.idleMs)
  }

  cancel(): void {
    if (this.#job === undefined) return
    this.#detach()
    this.#owner.attemptCancelled(this.endpoint)
    this.destroy()
  }

  // ByteStreamOwner.

  streamBytes(bytes: Buffer, end: number): void {
    switch (this.#state) {
      case 'head':
        this.#readHead(bytes, end)
        break
      case 'body':
        this.#env.timers.arm(this, this.#owner.timeouts.idleMs)
        this.#readBody(bytes, 0, end)
        break
      case 'idle':
        return this.#leavePool()
      case 'connecting':
      case 'closed':
        this.#stream.destroy()
    }
  }

  streamEnded(): void {
    if (this.#state === 'body' && this.#head?.framing === 'close') this.#complete(false)
    else if (this.#job !== undefined) this.#lost('closed the connection')
    this.#leavePool()
  }

  /** Apps answer early and close without reading the rest (a 403 to a large upload): the answer is still to be read. */
  streamWriteFailed(): void {
    this.#sendFailed = true
    if (!this.#sending) return
    this.#sending = false
    this.#job?.sendDrained()
    if (this.#state === 'head') this.#env.timers.arm(this, this.#owner.timeouts.responseMs)
  }

  streamDrained(): void {
    if (this.#sending) this.#job?.sendDrained()
  }

  streamStalled(): void {
    this.#fail('UPSTREAM_TIMEOUT', 'header_timeout', 'takes no more of the request')
  }

  streamClosed(error: Error | undefined): void {
    const was = this.#state
    this.#state = 'closed'
    this.#env.timers.disarm(this)
    this.endpoint.removeIdle(this)
    if (this.#job === undefined) return
    const reason = error === undefined ? 'closed the connection' : reasonOf(error)
    if (was === 'connecting') this.#fail('CONNECT_FAILED', 'connect', reason)
    else this.#lost(reason, was)
  }

  expired(): void {
    switch (this.#state) {
      case 'connecting':
        this.#fail(
          'CONNECT_TIMEOUT',
          'connect_timeout',
          `no connection within ${this.#owner.timeouts.connectMs} ms`,
        )
        break
      case 'idle':
        this.#leavePool()
        break
      case 'head':
        this.#fail(
          'UPSTREAM_TIMEOUT',
          'header_timeout',
          `no answer within ${this.#owner.timeouts.responseMs} ms`,
        )
        break
      case 'body':
        // A client that reads slowly makes us pause: that is not the upstream's silence.
        if (this.#readPaused) this.#env.timers.arm(this, this.#owner.timeouts.idleMs)
        else
          this.#fail(
            'UPSTREAM_TIMEOUT',
            'body_timeout',
            `silent for ${this.#owner.timeouts.idleMs} ms inside its answer`,
          )
        break
      case 'closed':
        break
    }
  }

  // ChunkSink.

  chunkData(bytes: Uint8Array, start: number, end: number): void {
    this.#deliver(bytes, start, end)
  }

  #connected(): void {
    const job = this.#job
    if (job === undefined || this.#state !== 'connecting') return this.#stream.destroy()
    const tookMs = this.#env.clock.now() - this.#startMs
    job.record.connectMs += tookMs
    this.#owner.connected(tookMs)
    this.#begin(job)
  }

  #begin(job: Job): void {
    this.#runs += 1
    this.#interim = 0
    this.#state = 'head'
    this.#head = undefined
    this.#sending = true
    this.#stream.writeText(job.headText)
    job.bodyWanted()
    if (!this.#sending) return
    this.#stream.flush()
    if (job.bodyFraming === 'none') this.#sent()
    else this.#env.timers.disarm(this)
  }

  /** The request is written: from now on the answer is due. */
  #sent(): void {
    this.#sending = false
    if (this.#job === undefined) return
    this.#job.record.sentAtMs = this.#env.clock.now()
    if (this.#state === 'head') this.#env.timers.arm(this, this.#owner.timeouts.responseMs)
  }

  #readHead(bytes: Buffer, size: number): void {
    const all = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes.subarray(0, size)])
    const end = this.#held === undefined ? size : all.length
    this.#held = undefined
    let at = 0
    while (this.#state === 'head' && at < end) {
      const job = this.#job as Job
      const head = readResponseHead(all, at, end, job.method, RESPONSE_LIMITS)
      if (head === undefined) {
        this.#held = Buffer.from(all.subarray(at, end))
        return
      }
      if ('refused' in head) return this.#fail('UPSTREAM_BAD', 'protocol', head.detail)
      if (head.status === 101) return this.#fail('UPSTREAM_BAD', 'protocol', 'unasked-upgrade')
      at += head.size
      if (head.status < 200) this.#informed(job, head)
      else this.#answered(job, head)
    }
    if (this.#state === 'body') this.#readBody(all, at, end)
    else if (at < end) this.#stream.destroy()
  }

  #informed(job: Job, head: ResponseHead): void {
    this.#interim += 1
    if (this.#interim > MAX_INTERIM) this.#fail('UPSTREAM_BAD', 'protocol', 'too many interim answers')
    else job.informed(head)
  }

  #answered(job: Job, head: ResponseHead): void {
    this.#head = head
    this.#state = 'body'
    this.#remaining = head.contentLength
    this.#decoder = head.framing === 'chunked' ? new ChunkedDecoder(this) : undefined
    this.promisedIdleMs = keepAliveTimeout(head) ?? this.promisedIdleMs
    job.record.firstByteAtMs = this.#env.clock.now()
    if (head.framing === 'close' || head.framing === 'chunked' || head.contentLength > 0) {
      this.#env.timers.arm(this, this.#owner.timeouts.idleMs)
    }
    job.answered(head)
  }

  /** Bytes from `at` on belong to the body; what is behind it is surplus. */
  #readBody(bytes: Uint8Array, at: number, end: number): void {
    const head = this.#head as ResponseHead
    switch (head.framing) {
      case 'none':
        return this.#complete(at === end)
      case 'length': {
        const stop = Math.min(end, at + this.#remaining)
        this.#remaining -= stop - at
        if (stop > at) this.#deliver(bytes, at, stop)
        if (this.#remaining === 0) return this.#complete(stop === end)
        break
      }
      case 'chunked': {
        const decoder = this.#decoder as ChunkedDecoder
        const stop = decoder.decode(bytes, at, end)
        if (decoder.state === 'bad') return this.#fail('UPSTREAM_BAD', 'protocol', decoder.detail ?? 'chunk')
        if (decoder.state === 'done') return this.#complete(stop === end)
        break
      }
      case 'close':
        if (end > at) this.#deliver(bytes, at, end)
        break
    }
    this.#job?.answerFlush()
  }

  #deliver(bytes: Uint8Array, start: number, end: number): void {
    if (this.#job === undefined) return
    if (!this.#job.answerBytes(bytes, start, end) && !this.#readPaused && this.#state === 'body') {
      this.#readPaused = true
      this.#stream.pause()
    }
  }

  /** `clean`: nothing arrived behind the answer. */
  #complete(clean: boolean): void {
    const job = this.#job
    const head = this.#head
    if (job === undefined || head === undefined) return this.#stream.destroy()
    const reusable = clean && head.keepAlive && this.#allSent && isBodyCertain(head)
    job.record.upstreamEndAtMs = this.#env.clock.now()
    this.#detach()
    this.resumeAnswer()
    if (reusable) this.#state = 'idle'
    else this.#stream.destroy()
    this.#owner.attemptEnded(
      { endpoint: this.endpoint, reusable: reusable ? this : undefined },
      job,
      head.status,
    )
    job.answerEnd()
  }

  /** False after an answer before the end of the request: the app will not read the rest, and may have reset us for it. */
  get #allSent(): boolean {
    return !this.#sending && !this.#sendFailed && this.#stream.allSent
  }

  /** At once, not when the socket has closed: the next request must not find it. */
  #leavePool(): void {
    this.endpoint.removeIdle(this)
    this.destroy()
  }

  #lost(reason: string, was: State = this.#state): void {
    if (was === 'body') this.#fail('UPSTREAM_TRUNCATED', 'reset', `${reason} inside its answer`)
    else if (this.#runs > 1 && this.#held === undefined) {
      this.#fail('REUSED_CLOSED', 'reset', `${reason} before its answer, on a reused connection`)
    } else this.#fail('UPSTREAM_CLOSED', 'reset', `${reason} before its answer`)
  }

  #fail(code: ErrorCode, kind: AttemptError, detail: string): void {
    const job = this.#job
    const answered = this.#head !== undefined
    this.#detach()
    this.destroy()
    if (job !== undefined) this.#owner.attemptFailed(this.endpoint, job, { code, kind, detail, answered })
  }

  /** Cuts the tie between the attempt and its job: nothing of this connection reaches it any more. */
  #detach(): void {
    if (this.#job !== undefined) this.endpoint.countActive(-1)
    this.#job = undefined
    this.#sending = false
    this.#held = undefined
    this.#decoder = undefined
  }
}
