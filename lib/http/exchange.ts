import type { ErrorCode } from '../base/errors.ts'
import type { AnswerPolicy } from './answer-policy.ts'
import type { ClientFacts } from './client-facts.ts'
import type { FieldList } from './field-list.ts'
import type { Origin } from './forwarded.ts'
import type { AnswerHead, RequestHead } from './message.ts'
import type { ExchangeRecord } from './record.ts'

/**
 * One client request and its answer, whatever the protocol and however many attempts it takes. The front
 * implements it, handlers and transports use it. No call ever throws because the client has gone: the
 * exchange then swallows what it is given, and its handler has been told by `clientGone`.
 *
 * An exchange is never used again: a late call on one that has ended does nothing.
 */
export interface Exchange {
  readonly request: RequestHead
  readonly client: ClientFacts
  /** Who asks and how it came, as far as it is believed. */
  readonly origin: Origin
  /** Exchanges that its client's connection runs now, this one included. */
  readonly siblings: number
  /** What the access log and the metrics will say. Handlers fill in their part. */
  readonly record: ExchangeRecord
  /** What its route says about answers; set when the route is found. */
  policy: AnswerPolicy | undefined
  /** True once the answer's head was given: from then on an error can only cut. */
  readonly answered: boolean
  /** True when nothing more can be done for the client. */
  readonly ended: boolean

  /**
   * Names who is told of the client's leaving and of drained buffers. Each handler calls it before anything
   * else.
   */
  attach(owner: ExchangeOwner): void

  /**
   * Holds the request body to `bytes`; undefined: to what counted before, at first what its listener allows.
   * A body that promises more fails the exchange at once (BODY_TOO_LARGE), one that turns out to be longer
   * when it does. Not once the body flows.
   */
  limitBody(bytes: number | undefined): void

  /**
   * Lets the request body flow into `reader`, at once with what has already arrived. Answers Expect:
   * 100-continue. Called at most once, and not for a request whose framing is `none`.
   */
  receiveBody(reader: BodyReader): void
  /**
   * The reader took all it can; nothing is delivered until `resumeBody`. `stopsReading`: nor is anything read
   * from a connection that carries only this, for there is no memory to hold it. That the client leaves is
   * then not noticed.
   */
  pauseBody(stopsReading?: boolean): void
  resumeBody(): void
  /** True when all of the request body has been delivered (or there was none). */
  readonly bodyDone: boolean

  /** An interim answer (RFC 9110 15.2), relayed where the client's protocol allows. */
  inform(status: number, fields: FieldList): void
  /** The whole final answer at once, one that will be given again. The call also ends the exchange. */
  answerKept(answer: KeptAnswer): void
  /** Begins the final answer. Nothing is sent before `flush`, `end`, or enough bytes. */
  begin(head: AnswerHead): void
  /**
   * Bytes of the answer's body; they are copied or sent before it returns, so the caller may reuse the
   * memory. False: the client is slow, stop until `owner.answerDrained`. For HEAD and bodiless statuses the
   * bytes are discarded.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean
  /**
   * As `write`, but takes no more than can leave now, and a little: the position behind the last byte that
   * was taken. What is before the end the caller keeps until `owner.answerDrained`, and offers again: so it
   * is the caller who says where bytes wait for a slow client.
   */
  offer(bytes: Uint8Array, start: number, end: number): number
  /**
   * How many of `wanted` bytes are worth having ready for `write`: no more than the client's windows let go,
   * and a little; none while other answers fill the connection. 0: none, until `owner.answerDrained`. So what
   * can be read again need not wait in memory for a client that takes nothing.
   */
  room(wanted: number): number
  /** The same for text of latin1 characters. */
  writeText(text: string): boolean
  /** Sends what was given so far. To be called when no more will follow in this turn. */
  flush(): void
  /**
   * Switches to another protocol in place of an answer: the client is told with these fields (101, or 200 to
   * an extended CONNECT of HTTP/2, RFC 8441), and from then on bytes pass through and no HTTP is read or
   * written. What the client sends, or has sent ahead, flows into `reader`; its `bodyEnd` says that the
   * client sends no more. The owner hears of drained buffers and of the client's leaving as before; `end`
   * closes the connection, `fail` breaks it. Undefined if the exchange has ended meanwhile.
   */
  upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined
  /**
   * The answer is complete. `trailers`: fields behind its body (RFC 9110 6.5), sent where the client's
   * protocol carries them.
   */
  end(trailers?: FieldList): void
  /**
   * The whole exchange failed: an error answer if none has begun, else a cut that the client can tell from a
   * clean end. `detail` is for the log only.
   */
  fail(code: ErrorCode, detail?: string): void
}

/** The client's side of an open WebSocket. Calls after the exchange's end do nothing. */
export interface ClientWebSocket {
  /**
   * Bytes that nobody will change any more; they leave at once. False: the client is slow, stop until
   * `owner.answerDrained`.
   */
  write(bytes: Buffer): boolean
  /** No more bytes will come for the client; it may go on sending. */
  endOutput(): void
  /** Nothing more is delivered to the reader until `resume`. */
  pause(): void
  resume(): void
}

/**
 * A complete answer to a GET that is given over and over: a small file. Whoever speaks the client's protocol
 * keeps its own form of it here, so that a repeat costs one write and no copy.
 */
export interface KeptAnswer {
  readonly head: AnswerHead
  /** Never changed, nor its memory reused. */
  readonly body: Buffer
  /** The whole answer, as HTTP/1.1 sends it. */
  rendering: unknown
  /** Its head, as HTTP/2 sends it. */
  http2Rendering: unknown
}

/** What is left to say of an exchange once it is over. A refused head has these and nothing else. */
export type ExchangeFacts = Pick<Exchange, 'request' | 'client' | 'record' | 'answered' | 'bodyDone'>

export interface ExchangeOwner {
  /** The client's buffer has room again after `write` returned false. */
  answerDrained(): void
  /** The client left, or was cut, before `end`. The record already says why. Stop all work for it. */
  clientGone(): void
}

export interface BodyReader {
  /** While it has paused the body it still takes what the client was allowed to send before. */
  readonly takesAhead?: boolean
  /**
   * The client of a conversation may be silent: whoever reads the body ends the exchange when nothing has
   * moved either way for too long.
   */
  readonly watchesSilence?: boolean
  /** Bytes of the body, valid only during the call. To slow the flow down, call `exchange.pauseBody()`. */
  bodyBytes(bytes: Uint8Array, start: number, end: number): void
  /** No more bytes in this turn. */
  bodyFlush(): void
  bodyEnd(): void
}
