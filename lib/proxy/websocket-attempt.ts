import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Attempt, AttemptFailure, AttemptOwner, Job, PooledPlace } from '../../upstreams/job.ts'
import { AttemptClock } from '../../upstreams/transport/attempt-clock.ts'
import { reasonOf } from '../../upstreams/transport/socket-error.ts'
import { refusesHandshake } from '../../upstreams/transport/tls-error.ts'
import type { ErrorCode } from '../base/errors.ts'
import { isLocalError, localReason } from '../base/local-error.ts'
import { SocketOpening } from '../base/peer-socket.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { BodyReader, ClientWebSocket, Exchange } from '../http/exchange.ts'
import { dropFromResponse } from '../http/hop-by-hop.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import { switchFault } from '../http/websocket.ts'
import { FrameWatch, GOING_AWAY_TO_APP, GOING_AWAY_TO_CLIENT } from './frame-watch.ts'
import { type LegOwner, WebSocketLeg } from './websocket-leg.ts'
import { openWebSocket, readSwitch, type WebSocketListener } from './websocket-upgrade.ts'

/** A request to switch, and the key that a switch has to answer. */
export interface WebSocketQuestion {
  readonly exchange: Exchange
  readonly job: Job
  readonly head: RequestHead
  readonly key: string
}

/**
 * connecting, asked: no answer yet. answer: the app does not switch, its answer is on the way. open:
 * switched. closing: the app's side is gone, the client has not yet taken all or closed its side. closed:
 * over.
 */
type State = 'connecting' | 'asked' | 'answer' | 'open' | 'closing' | 'closed'

/** How long one side may stay silent when the other has ended and nothing is under way. */
const HALF_CLOSED_MS = 5000

/**
 * One attempt to open a WebSocket, and the connection for as long as it is open: its slot is taken until the
 * app's side has closed.
 */
export class WebSocketAttempt
  extends AttemptClock
  implements Attempt, BodyReader, LegOwner, WebSocketListener
{
  readonly #question: WebSocketQuestion
  readonly #place: PooledPlace
  readonly #opening: SocketOpening
  /** Once connected. */
  #socket: Socket | undefined = undefined
  readonly #leg = new WebSocketLeg(this)
  #state: State = 'connecting'
  #error: Error | undefined = undefined
  #answer: IncomingMessage | undefined = undefined
  #client: ClientWebSocket | undefined = undefined
  readonly #fromClient = new FrameWatch()
  readonly #fromApp = new FrameWatch()
  /** Who was the first to send no more through the WebSocket. */
  #firstEnd: 'client' | 'app' | undefined = undefined
  #movedAtMs = 0

  constructor(question: WebSocketQuestion, place: PooledPlace, owner: AttemptOwner, env: ThreadEnv) {
    const { endpoint } = place
    super(endpoint, owner, env)
    this.#question = question
    this.#place = place
    endpoint.countActive(1)
    question.job.attempting(this)
    this.awaitConnection()
    this.#leg.once('close', () => this.#legClosed())
    const { proxyProtocol: version } = endpoint
    const greeting = version === undefined ? undefined : question.job.proxyHeader(version)
    this.#opening = new SocketOpening(endpoint.peer(greeting), {
      socketReady: socket => this.#connected(socket),
      socketFailed: error => this.#notConnected(error),
    })
  }

  // Attempt: what the job calls. A request to switch has no body.

  sendBody(): boolean {
    return true
  }

  endBody(): void {}

  flushBody(): void {}

  resumeAnswer(): void {
    this.#answer?.resume()
    this.#leg.drained()
  }

  cancel(): void {
    switch (this.#state) {
      case 'connecting':
      case 'asked':
      case 'answer':
        this.#close()
        return this.owner.attemptCancelled(this.endpoint)
      case 'open':
        // A shutdown is nobody's fault; all else reaches the app as the break that it is.
        if (this.#question.job.record.end === 'shutdown') this.#sayGoodbye()
        else resetSocket(this.#socket)
        this.#webSocketEnded()
        return this.#close()
      case 'closing':
        return this.#close()
      case 'closed':
    }
  }

  // WebSocketListener: what the app answers.

  informed(head: ResponseHead): void {
    if (this.#state === 'asked') this.inform(this.#question.job, head)
  }

  answered(head: ResponseHead, body: IncomingMessage): void {
    if (this.#state !== 'asked') return
    const { job } = this.#question
    this.#state = 'answer'
    this.#answer = body
    this.markAnswered(job.record)
    this.watchSilence()
    body.on('data', (bytes: Buffer) => this.#answerBytes(bytes))
    body.on('error', () => {})
    body.once('close', () => this.#answerClosed(body.complete, head.status))
    job.answered(head)
  }

  bad(detail: string): void {
    this.fail('UPSTREAM_BAD', 'protocol', detail)
  }

  // LegOwner.

  switched(bytes: Buffer): ClientWebSocket | undefined {
    if (this.#state !== 'asked') return undefined
    const { exchange, job, key } = this.#question
    const head = readSwitch(bytes)
    const fault = typeof head === 'string' ? head : switchFault(head, key)
    if (fault !== undefined || typeof head === 'string') {
      this.bad(fault ?? 'head')
      return undefined
    }
    job.record.upstreamEndAtMs = this.markAnswered(job.record)
    this.#state = 'open'
    this.endpoint.tunnelOpened()
    this.#moved()
    this.env.timers.arm(this, this.#limitMs)
    dropFromResponse(head.fields, head.connectionNamed)
    this.#client = exchange.upgrade('websocket', head.fields, this)
    if (this.#client === undefined) this.cancel()
    return this.#client
  }

  passed(bytes: Buffer): void {
    this.#moved()
    this.endpoint.countTunnelBytes('received', bytes.length)
    this.#fromApp.take(bytes, 0, bytes.length)
  }

  // BodyReader: what the client sends through the WebSocket.

  bodyBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state !== 'open') return
    this.#moved()
    this.endpoint.countTunnelBytes('sent', end - start)
    this.#fromClient.take(bytes, start, end)
    this.#leg.feed(bytes, start, end)
  }

  bodyFlush(): void {}

  bodyEnd(): void {
    this.#leg.feedEnd()
    this.#sideEnded('client')
  }

  // Deadline.

  expired(): void {
    switch (this.#state) {
      case 'connecting':
        return this.failUnconnected()
      case 'asked':
        return this.failUnanswered()
      case 'answer':
        return this.failSilent(this.#answer?.isPaused() === true)
      case 'open':
      case 'closing':
        return this.#watchTunnel()
      case 'closed':
    }
  }

  /** A head that the library or Node does not take is a mistake of ours, not worth a thread. */
  #ask(socket: Socket): void {
    try {
      openWebSocket(this.#leg, this.#question.head, socket, this)
    } catch (error) {
      this.fail('INTERNAL', 'protocol', error instanceof Error ? error.message : String(error))
    }
  }

  #notConnected(error: Error | undefined): void {
    if (error === undefined) this.fail('CONNECT_FAILED', 'connect', 'closed the connection')
    else if (isLocalError(error)) this.fail('OUT_OF_RESOURCES', 'local', localReason(error))
    else this.fail('CONNECT_FAILED', 'connect', reasonOf(error))
  }

  #connected(socket: Socket): void {
    if (this.#state !== 'connecting') {
      socket.destroy()
      return
    }
    this.#socket = socket
    socket.once('end', () => this.#sideEnded('app'))
    socket.on('error', error => {
      this.#error ??= error
    })
    socket.once('close', () => this.#socketClosed())
    const { record } = this.#question.job
    this.owner.connected(this.markConnected(record))
    this.markSent(record)
    this.#state = 'asked'
    this.awaitAnswer()
    this.#ask(socket)
  }

  #socketClosed(): void {
    this.#place.give()
    const reason = this.#error === undefined ? 'closed the connection' : reasonOf(this.#error)
    switch (this.#state) {
      case 'connecting':
        return
      case 'asked':
        if (this.#error !== undefined && refusesHandshake(this.#error))
          return this.fail('CONNECT_FAILED', 'connect', reason)
        return this.fail('UPSTREAM_CLOSED', 'reset', `${reason} before its response`)
      case 'answer':
        // Its body tells how it ended.
        return
      case 'open':
        return this.#appGone(reason)
      case 'closing':
      case 'closed':
    }
  }

  /** Behind one side's end it does not matter how the other one closes. */
  #appGone(reason: string): void {
    this.#webSocketEnded()
    if (this.#firstEnd !== undefined || this.#error === undefined) {
      this.#firstEnd ??= 'app'
      this.#state = 'closing'
      this.#leg.dropInput()
      this.#leg.end()
      return this.#watchTunnel()
    }
    this.#close()
    this.#question.exchange.fail('UPSTREAM_CLOSED', `${reason} within the tunnel`)
  }

  /** Both directions have ended, and all is delivered. */
  #legClosed(): void {
    if (this.#state === 'closing') this.#close()
  }

  #sideEnded(side: 'client' | 'app'): void {
    if (this.#state !== 'open') return
    this.#firstEnd ??= side
    this.#moved()
    this.env.timers.arm(this, this.#limitMs)
  }

  #moved(): void {
    this.#movedAtMs = this.env.clock.now()
  }

  /** How long nothing may move. */
  get #limitMs(): number {
    const { tunnelMs } = this.owner.timeouts
    // Behind the app's end only what it has said is still on its way.
    const toApp = this.#state === 'open' ? this.#leg.readableLength + (this.#socket?.writableLength ?? 0) : 0
    const queued = this.#leg.writableLength + toApp
    return this.#firstEnd === undefined || queued > 0 ? tunnelMs : Math.min(tunnelMs, HALF_CLOSED_MS)
  }

  #watchTunnel(): void {
    const limitMs = this.#limitMs
    const leftMs = this.#movedAtMs + limitMs - this.env.clock.now()
    if (leftMs > 0) return this.env.timers.arm(this, leftMs)
    const { exchange } = this.#question
    if (this.#state === 'open') this.#webSocketEnded()
    this.#close()
    if (this.#firstEnd === 'app') exchange.end()
    else if (this.#firstEnd === 'client') exchange.fail('CLIENT_GONE', 'closed its half, and the app is idle')
    else exchange.fail('TUNNEL_IDLE', `idle for ${limitMs} ms`)
  }

  #answerBytes(bytes: Buffer): void {
    if (this.#state !== 'answer') return
    const { job } = this.#question
    this.watchSilence()
    if (!job.answerBytes(bytes, 0, bytes.length)) this.#answer?.pause()
    else job.answerFlush()
  }

  #answerClosed(complete: boolean, status: number): void {
    if (this.#state !== 'answer') return
    const { job } = this.#question
    if (!complete)
      return this.fail('UPSTREAM_TRUNCATED', 'reset', 'closed the connection within its response')
    this.markEnded(job.record)
    this.#close()
    this.owner.attemptEnded(this.endpoint, job, status, undefined)
    job.answerEnd()
  }

  /**
   * Tells both sides before the cut, where that tears no frame in two: clients then come back at once instead
   * of reporting an error.
   */
  #sayGoodbye(): void {
    if (this.#firstEnd !== undefined) return
    if (this.#fromApp.between) this.#client?.write(GOING_AWAY_TO_CLIENT)
    if (this.#fromClient.between && this.#leg.readableLength === 0) this.#socket?.write(GOING_AWAY_TO_APP)
  }

  /** The slot comes free. How a WebSocket ends says nothing about the endpoint's health. */
  #webSocketEnded(): void {
    this.endpoint.tunnelClosed()
    this.endpoint.countActive(-1)
    this.owner.attemptEnded(this.endpoint, this.#question.job, 101, undefined)
  }

  protected fail(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void {
    if (this.#state === 'open' || this.#state === 'closing' || this.#state === 'closed') return
    const answered = this.#state === 'answer'
    this.#close()
    this.owner.attemptFailed(this.endpoint, this.#question.job, { code, kind, detail, answered })
  }

  #close(): void {
    const before = this.#state
    if (before === 'closed') return
    this.#state = 'closed'
    if (before === 'connecting' || before === 'asked' || before === 'answer') this.endpoint.countActive(-1)
    this.stopClock()
    this.#leg.destroy()
    this.#opening.destroy()
    this.#socket?.destroy()
    this.#place.give()
  }
}

/**
 * The app has to see a break; only a plain connection can be reset, and Node would leave one that is about to
 * end open for good.
 */
function resetSocket(socket: Socket | undefined): void {
  if (socket === undefined) return
  if (socket instanceof TLSSocket || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
