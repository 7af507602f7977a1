import type { Attempt } from '../../upstreams/job.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'
import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import type { FieldList } from '../http/field-list.ts'
import type { Spool } from './spool.ts'
import { SpoolLog, type SpoolLogOwner } from './spool-log.ts'
import { SpoolReader, type SpoolSink } from './spool-reader.ts'

/** Where and how far answers are read ahead of their clients. */
export interface ReadAheadRoom {
  readonly spool: Spool
  readonly env: ThreadEnv
  /** Bytes of one answer; 0: none. */
  readonly maxBytes: number
}

/** How long, all in all, the app may have to wait for a client before its answer is taken ahead. Fast clients never see a file. */
const PATIENCE_MS = 3

/**
 * through: bytes go straight to the client. waiting: the client is slow, and the app waits for it. holding: the app goes on, its bytes wait
 * here.
 */
type State = 'through' | 'waiting' | 'holding'
type Ending =
  | { readonly code: undefined; readonly trailers: FieldList | undefined }
  | { readonly code: ErrorCode; readonly detail: string }

/**
 * An answer on its way to a client that has shown itself slow: taken from the app as fast as it comes, so that slot, connection and worker
 * come free, and given to the client as fast as it takes it. Where there is no more room the app waits for the client, as it
 * would without.
 */
export class ReadAhead implements SpoolSink, SpoolLogOwner, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly #exchange: Exchange
  readonly #room: ReadAheadRoom
  readonly #log: SpoolLog
  readonly #reader: SpoolReader
  /** The app's side, until its answer has ended. */
  #attempt: Attempt | undefined
  #state: State = 'through'
  #patienceMs = PATIENCE_MS
  #waitsSinceMs = 0
  #held = false
  #refused = false
  /** How the answer ends once the client has all that is held. */
  #ending: Ending | undefined = undefined
  #closed = false

  constructor(exchange: Exchange, attempt: Attempt, room: ReadAheadRoom) {
    this.#exchange = exchange
    this.#attempt = attempt
    this.#room = room
    this.#log = new SpoolLog(room.spool, this, room.maxBytes)
    this.#reader = new SpoolReader(this.#log, this)
  }

  /** Bytes of the answer. False: the app has to wait. */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#state === 'holding') {
      this.#held = true
      this.#log.append(bytes, start, end)
      return !this.#log.full
    }
    return this.#exchange.write(bytes, start, end) || this.clientSlow()
  }

  /** The client did not take all it was given. False: the app has to wait. */
  clientSlow(): boolean {
    if (this.#state === 'waiting') return false
    if (this.#patienceMs <= 0) {
      this.#state = 'holding'
      return true
    }
    this.#state = 'waiting'
    this.#waitsSinceMs = this.#room.env.clock.now()
    this.#room.env.timers.armSoon(this, this.#patienceMs)
    return false
  }

  /** No more bytes in this turn. */
  flush(): void {
    if (this.#state !== 'holding') this.#exchange.flush()
  }

  /** The client takes bytes again. */
  drained(): void {
    switch (this.#state) {
      case 'through':
        return
      case 'waiting':
        this.#patienceMs -= this.#room.env.clock.now() - this.#waitsSinceMs
        this.#room.env.timers.disarm(this)
        this.#state = 'through'
        return this.#attempt?.resumeAnswer()
      case 'holding':
        return this.#reader.resume()
    }
  }

  /** The app's answer is whole. */
  end(trailers: FieldList | undefined): void {
    this.#ends({ code: undefined, trailers })
  }

  /** It has ended with an error, which the client has to notice behind what is held. */
  fail(code: ErrorCode, detail: string): void {
    this.#ends({ code, detail })
  }

  #ends(ending: Ending): void {
    this.#attempt = undefined
    this.#ending = ending
    this.#log.settle()
    if (this.#reader.at === this.#log.end) this.#finish(this.#ending)
  }

  /** Frees everything; the client has left. */
  stop(): void {
    if (!this.#closed && this.#held && !this.#refused) this.#room.spool.count('response', 'abandoned')
    this.#close()
  }

  // Deadline.

  /** Patience is over. */
  expired(): void {
    if (this.#state !== 'waiting') return
    this.#patienceMs = 0
    this.#state = 'holding'
    this.#attempt?.resumeAnswer()
  }

  // SpoolSink.

  spoolBytes(bytes: Uint8Array, start: number, end: number): boolean {
    const goOn = this.#exchange.write(bytes, start, end)
    this.#exchange.flush()
    this.#log.forget(this.#reader.at)
    return goOn
  }

  spoolEmpty(): void {
    if (this.#ending !== undefined) this.#finish(this.#ending)
    else this.#state = 'through'
  }

  spoolUnreadable(why: string): void {
    this.spoolFailed(why)
    this.#exchange.fail('SPOOL_FAILED', why)
  }

  // SpoolLogOwner.

  spoolRoom(): void {
    this.#attempt?.resumeAnswer()
  }

  /** Nothing is lost: what could not be written is in memory, and the app waits until the client has taken it. */
  spoolFailed(why: string): void {
    this.#exchange.record.detail ??= why
    if (!this.#refused) this.#room.spool.count('response', 'full')
    this.#refused = true
  }

  #finish(ending: Ending): void {
    if (this.#held && !this.#refused)
      this.#room.spool.count('response', this.#log.usedFile ? 'file' : 'memory')
    this.#close()
    if (ending.code === undefined) this.#exchange.end(ending.trailers)
    else this.#exchange.fail(ending.code, ending.detail)
  }

  #close(): void {
    this.#closed = true
    this.#attempt = undefined
    this.#room.env.timers.disarm(this)
    this.#reader.stop()
    this.#log.close()
  }
}

/** Answers whose bytes are for now or never: the app is to feel how fast its client is. */
export function isLive(fields: FieldList): boolean {
  if (fields.first(FIELD['x-accel-buffering'])?.toLowerCase() === 'no') return true
  return fields.first(FIELD['content-type'])?.toLowerCase().startsWith('text/event-stream') === true
}
