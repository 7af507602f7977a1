import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { readIntoShared } from '../base/shared-read.ts'
import type { FrameFault, FrameSink } from '../wire/http2-frame-watch.ts'
import { FrameWatch } from '../wire/http2-frame-watch.ts'

interface NativeSession {
  receive(bytes: Uint8Array): void
}

/**
 * Stands between a client's socket and node:http2, in the direction of reading only: what the client sends is looked at by a `FrameWatch`, then
 * handed to the session in the way that Node hands it bytes that a socket had read before (Http2Session's `receive`). What the session
 * writes goes its own way: a Duplex around the socket, the public way to come between, costs 20 microseconds a request.
 */
export class Http2Tap implements FrameSink {
  readonly watch: FrameWatch = new FrameWatch(this)
  readonly #session: ServerHttp2Session
  readonly #sent: (stream: number) => number
  readonly #fault: (fault: FrameFault) => void
  #native: NativeSession | undefined
  #faulty = false

  /** `sent`: bytes of DATA given out on a stream so far. `fault` is called once; nothing more is read then. */
  constructor(
    session: ServerHttp2Session,
    sent: (stream: number) => number,
    fault: (fault: FrameFault) => void,
  ) {
    this.#session = session
    this.#sent = sent
    this.#fault = fault
  }

  /** Comes between; false where this Node offers no way: the session then reads by itself, and is only as strict as Node. */
  attach(socket: Socket): boolean {
    this.#native = nativeOf(this.#session)
    if (this.#native === undefined) return false
    return readIntoShared(socket, (size, bytes) => {
      this.#arrived(bytes, size)
      return true
    })
  }

  // FrameSink.

  frames(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#session.destroyed) this.#native?.receive(bytes.subarray(start, end))
  }

  sentOn(stream: number): number {
    return this.#sent(stream)
  }

  #arrived(bytes: Uint8Array, size: number): void {
    if (this.#faulty || this.#session.destroyed) return
    const fault = this.watch.read(bytes, size)
    if (fault === undefined) return
    this.#faulty = true
    this.#fault(fault)
  }
}

/** Not public API: found by what it can do. */
function nativeOf(session: ServerHttp2Session): NativeSession | undefined {
  for (const symbol of Object.getOwnPropertySymbols(session)) {
    const value: unknown = Reflect.get(session, symbol)
    if (isNative(value)) return value
  }
  return undefined
}

function isNative(value: unknown): value is NativeSession {
  if (typeof value !== 'object' || value === null) return false
  return (
    typeof Reflect.get(value, 'receive') === 'function' && typeof Reflect.get(value, 'consume') === 'function'
  )
}
