import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { ErrorCode } from '../../lib/base/errors.ts'
import { isLocalError, localReason } from '../../lib/base/local-error.ts'
import { SocketOpening } from '../../lib/base/peer-socket.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { Deadline } from '../../lib/base/timers.ts'
import type { AttemptFailure, PooledEndpoint } from '../job.ts'
import { noConnectionWithin } from './attempt-clock.ts'
import { ClosingSocket, onceClosed } from './closing.ts'
import { SESSION_OPTIONS } from './http2-options.ts'
import type { SessionSet, StreamAttempt } from './http2-stream-attempt.ts'
import { openStream, type StreamRefusal } from './http2-stream-opening.ts'
import { Http2Watch, type WatchedSession } from './http2-watch.ts'
import { reasonOf } from './socket-error.ts'

/**
 * connecting: until the endpoint's SETTINGS, which prove that it speaks HTTP/2. open. checking: silent for a
 * while, asked whether it is still there before a request is trusted to it. closed.
 */
type State = 'connecting' | 'open' | 'checking' | 'closed'

/** Requests that may wait for SETTINGS: RFC 9113 6.5.2 recommends no smaller limit of streams. */
const EXPECTED = 100
/** However many an endpoint takes: one connection is one core of the app, and one loss to all. */
const MOST = 1000
/** A connection that was silent for longer is asked before it gets a request. */
const QUIET_MS = 1000
/** How long an unused connection is kept, unless the configuration says it. */
const REST_MS = 60_000

/** Of a connection, before anybody changes it (RFC 9113 6.9.2). */
const WINDOW_BYTES = 65_535
/** Half of what there can be. */
const MOST_WINDOW_BYTES = 2 ** 30

/** Bytes of a head where the endpoint does not say: servers on nghttp2 close beyond it. */
const USUAL_LIST_BYTES = 64 * 1024

/** One HTTP/2 connection to an endpoint, and the attempts on it. */
export class Http2Session implements Deadline, WatchedSession {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly scheme: 'http' | 'https'
  readonly #endpoint: PooledEndpoint
  readonly #env: ThreadEnv
  readonly #connectMs: number
  readonly #all: SessionSet<Http2Session>
  readonly #opening: SocketOpening
  readonly #startMs: number
  #session: ClientHttp2Session | undefined = undefined
  #socket: Socket | undefined = undefined
  #state: State = 'connecting'
  /** Closes when it has finished. */
  #leaving = false
  #most = EXPECTED
  readonly #waiting = new Set<StreamAttempt<Http2Session>>()
  readonly #running = new Set<StreamAttempt<Http2Session>>()
  #resting = false
  #heardMs = 0
  #windowBytes = WINDOW_BYTES
  /** A large body has it to itself: it would fill the window that all streams share. */
  #exclusive = false
  readonly #watch: Http2Watch
  /** SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2): more might cost the others their connection. */
  #mostListBytes = USUAL_LIST_BYTES
  /** Of a GOAWAY: streams above have not been acted on (RFC 9113 6.8). */
  #lastStreamId = Number.POSITIVE_INFINITY
  #error: Error | undefined = undefined

  constructor(endpoint: PooledEndpoint, env: ThreadEnv, connectMs: number, all: SessionSet<Http2Session>) {
    this.scheme = endpoint.protocol === 'h2' ? 'https' : 'http'
    this.#endpoint = endpoint
    this.#env = env
    this.#connectMs = connectMs
    this.#all = all
    this.#startMs = env.clock.now()
    const listener = {
      socketReady: (socket: Socket) => this.#connected(socket),
      socketFailed: (error: Error | undefined) => {
        this.#error ??= error
        this.#closed()
      },
    }
    this.#opening = new SocketOpening(endpoint.peer(), listener, false)
    this.#watch = new Http2Watch(this, env, connectMs)
    env.timers.arm(this, connectMs)
    endpoint.countActive(1)
  }

  // WatchedSession.

  get heardMs(): number {
    return this.#heardMs
  }

  get isBusy(): boolean {
    return this.#state === 'open' && this.#running.size > 0
  }

  get http2(): ClientHttp2Session | undefined {
    return this.#session
  }

  isMute(): void {
    this.#error = new Error(`no response to a ping within ${this.#connectMs} ms`)
    // The session would still write what waits.
    this.#socket?.destroy()
    this.#session?.destroy()
    this.#closed()
  }

  get resting(): boolean {
    return this.#resting
  }

  /** May one more attempt come? */
  get hasRoom(): boolean {
    if (this.#state === 'closed' || this.#leaving || this.#exclusive) return false
    if (this.#session?.closed === true || this.#session?.destroyed === true) return false
    return this.#running.size + this.#waiting.size < this.#most
  }

  /** Room, and nobody there. */
  get isUnused(): boolean {
    return this.hasRoom && this.#running.size + this.#waiting.size === 0
  }

  /** Runs the attempt, at once or when it is known that somebody is there. */
  take(attempt: StreamAttempt<Http2Session>): void {
    if (this.#resting) this.#rest(false)
    this.#exclusive = attempt.isUpload
    if (this.#state === 'open' && this.#env.clock.now() - this.#heardMs > QUIET_MS) this.#check()
    if (this.#state !== 'open') {
      this.#waiting.add(attempt)
      attempt.waitsFor(this)
    } else this.#run(attempt)
  }

  /** The client of a waiting attempt has left. */
  withdraw(attempt: StreamAttempt<Http2Session>): void {
    this.#waiting.delete(attempt)
    this.#settle()
  }

  /** A stream for the attempt; undefined if the connection takes none any more. */
  open(
    fields: string[],
    endStream: boolean,
    signal: AbortSignal,
  ): ClientHttp2Stream | StreamRefusal | undefined {
    const session = this.#session
    if (session === undefined || session.closed || session.destroyed) return undefined
    return openStream(session, fields, { endStream, signal }, this.#mostListBytes)
  }

  /** The attempt has nothing more to do with it. */
  ended(attempt: StreamAttempt<Http2Session>): void {
    this.#running.delete(attempt)
    this.#settle()
  }

  /** A request of this age is unanswered: if nothing was said since, others do not join. */
  unanswered(sentAtMs: number): void {
    if (this.#heardMs <= sentAtMs) this.leave()
  }

  /** Something came from the endpoint; returns when. */
  heard(): number {
    this.#heardMs = this.#env.clock.now()
    return this.#heardMs
  }

  /**
   * Has the kernel acknowledge at once what has come, by a frame that means next to nothing: its segment
   * carries the acknowledgement that the endpoint's next small write may wait for (ack-stall.ts).
   */
  acknowledge(): void {
    const session = this.#session
    if (this.#endpoint.stall?.isActing(this.#heardMs) !== true || session === undefined || session.destroyed)
      return
    // One byte more each time (RFC 9113 6.9): a byte taken back would cancel the next frame.
    this.#windowBytes += 1
    session.setLocalWindowSize(this.#windowBytes)
    if (this.#windowBytes > MOST_WINDOW_BYTES) this.leave()
  }

  /** Bytes that were given to the kernel so far. */
  get written(): number {
    return this.#socket?.bytesWritten ?? 0
  }

  /** The endpoint says that it was not acted on, or it never left. `written`: before it was opened. */
  hasRefused(streamId: number | undefined, written: number): boolean {
    if (streamId === undefined || streamId > this.#lastStreamId) return true
    return this.#socket?.destroyed === true && this.written === written
  }

  /** How it was lost, in words; undefined while it is there. */
  get lostBecause(): string | undefined {
    return this.#state === 'closed' || this.#session?.destroyed === true ? this.#loss : undefined
  }

  get #loss(): string {
    return this.#error === undefined ? 'closed the connection' : reasonOf(this.#error)
  }

  /** No new attempts; closes when the last has ended. */
  leave(): void {
    this.#leaving = true
    this.#settle()
  }

  expired(): void {
    switch (this.#state) {
      case 'connecting':
        return this.#failWaiting('CONNECT_TIMEOUT', 'connect_timeout', noConnectionWithin(this.#connectMs))
      case 'checking':
        return this.isMute()
      case 'open':
        return this.#close()
      case 'closed':
    }
  }

  #connected(socket: Socket): void {
    if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
      socket.destroy()
      return this.#failWaiting('CONNECT_FAILED', 'connect', 'does not support HTTP/2 over TLS (ALPN)')
    }
    const session = connectHttp2(`${this.scheme}://localhost`, {
      ...SESSION_OPTIONS,
      createConnection: () => socket,
    })
    this.#session = session
    this.#socket = socket
    socket.once('end', () => this.#endpointEnded())
    session.on('error', error => {
      this.#error ??= error
    })
    session.on('remoteSettings', ({ maxConcurrentStreams = MOST, maxHeaderListSize }) => {
      this.#mostListBytes = maxHeaderListSize ?? USUAL_LIST_BYTES
      this.#settings(maxConcurrentStreams)
    })
    session.on('goaway', (_code, lastStreamId) => {
      this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId)
      this.leave()
    })
    session.once('close', () => this.#closed())
  }

  /** No answer comes any more, and nothing is to leave: what has not may still go elsewhere. */
  #endpointEnded(): void {
    if (this.#running.size > 0) this.#socket?.destroy()
    this.leave()
  }

  #settings(maxConcurrentStreams: number): void {
    this.#most = Math.min(maxConcurrentStreams, MOST)
    if (this.#state !== 'connecting') return
    if (this.#most === 0)
      return this.#failWaiting(
        'CONNECT_FAILED',
        'connect',
        'accepts no requests (SETTINGS_MAX_CONCURRENT_STREAMS is 0)',
      )
    this.#env.timers.disarm(this)
    const tookMs = this.#env.clock.now() - this.#startMs
    for (const attempt of this.#waiting) {
      attempt.connected(tookMs)
      break
    }
    this.#isThere()
  }

  #check(): void {
    this.#state = 'checking'
    this.#env.timers.arm(this, this.#connectMs)
    const asked = this.#session?.ping(error => {
      if (this.#state !== 'checking' || error !== null) return
      this.#env.timers.disarm(this)
      this.#isThere()
    })
    // Only where it is closing: then its close comes next.
    if (asked !== true) this.#leaving = true
  }

  /** Runs what waits, as far as there is room. */
  #isThere(): void {
    this.#state = 'open'
    this.heard()
    for (const attempt of [...this.#waiting]) {
      this.#waiting.delete(attempt)
      if (this.#running.size < this.#most) this.#run(attempt)
      else this.#all.place(attempt)
    }
    this.#settle()
  }

  #run(attempt: StreamAttempt<Http2Session>): void {
    this.#running.add(attempt)
    this.#watch.begin()
    if (attempt.begin(this)) return
    // It has begun to close in this very turn.
    this.#running.delete(attempt)
    this.#leaving = true
    if (attempt.mayMove()) this.#all.place(attempt)
    this.#settle()
  }

  /** Rests or closes if there is nothing to do. */
  #settle(): void {
    if (this.#running.size + this.#waiting.size === 0) this.#exclusive = false
    if (this.#state === 'closed' || this.#running.size + this.#waiting.size > 0 || this.#resting) {
      if (this.#resting && this.#leaving) this.#close()
      return
    }
    const { idleMs = REST_MS, max } = this.#all.keepalive
    if (this.#leaving || this.#state !== 'open' || this.#all.resting >= max) return this.#close()
    this.#rest(true)
    this.#env.timers.arm(this, idleMs)
  }

  #rest(resting: boolean): void {
    this.#resting = resting
    if (!resting) this.#env.timers.disarm(this)
    this.#endpoint.countResting(resting ? 1 : -1)
    this.#endpoint.countActive(resting ? -1 : 1)
  }

  /** Only while nothing runs on it. */
  #close(): void {
    const session = this.#session
    this.#gone()
    this.#opening.destroy()
    if (session === undefined || session.destroyed) return
    session.close()
    if (this.#socket !== undefined) new ClosingSocket(this.#socket, this.#env.timers)
  }

  #closed(): void {
    const was = this.#state
    if (was === 'closed') return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    this.#gone()
    if (was === 'connecting') this.#tellNeverOpened(waiting)
    // What waited for a sign of life has not been sent: another connection may do.
    else for (const attempt of waiting) if (attempt.mayMove()) this.#all.place(attempt)
  }

  #failWaiting(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    this.#gone()
    this.#opening.destroy()
    this.#session?.destroy()
    this.#tell(waiting, code, kind, detail)
  }

  #tell(
    waiting: readonly StreamAttempt<Http2Session>[],
    code: ErrorCode,
    kind: AttemptFailure['kind'],
    detail: string,
  ): void {
    for (const attempt of waiting) attempt.notConnected(code, kind, detail)
  }

  #tellNeverOpened(waiting: readonly StreamAttempt<Http2Session>[]): void {
    const error = this.#error
    if (error !== undefined && isLocalError(error))
      this.#tell(waiting, 'OUT_OF_RESOURCES', 'local', localReason(error))
    else this.#tell(waiting, 'CONNECT_FAILED', 'connect', this.#neverOpened)
  }

  get #neverOpened(): string {
    if (this.#session === undefined) return this.#loss
    const noHttp2 = this.#error === undefined || /^ERR_HTTP2_/.test(String(Reflect.get(this.#error, 'code')))
    return noHttp2 ? 'does not support HTTP/2' : this.#loss
  }

  #gone(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#watch.stop()
    this.#env.timers.disarm(this)
    if (this.#resting) this.#endpoint.countResting(-1)
    else this.#endpoint.countActive(-1)
    this.#resting = false
    onceClosed(this.#socket, () => this.#env.descriptors.give())
    this.#all.forget(this)
  }
}
