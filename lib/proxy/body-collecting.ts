import type { Clock } from '../base/clock.ts'
import type { BodyReader, Exchange, ExchangeOwner } from '../http/exchange.ts'
import { SpooledBody } from './body-spooled.ts'
import type { Spool } from './spool.ts'
import { SpoolLog, type SpoolLogOwner } from './spool-log.ts'

/** Who goes on with an exchange whose body is here. */
export interface Collector {
  collected(exchange: Exchange, body: SpooledBody): void
}

/**
 * Takes the whole body of a request before anything is asked of the app, so that a client that sends slowly
 * holds no slot. The owner of its exchange until then.
 */
export class BodyCollecting implements ExchangeOwner, BodyReader, SpoolLogOwner {
  /** The log is the one place where bytes wait. */
  readonly takesAhead = true
  readonly #exchange: Exchange
  readonly #spool: Spool
  readonly #clock: Clock
  readonly #collector: Collector
  readonly #log: SpoolLog
  readonly #startMs: number
  #state: 'collecting' | 'ended' = 'collecting'

  constructor(exchange: Exchange, spool: Spool, clock: Clock, collector: Collector) {
    this.#exchange = exchange
    this.#spool = spool
    this.#clock = clock
    this.#collector = collector
    const { framing, contentLength } = exchange.request
    const expected = framing === 'length' ? contentLength : undefined
    // The listener's limits.body is the bound of one body.
    this.#log = new SpoolLog(spool, this, { maxBytes: Number.POSITIVE_INFINITY, expected, kind: 'patient' })
    this.#startMs = clock.now()
    exchange.attach(this)
  }

  /** Asks the client for the body. What is already here is taken at once. */
  start(): void {
    this.#exchange.receiveBody(this)
  }

  // BodyReader.

  bodyBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === 'ended') return
    this.#log.append(bytes, start, end)
    if (this.#log.full && this.#is('collecting')) this.#exchange.pauseBody()
  }

  bodyFlush(): void {}

  bodyEnd(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#log.settle()
    this.#exchange.record.bodyMs = this.#clock.now() - this.#startMs
    this.#spool.count('request', this.#log.usedFile ? 'file' : 'memory')
    this.#collector.collected(this.#exchange, new SpooledBody(this.#exchange, this.#log))
  }

  // SpoolLogOwner.

  spoolFull(): void {
    if (this.#state === 'collecting') this.#exchange.pauseBody(true)
  }

  spoolRoom(): void {
    if (this.#state === 'collecting') this.#exchange.resumeBody()
  }

  /** After the end this does no harm: what could not be written is still in memory. */
  spoolFailed(why: string): void {
    if (this.#state === 'ended') return
    this.#end('full')
    // The client may still be sending: nothing of that is waited for.
    this.#exchange.pauseBody()
    this.#exchange.fail('SPOOL_FAILED', why)
  }

  spoolLost(why: string): void {
    this.spoolFailed(why)
  }

  // ExchangeOwner.

  answerDrained(): void {}

  clientGone(): void {
    if (this.#state === 'collecting') this.#end('abandoned')
  }

  /** Asked where what was called may have changed it. */
  #is(state: 'collecting' | 'ended'): boolean {
    return this.#state === state
  }

  #end(outcome: 'full' | 'abandoned'): void {
    this.#state = 'ended'
    this.#spool.count('request', outcome)
    this.#log.close()
  }
}
