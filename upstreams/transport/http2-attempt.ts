import { type ClientHttp2Stream, constants } from 'node:http2'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { FieldList } from '../../lib/http/field-list.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import { type RawFields, readHttp2Answer, readHttp2Trailers } from '../../lib/wire/http2-response-head.ts'
import { isStall } from '../ack-stall.ts'
import type { Attempt, AttemptFailure, AttemptOwner, Job, PooledEndpoint } from '../job.ts'
import { AttemptClock } from './attempt-clock.ts'
import { CODES } from './http2-codes.ts'
import type { Http2Session } from './http2-session.ts'
import type { StreamAttempt } from './http2-stream-attempt.ts'
import { watchEnd } from './http2-stream-end.ts'

/** `waiting`: for a connection. `abandoned`: its client has left, the app still works on it. */
type State = 'waiting' | 'head' | 'body' | 'abandoned' | 'closed'

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_REFUSED_STREAM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_HTTP_1_1_REQUIRED } =
  constants
/** Of a frame, at most, as long as nobody asks for more (RFC 9113 4.2). */
const FRAME_BYTES = 16_384

/** Connections that may close before they have taken one request. */
const MOST_MOVES = 4

/** One request as a stream of an HTTP/2 connection. */
export class Http2Attempt extends AttemptClock implements Attempt, StreamAttempt<Http2Session> {
  readonly #abort = new AbortController()
  #job: Job | undefined
  #state: State = 'waiting'
  #session: Http2Session | undefined = undefined
  #stream: ClientHttp2Stream | undefined = undefined
  /** What its connection had written when it was opened. */
  #written = 0
  #sending = false
  /** Connections that have closed under it while it waited. */
  #moves = 0
  #head: ResponseHead | undefined = undefined
  #received = 0
  #trailers: FieldList | undefined = undefined
  /** When the last part of the answer came, and the pause before it (ack-stall.ts). */
  #partAtMs = 0
  #pauseMs = 0
  /** The endpoint itself has said that nothing follows, rather than lost the connection. */
  #endSaid = false

  constructor(endpoint: PooledEndpoint, owner: AttemptOwner, env: ThreadEnv, job: Job) {
    super(endpoint, owner, env)
    this.#job = job
    job.attempting(this)
  }

  get connectMs(): number {
    return this.owner.timeouts.connectMs
  }

  // What the connection calls.

  waitsFor(session: Http2Session): void {
    this.#session = session
  }

  /** The connection was made for it, in so long. */
  connected(tookMs: number): void {
    this.owner.connected(tookMs)
  }

  /** Its body is so large that it gets a connection to itself. */
  get isUpload(): boolean {
    return this.#job?.isUpload === true
  }

  /** Of the job that it is made for. */
  get siblings(): number {
    return this.#job?.siblings ?? 1
  }

  hasNoConnection(): void {
    this.notConnected('OUT_OF_RESOURCES', 'local', 'no file descriptor available for a connection to the app')
  }

  /** Its connection has closed before taking it: it looks for another; false if often enough. */
  mayMove(): boolean {
    this.#moves += 1
    if (this.#moves <= MOST_MOVES) return true
    this.notConnected(
      'UPSTREAM_REFUSED',
      'reset',
      `closed ${MOST_MOVES} connections before accepting the request`,
    )
    return false
  }

  notConnected(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    this.#session = undefined
    this.fail(code, kind, detail)
  }

  /** False if the connection takes no request any more. What was given up meanwhile has no need of it. */
  begin(session: Http2Session): boolean {
    const job = this.#job
    if (job === undefined) {
      session.ended(this)
      return true
    }
    const fields = job.http2Fields(session.scheme)
    this.#written = session.written
    const stream = session.open(fields, job.bodyFraming === 'none', this.#abort.signal)
    if (stream === undefined) return false
    this.#session = session
    if ('code' in stream) {
      this.fail(stream.code, 'protocol', stream.detail)
      session.ended(this)
      return true
    }
    this.#stream = stream
    this.markConnected(job.record)
    this.#state = 'head'
    this.#sending = true
    this.#listen(stream)
    if (job.converses === true) this.watchSilence()
    job.bodyWanted()
    if (job.bodyFraming === 'none') this.#sent()
    return true
  }

  // Attempt: what the job calls.

  sendBody(bytes: Uint8Array, start: number, end: number): boolean {
    const stream = this.#stream
    if (!this.#sending || stream === undefined) return true
    if (this.#state === 'body' || this.#job?.converses === true) this.watchSilence()
    if (stream.write(Buffer.from(bytes.subarray(start, end)))) return true
    if (this.#state === 'head') this.awaitAnswer()
    return false
  }

  endBody(): void {
    if (!this.#sending) return
    this.#stream?.end()
    this.#sent()
  }

  flushBody(): void {}

  pauseAnswer(): void {
    if (this.#state === 'body') this.#stream?.pause()
  }

  resumeAnswer(): void {
    if (this.#stream?.isPaused() !== true || this.#state !== 'body') return
    this.#stream.resume()
    this.watchSilence()
  }

  cancel(): void {
    if (this.#job === undefined) return
    const working = this.#state === 'head' && !this.#sending && this.owner.finishesAbandoned
    if (this.#state === 'waiting') this.#session?.withdraw(this)
    this.#job = undefined
    this.#sending = false
    if (working) {
      this.#state = 'abandoned'
      return this.abandon()
    }
    this.#over()
    this.owner.attemptCancelled(this.endpoint)
  }

  // Deadline.

  expired(): void {
    if (this.#isQuiet && this.#job?.converses === true) return this.endConversation(this.#job)
    switch (this.#state) {
      case 'head':
        this.#session?.unanswered(this.#beganAtMs)
        return this.failUnanswered(this.#sending ? 'stopped reading the request' : undefined)
      case 'body':
        return this.failSilent(this.#stream?.isPaused() === true)
      case 'abandoned':
        return this.#abandonedEnded()
      case 'waiting':
      case 'closed':
    }
  }

  /** The request flows, and nothing waits to go either way. */
  get #isQuiet(): boolean {
    return this.#sending && this.#stream?.isPaused() === false && !this.#stream.writableNeedDrain
  }

  /** From then on the app had something to say to it. */
  get #beganAtMs(): number {
    const record = this.#job?.record
    return record?.sentAtMs ?? record?.attemptAtMs ?? this.startMs
  }

  #listen(stream: ClientHttp2Stream): void {
    watchEnd(stream, () => {
      this.#endSaid = true
    })
    stream.on('headers', (_headers, _flags, raw: RawFields) => this.#informed(raw))
    stream.on('response', (_headers, flags, raw: RawFields) =>
      this.#answered(raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0),
    )
    stream.on('trailers', (_headers, _flags, raw: RawFields) => this.#trailed(raw))
    stream.on('data', (bytes: Buffer) => this.#data(bytes))
    stream.on('drain', () => this.#drained())
    stream.once('end', () => this.#ended())
    // What it means is known when it has closed.
    stream.on('error', () => {})
    stream.once('close', () => this.#streamClosed())
  }

  /** The request is written: from now on the answer is due. */
  #sent(): void {
    this.#sending = false
    if (this.#job === undefined) return
    this.markSent(this.#job.record)
    if (this.#state === 'head') this.awaitAnswer()
  }

  #drained(): void {
    if (!this.#sending) return
    if (this.#job?.converses === true) this.watchSilence()
    else if (this.#state === 'head') this.stopClock()
    this.#job?.sendDrained()
  }

  #informed(raw: RawFields): void {
    this.#session?.heard()
    const job = this.#job
    if (job === undefined || this.#state !== 'head') return
    const head = readHttp2Answer(raw, job.method, false)
    if (typeof head === 'string') this.#bad(head)
    else this.inform(job, head)
  }

  #answered(raw: RawFields, ends: boolean): void {
    this.#session?.heard()
    if (this.#state === 'abandoned') return this.#abandonedEnded()
    const job = this.#job
    if (job === undefined || this.#state !== 'head') return
    const head = readHttp2Answer(raw, job.method, ends)
    if (typeof head === 'string') return this.#bad(head)
    if (head.status >= 500 && this.owner.declines(this.endpoint, job, head.status)) {
      this.#job = undefined
      this.#over()
      return this.owner.attemptDeclined(this.endpoint, job, head.status)
    }
    this.#head = head
    this.#endSaid = ends
    this.#state = 'body'
    this.#partAtMs = this.markAnswered(job.record)
    this.watchSilence()
    if (!ends) this.#session?.acknowledge()
    job.answered(head)
    if (head.framing === 'none') this.#whole()
  }

  #data(bytes: Buffer): void {
    this.#partCame()
    // A full frame is followed by others at once.
    if (bytes.length < FRAME_BYTES) this.#session?.acknowledge()
    const job = this.#job
    const head = this.#head
    if (job === undefined || head === undefined || this.#state !== 'body') return
    this.#received += bytes.length
    if (head.framing === 'length' && this.#received > head.contentLength)
      return this.#bad('more body than content-length announces')
    this.watchSilence()
    if (job.answerBytes(bytes, 0, bytes.length)) job.answerFlush()
    else this.pauseAnswer()
  }

  #partCame(): void {
    const nowMs = this.#session?.heard() ?? this.#partAtMs
    if (isStall(nowMs - this.#partAtMs)) this.#pauseMs = nowMs - this.#partAtMs
    this.#partAtMs = nowMs
  }

  #judgePause(): void {
    const forMs = this.endpoint.stall?.answered(true, this.#pauseMs, this.#partAtMs)
    if (forMs !== undefined) this.owner.endpointStalls(this.endpoint, forMs)
  }

  #trailed(raw: RawFields): void {
    this.#partCame()
    if (this.#state !== 'body') return
    const trailers = readHttp2Trailers(raw)
    if (typeof trailers === 'string') return this.#bad(trailers)
    this.#trailers = trailers
    this.#endSaid = true
  }

  /** All that has come is read. The same is said of a lost connection: then its close says why. */
  #ended(): void {
    if (this.#state !== 'body' || !this.#endSaid) return
    this.#partCame()
    this.#session?.acknowledge()
    const head = this.#head as ResponseHead
    if (head.framing === 'length' && this.#received < head.contentLength)
      return this.fail('UPSTREAM_TRUNCATED', 'protocol', 'less body than content-length announces')
    this.#whole()
  }

  #whole(): void {
    const job = this.#job
    const head = this.#head
    if (job === undefined || head === undefined) return
    this.markEnded(job.record)
    const trailers = this.#trailers
    this.#job = undefined
    this.#over()
    this.#judgePause()
    this.owner.attemptEnded(this.endpoint, job, head.status, undefined)
    job.answerEnd(trailers)
  }

  #streamClosed(): void {
    if (this.#state === 'abandoned') return this.#abandonedEnded()
    if (this.#state === 'closed') return
    const code = this.#stream?.rstCode ?? 0
    const how = this.#session?.lostBecause ?? `reset the stream (${CODES[code] ?? code})`
    if (this.#state === 'body') return this.fail('UPSTREAM_TRUNCATED', 'reset', `${how} within its response`)
    if (
      code === NGHTTP2_REFUSED_STREAM ||
      this.#session?.hasRefused(this.#stream?.id, this.#written) === true
    )
      return this.fail('UPSTREAM_REFUSED', 'reset', `did not process the request (${this.#refusal})`)
    if (code === NGHTTP2_HTTP_1_1_REQUIRED)
      return this.fail('UPSTREAM_BAD', 'protocol', 'requires HTTP/1.1 for this request (HTTP_1_1_REQUIRED)')
    if (code === NGHTTP2_PROTOCOL_ERROR)
      return this.fail('UPSTREAM_BAD', 'protocol', 'its response violates HTTP/2 (PROTOCOL_ERROR)')
    return this.fail('UPSTREAM_CLOSED', 'reset', `${how} before its response`)
  }

  get #refusal(): string {
    return this.#session?.lostBecause ?? 'REFUSED_STREAM or GOAWAY'
  }

  #bad(detail: string): void {
    this.fail('UPSTREAM_BAD', 'protocol', detail)
  }

  protected fail(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    if (this.#state === 'closed') return
    const job = this.#job
    const answered = this.#head !== undefined
    this.#job = undefined
    this.#over()
    if (job !== undefined) this.owner.attemptFailed(this.endpoint, job, { code, kind, detail, answered })
  }

  #abandonedEnded(): void {
    this.#over()
    this.abandonEnded()
  }

  /**
   * Nothing of the stream is wanted any more. What has not ended is cancelled, by the signal: `stream.close`
   * would first end the request as if it were whole.
   */
  #over(): void {
    const stream = this.#stream
    this.#state = 'closed'
    this.#sending = false
    this.stopClock()
    if (stream !== undefined && !(this.#endSaid && stream.writableEnded)) this.#abort.abort()
    if (stream !== undefined) this.#session?.ended(this)
  }
}
