import { Duplex } from 'node:stream'
import type { ClientWebSocket } from '../http/exchange.ts'

/** Who owns a leg. */
export interface LegOwner {
  /**
   * The app's switch, as the library would send it to the client. Gives the way to the client; undefined if
   * it is not to be: then the owner has destroyed the leg.
   */
  switched(head: Buffer): ClientWebSocket | undefined
  /** Bytes of the app are on their way to the client. */
  passed(bytes: Buffer): void
}

/**
 * Stands for the client's socket where http-proxy-3 wants one. The library writes a head of its own making
 * first: that goes no further than to the owner. From then on it carries bytes, with back-pressure both ways,
 * and ends as its two sides end.
 */
export class WebSocketLeg extends Duplex {
  readonly #owner: LegOwner
  #client: ClientWebSocket | undefined = undefined
  /** What to call when the client takes bytes again. */
  #written: (() => void) | undefined = undefined

  constructor(owner: LegOwner) {
    // Node reads heads as latin1; the library writes its text without saying how.
    super({ defaultEncoding: 'latin1' })
    this.#owner = owner
  }

  /** Bytes of the client; they are copied. */
  feed(bytes: Uint8Array, start: number, end: number): void {
    if (!this.push(Buffer.from(bytes.subarray(start, end)))) this.#client?.pause()
  }

  /** The client sends no more. */
  feedEnd(): void {
    this.push(null)
  }

  /**
   * The app is gone: what the client has sent and still sends is taken and dropped, so that its end is heard.
   */
  dropInput(): void {
    this.unpipe()
    this.resume()
  }

  /** The client takes bytes again. */
  drained(): void {
    const written = this.#written
    this.#written = undefined
    written?.()
  }

  override _read(): void {
    this.#client?.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#client === undefined) {
      this.#client = this.#owner.switched(bytes)
      return done()
    }
    this.#owner.passed(bytes)
    if (this.#client.write(bytes)) done()
    else this.#written = done
  }

  override _final(done: () => void): void {
    this.#client?.endOutput()
    done()
  }

  // What else the library asks of a socket: options that our sockets have already, and to give up when the
  // app's socket fails. The owner watches that socket itself, and what has passed is still to reach the
  // client.

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  destroySoon(): void {}
}
