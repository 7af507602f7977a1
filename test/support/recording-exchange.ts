import { type ErrorCode, endCauseOf, traitsOf } from '../../lib/base/errors.ts'
import type { ClientFacts } from '../../lib/http/client-facts.ts'
import type {
  BodyReader,
  ClientWebSocket,
  Exchange,
  ExchangeOwner,
  KeptAnswer,
} from '../../lib/http/exchange.ts'
import { FieldList } from '../../lib/http/field-list.ts'
import type { Origin } from '../../lib/http/forwarded.ts'
import type { AnswerHead, RequestHead } from '../../lib/http/message.ts'
import { ExchangeRecord } from '../../lib/http/record.ts'

export interface RecordedRequest {
  readonly method?: string
  /** With its query. */
  readonly target: string
  readonly fields?: readonly (readonly [name: string, value: string])[]
  readonly host?: string
  /** Bytes the client takes until it has to be `drain`ed; undefined: all. */
  readonly window?: number
}

const CLIENT: ClientFacts = {
  peerAddress: '127.0.0.1',
  peerPort: 50000,
  trusted: false,
  listener: 'web',
  scheme: 'http',
  localAddress: '127.0.0.1',
  localPort: 8080,
  tls: undefined,
}

const ORIGIN: Origin = {
  clientIp: '127.0.0.1',
  chain: '127.0.0.1',
  scheme: 'http',
  host: 'localhost',
  port: '8080',
}

/**
 * An exchange without a connection: keeps what a handler answers, and behaves towards it as the front does.
 */
export class RecordingExchange implements Exchange {
  readonly request: RequestHead
  readonly client = CLIENT
  readonly origin = ORIGIN
  policy: Exchange['policy'] = undefined
  readonly record = new ExchangeRecord('test', 0)
  readonly bodyDone = true
  siblings = 1
  /** Settles when the exchange has ended, however. */
  readonly done: Promise<void>
  head: AnswerHead | undefined
  /** Why it failed, if it did by `fail`. */
  failure: ErrorCode | undefined
  /** True once `end` was called. */
  complete = false
  flushes = 0
  readonly #window: number
  readonly #chunks: Buffer[] = []
  readonly #finish: () => void
  #owner: ExchangeOwner | undefined
  #taken = 0
  #gone = false

  constructor({
    method = 'GET',
    target,
    fields = [],
    host = 'localhost:8080',
    window = Number.POSITIVE_INFINITY,
  }: RecordedRequest) {
    const question = target.indexOf('?')
    this.request = {
      method,
      target,
      path: question < 0 ? target : target.slice(0, question),
      query: question < 0 ? undefined : target.slice(question + 1),
      host,
      hostname: 'localhost',
      protocol: 'HTTP/1.1',
      fields: FieldList.of(fields),
      framing: 'none',
      contentLength: 0,
      connectionNamed: undefined,
      keepAlive: true,
      expectsContinue: false,
      size: 0,
    }
    this.#window = window
    const { promise, resolve } = Promise.withResolvers<void>()
    this.done = promise
    this.#finish = resolve
  }

  get answered(): boolean {
    return this.head !== undefined
  }

  get ended(): boolean {
    return this.complete || this.failure !== undefined || this.#gone
  }

  get status(): number {
    if (this.head !== undefined) return this.head.status
    return this.failure === undefined ? 0 : traitsOf(this.failure).status
  }

  get body(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  /** A field of the answer, by its name in any case. */
  field(name: string): string | undefined {
    const fields = this.head?.fields
    for (let i = 0; fields !== undefined && i < fields.count; i += 1) {
      if (fields.name(i).toLowerCase() === name.toLowerCase()) return fields.value(i)
    }
    return undefined
  }

  attach(owner: ExchangeOwner): void {
    this.#owner = owner
  }

  limitBody(): void {}

  receiveBody(reader: BodyReader): void {
    reader.bodyEnd()
  }

  pauseBody(): void {}
  resumeBody(): void {}
  inform(): void {}

  upgrade(_protocol: string, _fields: FieldList, _reader: BodyReader): ClientWebSocket | undefined {
    throw new Error('only a proxy switches protocols')
  }

  begin(head: AnswerHead): void {
    if (this.ended) return
    if (this.#owner === undefined) throw new Error('answered before attach')
    if (this.head !== undefined) throw new Error('two answers')
    this.head = head
    this.record.status = head.status
  }

  answerKept({ head, body }: KeptAnswer): void {
    this.begin(head)
    this.write(body, 0, body.length)
    this.end()
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    // A copy, as the contract says: the caller reuses its memory.
    return this.#take(Buffer.from(bytes.subarray(start, end)))
  }

  offer(bytes: Uint8Array, start: number, end: number): number {
    if (this.ended || this.request.method === 'HEAD') return end
    const stop = Math.min(end, start + Math.max(0, this.#window - this.#taken))
    if (stop > start) this.write(bytes, start, stop)
    return stop
  }

  room(wanted: number): number {
    return wanted
  }

  writeText(text: string): boolean {
    return this.#take(Buffer.from(text, 'latin1'))
  }

  flush(): void {
    this.flushes += 1
  }

  end(): void {
    if (this.ended) return
    if (this.head === undefined) throw new Error('ended without an answer')
    this.complete = true
    this.#finish()
  }

  fail(code: ErrorCode, detail?: string): void {
    if (this.ended) return
    this.failure = code
    this.record.end = endCauseOf(code)
    this.record.detail = detail
    this.#owner?.clientGone()
    this.#finish()
  }

  /** The client takes what it was given. */
  drain(): void {
    this.#taken = 0
    if (!this.ended) this.#owner?.answerDrained()
  }

  /** The client leaves. */
  leave(): void {
    if (this.ended) return
    this.#gone = true
    this.#owner?.clientGone()
    this.#finish()
  }

  #take(bytes: Buffer): boolean {
    if (this.ended) return true
    if (this.head === undefined) throw new Error('a body before its head')
    if (this.request.method === 'HEAD') return true
    this.#chunks.push(bytes)
    this.#taken += bytes.length
    return this.#taken < this.#window
  }
}
