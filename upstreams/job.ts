import type { ErrorCode } from '../lib/base/errors.ts'
import type { Priority, UpstreamTimeouts } from '../lib/config/model.ts'
import type { FieldList } from '../lib/http/field-list.ts'
import type { ResponseHead } from '../lib/http/message.ts'
import type { ExchangeRecord } from '../lib/http/record.ts'
import type { PacketRefusal } from '../lib/wire/uwsgi-packet.ts'
import type { Pooled } from './connection-pool.ts'
import type { Endpoint } from './endpoint.ts'
import type { AttemptError } from './measures.ts'
import type { Place } from './place.ts'

/**
 * One request for the dispatcher, through as many attempts as it takes. The proxy handler implements it;
 * dispatcher and transports call it. Events of an attempt come between `attempting` and `answerEnd`,
 * `failed`, or a new `attempting`.
 */
export interface Job {
  readonly method: string
  /** RFC 9110 9.2.2: may be repeated even if it was acted on. */
  readonly idempotent: boolean
  /** The whole head, ready to be written. */
  readonly headText: string
  /** The same as a uwsgi packet in latin1 text, one character a byte; not for a body of unknown length. */
  uwsgiPacket(): string | PacketRefusal
  /**
   * The same for HTTP/2, names and values in turn, pseudo fields first (RFC 9113 8.3.1). `scheme`: of the
   * connection to the endpoint.
   */
  http2Fields(scheme: 'http' | 'https'): string[]
  /** Names the client to an endpoint that wants it, in latin1 text: a PROXY header. */
  proxyHeader(version: 'v1' | 'v2'): string
  readonly bodyFraming: 'none' | 'length' | 'chunked'
  /**
   * Its body is large, or nobody knows how large: it shares no connection with others, whom it would be in
   * the way of.
   */
  readonly isUpload?: boolean
  /**
   * Both sides may speak in turn as long as the body flows, and be silent: the attempt ends it when nothing
   * has moved either way for `timeouts.idle`.
   */
  readonly converses?: boolean
  /**
   * False once a body that can be had only once has begun to flow: the request cannot be sent a second time.
   */
  readonly repeatable: boolean
  /** For hash policies; 0 for the others. */
  readonly key: number
  readonly priority: Priority
  /** Requests that its client's connection runs now, this one included. */
  readonly siblings: number
  /** Name of the endpoint that its client is bound to; it gets it if that one is ready. */
  readonly wanted: string | undefined
  readonly record: ExchangeRecord
  /** Endpoints that have failed it, the last one last; kept by the upstream. */
  tried: readonly PooledEndpoint[] | undefined
  /** Attempts that never reached an app; counted by the upstream. */
  unsent: number

  /**
   * Set by jobs that speak to the endpoint themselves, such as a tunnel, in place of a transport of ours:
   * makes the attempt, which holds the slot until it tells `owner` of its end, and gives back the place that
   * was taken for it.
   */
  readonly dial?: (place: PooledPlace, owner: AttemptOwner) => void

  /** It waits in `line`, or no longer (undefined): whom to tell when its client leaves. */
  waitsIn(line: WaitingLine | undefined): void
  /** `attempt` now works for it, from connecting on. */
  attempting(attempt: Attempt): void
  /** The head has been written; the job now lets its body flow to the attempt. */
  bodyWanted(): void
  /** The upstream takes body bytes again after `sendBody` returned false. */
  sendDrained(): void
  /** An interim answer. */
  informed(head: ResponseHead): void
  answered(head: ResponseHead): void
  /** Bytes are valid during the call. False: pause the upstream until `attempt.resumeAnswer()`. */
  answerBytes(bytes: Uint8Array, start: number, end: number): boolean
  /** No more bytes in this turn. */
  answerFlush(): void
  /** `trailers`: fields behind the answer's body, where the endpoint has sent any. */
  answerEnd(trailers?: FieldList): void
  /** Given up: no attempt is running and none will follow. */
  failed(code: ErrorCode, detail: string): void
}

/** Where jobs wait for a slot. */
export interface WaitingLine {
  /** The client of a waiting job has gone. */
  withdraw(job: Job): void
}

/** A running attempt as its job sees it. Calls after its end do nothing. */
export interface Attempt {
  /** False: the upstream is slow, wait for `job.sendDrained`. */
  sendBody(bytes: Uint8Array, start: number, end: number): boolean
  endBody(): void
  /** No more body bytes in this turn. */
  flushBody(): void
  resumeAnswer(): void
  /** Pauses the upstream as a false `answerBytes` would, where that can be done from outside. */
  pauseAnswer?(): void
  /** The client has gone: ends the attempt without an answer. */
  cancel(): void
}

/** An endpoint with the connections that wait there. */
export type PooledEndpoint = Endpoint<EndpointConnection>

/** The place of a connection there. */
export type PooledPlace = Place<PooledEndpoint>

/** One connection to an endpoint, whatever is spoken on it: runs attempts, waits in the pool between two. */
export interface EndpointConnection extends Pooled {
  readonly endpoint: PooledEndpoint
  /** Milliseconds that the app says it keeps an idle connection (Keep-Alive: timeout). */
  readonly promisedIdleMs: number | undefined
  /**
   * The endpoint's when it was made; if that is another by now, the configuration has connections made
   * otherwise.
   */
  readonly epoch: number
  /**
   * Begins the next attempt on a connection from the pool; after a reload its upstream may be a newer one.
   */
  run(job: Job, owner: AttemptOwner): void
  /** Waits in the pool for at most this long. */
  rest(idleMs: number): void
}

/** Whom an attempt tells how it ends: the upstream. Exactly one of the attempt* calls is made, once. */
export interface AttemptOwner {
  readonly timeouts: UpstreamTimeouts
  /** The slot of a request whose client has left stays taken until the app has ended it. */
  readonly finishesAbandoned: boolean
  connected(tookMs: number): void
  /**
   * The answer is complete. `reusable`: the connection, if it may carry another attempt. Called before
   * `job.answerEnd`.
   */
  attemptEnded(
    endpoint: PooledEndpoint,
    job: Job,
    status: number,
    reusable: EndpointConnection | undefined,
  ): void
  /**
   * Is the answer with this status not wanted, because another endpoint may have a better one? Then
   * `attemptDeclined` follows.
   */
  declines(endpoint: PooledEndpoint, job: Job, status: number): boolean
  attemptDeclined(endpoint: PooledEndpoint, job: Job, status: number): void
  attemptFailed(endpoint: PooledEndpoint, job: Job, failure: AttemptFailure): void
  /**
   * Answers on connections that have been used come about 40 ms late there (ack-stall.ts). Believed for so
   * long.
   */
  endpointStalls(endpoint: PooledEndpoint, forMs: number): void
  /** The client left before the end. */
  attemptCancelled(endpoint: PooledEndpoint): void
}

export interface AttemptFailure {
  readonly code: ErrorCode
  /** `local`: it is this machine that could not; the endpoint is not judged by it. */
  readonly kind: AttemptError | 'local'
  readonly detail: string
  /** The client has part of the answer already, so the job only needs to be told. */
  readonly answered: boolean
}
