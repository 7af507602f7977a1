import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2'
import type { FieldList } from '../http/field-list.ts'
import { type HeaderPairs, trailerHeaders } from './http2-answer.ts'

/** Whose answer it is. */
export interface OutputOwner {
  /** Node takes the head for one that HTTP/2 cannot carry. */
  outputRefused(detail: string): void
  /** The client takes bytes again, after it was said to be slow. */
  outputDrained(): void
}

interface OutputStream extends ServerHttp2Stream {
  causewayOutput?: Http2Output
}

/** Bytes that may wait for one client before its app has to. */
const HIGH_WATER = 64 * 1024

// Read by Node and never changed.
const ALONE: ServerStreamResponseOptions = { endStream: true }
const WITH_BODY: ServerStreamResponseOptions = {}
/** Node resets with INTERNAL_ERROR for it. */
const CUT = new Error('the answer is cut')
const WITH_TRAILERS: ServerStreamResponseOptions = { waitForTrailers: true }

/**
 * What leaves on one stream: a head and a body, in as few frames as the turn allows. The head is held until there are bytes to go with it, and
 * the last bytes until it is known whether the stream ends with them. Calls on a stream that is gone do nothing.
 */
export class Http2Output {
  readonly #stream: OutputStream
  readonly #owner: OutputOwner
  /** A head that was given and has not left. */
  #head: HeaderPairs | undefined = undefined
  #held: Buffer | undefined = undefined
  /** No body may be sent. */
  #alone = false
  /** The client reads what comes behind a body. */
  #mayTrail = false
  #trails = false
  /** The owner was told to wait. */
  #waiting = false
  #listens = false
  /** Bytes that waited at the last look, and since when it is that many. */
  #unsent = 0
  #unsentSinceMs = 0

  constructor(stream: ServerHttp2Stream, owner: OutputOwner) {
    this.#stream = stream
    this.#owner = owner
  }

  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  /** Gives the head. `alone`: no body may follow it. `mayTrail`: if trailers do, they are read. */
  begin(head: HeaderPairs, alone: boolean, mayTrail: boolean): void {
    this.#head = head
    this.#alone = alone
    this.#mayTrail = mayTrail
  }

  /** Bytes that nobody will change any more. False: the client is slow, wait for `outputDrained`. */
  put(bytes: Buffer): boolean {
    const before = this.#held
    if (before !== undefined) this.flush()
    this.#held = bytes
    if (this.#stream.writableLength + bytes.length < HIGH_WATER) return true
    this.flush()
    return this.#goesOn()
  }

  /** Sends what was given so far. */
  flush(): void {
    const head = this.#head
    if (head !== undefined) {
      this.#trails = this.#mayTrail && !this.#alone
      if (this.#alone) this.#respond(head, ALONE)
      else this.#respond(head, this.#trails ? WITH_TRAILERS : WITH_BODY)
    }
    const held = this.#held
    this.#held = undefined
    if (held !== undefined && !this.#isGone) this.#stream.write(held)
  }

  /** The answer is complete. */
  end(trailers: FieldList | undefined): void {
    const head = this.#head
    const held = this.#held
    this.#held = undefined
    if (head !== undefined) {
      if (this.#alone || (held === undefined && trailers === undefined)) return this.#respond(head, ALONE)
      this.#trails = trailers !== undefined
      this.#respond(head, this.#trails ? WITH_TRAILERS : WITH_BODY)
    }
    if (this.#alone || this.#isGone) return
    if (this.#trails && trailers !== undefined) sendTrailers(this.#stream, trailers)
    this.#stream.end(held)
  }

  /** Sends a head at once, with no end in sight: from now on there are bytes of another protocol. */
  open(head: HeaderPairs): void {
    this.#respond(head, WITH_BODY)
  }

  /** Such bytes: they leave at once. False: the client is slow. */
  pass(bytes: Buffer): boolean {
    if (this.#isGone) return true
    this.#stream.write(bytes)
    return this.#goesOn()
  }

  inform(headers: Record<string, number | string | string[]>): void {
    if (this.#isGone) return
    try {
      this.#stream.additionalHeaders(headers)
    } catch {
      // An interim answer may be left out.
    }
  }

  /** Resets the stream: the client can tell that from an answer that has ended. */
  cut(code: number): void {
    this.#head = undefined
    this.#held = undefined
    // Node closes a stream by ending it first: where nothing waits to be sent, END_STREAM would go out before the reset.
    if (this.#stream.headersSent) this.#stream.destroy(CUT)
    else this.#stream.close(code)
  }

  /** To be asked now and then. True: for so long the client has taken nothing of what waits for it. */
  isStalled(nowMs: number, limitMs: number): boolean {
    const unsent = this.#stream.writableLength
    if (unsent !== 0 && unsent === this.#unsent) return nowMs - this.#unsentSinceMs >= limitMs
    this.#unsent = unsent
    this.#unsentSinceMs = nowMs
    return false
  }

  /** Grants a new term. */
  excuse(nowMs: number): void {
    this.#unsentSinceMs = nowMs
  }

  // What the stream's events call.

  drained(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.#owner.outputDrained()
  }

  #respond(head: HeaderPairs, options: ServerStreamResponseOptions): void {
    this.#head = undefined
    if (this.#isGone) return
    try {
      this.#stream.respond(head, options)
    } catch (error) {
      // It cannot come of what was checked; but a throw would go past everybody.
      this.#owner.outputRefused(error instanceof Error ? error.message : String(error))
    }
  }

  #goesOn(): boolean {
    if (this.#stream.writableLength < HIGH_WATER || this.#isGone) return true
    this.#waiting = true
    if (!this.#listens) {
      this.#listens = true
      this.#stream.causewayOutput = this
      this.#stream.on('drain', onDrain)
    }
    return false
  }
}

function sendTrailers(stream: ServerHttp2Stream, fields: FieldList): void {
  stream.once('wantTrailers', () => {
    try {
      stream.sendTrailers(trailerHeaders(fields))
    } catch {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    }
  })
}

function onDrain(this: OutputStream): void {
  this.causewayOutput?.drained()
}
