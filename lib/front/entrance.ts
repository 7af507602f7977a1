import type { Socket } from 'node:net'
import type { ClientFacts } from '../http/exchange.ts'
import type { ClientConnection, ConnectionHost } from './connection-host.ts'
import { Http1Connection } from './http1-connection.ts'
import { Http2Connection } from './http2-connection.ts'
import type { Opening, OpeningReader } from './opening.ts'

/** What a client with prior knowledge of HTTP/2 says first (RFC 9113 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** What the entrance needs of its listener. */
export interface EntranceHost extends ConnectionHost {
  /** The opening has become this connection. */
  entered(opening: Opening, connection: ClientConnection): void
}

/** Finds out what the connections of one listener speak, and makes them. */
export class Entrance implements OpeningReader {
  readonly #host: EntranceHost

  constructor(host: EntranceHost) {
    this.#host = host
  }

  /** False: every connection speaks HTTP/1, and nothing needs to be found out. */
  get asks(): boolean {
    return this.#host.config.h2c
  }

  opened(opening: Opening, bytes: Buffer): boolean {
    const preface = isPreface(bytes)
    if (preface === undefined) return false
    if (preface) this.#enterHttp2(opening, opening.release(0), opening.client)
    else this.#enterHttp1(opening, bytes, opening.client)
    return true
  }

  abandoned(opening: Opening): void {
    this.#host.closed(opening)
  }

  #enterHttp2(opening: Opening, socket: Socket, client: ClientFacts): void {
    this.#host.entered(opening, new Http2Connection(socket, client, this.#host))
  }

  #enterHttp1(opening: Opening, bytes: Buffer, client: ClientFacts): void {
    const connection = new Http1Connection(opening.release(bytes.length), client, this.#host)
    this.#host.entered(opening, connection)
    connection.streamBytes(bytes, bytes.length)
  }
}

/** undefined while it may still become one. */
function isPreface(bytes: Buffer): boolean | undefined {
  const size = Math.min(bytes.length, PREFACE.length)
  if (bytes.compare(PREFACE, 0, size, 0, size) !== 0) return false
  return size === PREFACE.length ? true : undefined
}
