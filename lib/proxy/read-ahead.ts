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
  /**
   * Bytes of one answer; 0: what has been read when the client turns out to be slow waits for it, and the app
   * with it.
   */
  readonly maxBytes: number
}

/**
 * How long, all in all, the app may have to wait for a client before its answer is taken ahead. Fast clients
 * never see a file.
 */
const PATIENCE_MS = 3
/** How often an app that waits for its client is looked at while memory is short. */
const TIGHT_LOOK_MS = 100

/**
 * through: bytes go straight to the client. waiting: the client is slow, and the app waits for it; the rest
 * of what was read lies here. holding: the app goes on, its bytes wait here.
 */
type State = 'through' | 'waiting' | 'holding'
type Ending =
  | { readonly code: undefined; readonly trailers: FieldList | undefined }
  | { readonly code: ErrorCode; readonly detail: string }

/**
 * An answer on its way to a client that has shown itself slow: taken from the app as fast as it comes, so
 * that slot, connection and worker come free, and given to the client as fast as it takes it. Where there is
 * no more room the app waits for the client, as it would without.
 */
export class ReadAhead implements SpoolSink, SpoolLogOwner, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
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

  constructor(exchange: Exchange, attempt: Attempt | undefined, room: ReadAheadRoom) {
    this.#exchange = exchange
    this.#attempt = attempt
    this.#room = room
    const { spool, maxBytes } = room
    this.#log = new SpoolLog(spool, this, { maxBytes, expected: undefined, kind: 'passing' })
    this.#reader = new SpoolReader(this.#log, this)
  }

  /** Bytes of the answer. False: the app has to wait. */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#state !== 'through') return this.#keep(bytes, start, end)
    const at = this.#exchange.offer(bytes, start, end)
    return at === end || this.clientSlow(bytes, at, end)
  }

  /** The client does not take bytes[start, end) now. False: the app has to wait. */
  clientSlow(bytes: Uint8Array, start: number, end: number): boolean {
    const { spool, maxBytes } = this.#room
    if (maxBytes > 0 && this.#patienceMs <= 0 && !spool.pressure.tight) this.#state = 'holding'
    else this.#wait()
    return this.#keep(bytes, start, end)
  }

  #keep(bytes: Uint8Array, start: number, end: number): boolean {
    this.#log.append(bytes, start, end)
    if (this.#state !== 'holding') return false
    this.#held = true
    return !this.#log.full
  }

  #wait(): void {
    this.#state = 'waiting'
    this.#waitsSinceMs = this.#room.env.clock.now()
    if (this.#room.maxBytes > 0) this.#room.env.timers.armSoon(this, Math.max(0, this.#patienceMs))
  }

  /** No more bytes in this turn. */
  flush(): void {
    if (this.#state !== 'holding') this.#exchange.flush()
  }

  /** The client takes bytes again: first what lies here. */
  drained(): void {
    if (this.#state !== 'through') this.#reader.resume()
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
    this.#room.env.timers.disarm(this)
    this.#log.settle()
    if (this.#reader.at === this.#log.end) this.#finish(this.#ending)
  }

  /** Frees everything; the client has left. */
  stop(): void {
    if (!this.#closed && this.#held && !this.#refused) this.#room.spool.count('response', 'abandoned')
    this.#close()
  }

  // Deadline.

  /** Patience is over. Where memory is short the app waits on: what it would give had no place. */
  expired(): void {
    if (this.#state !== 'waiting') return
    const { spool, env } = this.#room
    if (spool.pressure.tight) return env.timers.arm(this, TIGHT_LOOK_MS)
    this.#patienceMs = 0
    this.#state = 'holding'
    this.#held = true
    if (!this.#log.full) this.#attempt?.resumeAnswer()
  }

  // SpoolSink.

  spoolBytes(bytes: Uint8Array, start: number, end: number): number {
    const at = this.#exchange.offer(bytes, start, end)
    this.#exchange.flush()
    return at
  }

  spoolTaken(): void {
    this.#log.forget(this.#reader.at)
  }

  /** The client has caught up. */
  spoolEmpty(): void {
    if (this.#ending !== undefined) return this.#finish(this.#ending)
    const waited = this.#state === 'waiting'
    this.#state = 'through'
    if (!waited) return
    this.#patienceMs -= this.#room.env.clock.now() - this.#waitsSinceMs
    this.#room.env.timers.disarm(this)
    this.#attempt?.resumeAnswer()
  }

  spoolUnreadable(why: string): void {
    this.spoolFailed(why)
    this.#exchange.fail('SPOOL_FAILED', why)
  }

  // SpoolLogOwner.

  spoolFull(): void {
    if (this.#state === 'holding') this.#attempt?.pauseAnswer?.()
  }

  spoolRoom(): void {
    if (this.#state !== 'waiting') this.#attempt?.resumeAnswer()
  }

  /**
   * Nothing is lost: what could not be written is in memory, and the app waits until the client has taken it.
   */
  spoolFailed(why: string): void {
    this.#exchange.record.detail ??= why
    if (!this.#refused) this.#room.spool.count('response', 'full')
    this.#refused = true
  }

  /** Clients that do not take what they asked for are the first to go when memory is short. */
  spoolLost(why: string): void {
    this.spoolUnreadable(why)
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
  if (fields.rawFirst(FIELD['x-accel-buffering'])?.toLowerCase() === 'no') return true
  return fields.first(FIELD['content-type'])?.toLowerCase().startsWith('text/event-stream') === true
}
