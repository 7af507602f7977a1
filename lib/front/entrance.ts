import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { HandshakeFailure, HandshakeResult } from '../../metrics/blocks.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { ClientFacts, TlsFacts } from '../http/client-facts.ts'
import type { TunnelTarget } from '../proxy/tunnel.ts'
import { type ClientHello, readClientHello } from '../wire/client-hello.ts'
import { type ProxyHeader, readProxyHeader } from '../wire/proxy-protocol.ts'
import type { ClientConnection, ConnectionHost } from './connection/connection-host.ts'
import { refusalText, refusedFacts } from './connection/refusal.ts'
import { Http1Connection } from './http1/http1-connection.ts'
import { Http2Connection } from './http2/http2-connection.ts'
import { Leaving } from './leaving.ts'
import type { Opening, OpeningReader } from './opening.ts'
import type { TlsContexts } from './tls/tls-contexts.ts'
import { type HandshakeOwner, TlsHandshake } from './tls/tls-handshake.ts'
import { TlsTunnel, type TunnelStart } from './tls/tls-tunnel.ts'

/** What a client with prior knowledge of HTTP/2 says first (RFC 9113 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
/** Asked for by ACME servers that look at a challenge, and by nobody else (RFC 8737 6.2). */
const ACME_PROTOCOL = 'acme-tls/1'
/** A fatal alert that there is no certificate for the name: unrecognized_name (RFC 8446 6.2). */
const NO_SUCH_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/** What the entrance needs of its listener. */
export interface EntranceHost extends ConnectionHost {
  /** undefined while the listener has no certificates. */
  readonly tls: TlsContexts | undefined
  /** The connection has become another. */
  entered(before: ClientConnection, connection: ClientConnection): void
  /** The client behind a proxy that names it. */
  clientBehind(proxy: ClientFacts, source: { readonly address: string; readonly port: number }): ClientFacts
  handshakeEnded(result: HandshakeResult): void
  /** The tunnel that takes clients of this name, undecrypted; undefined if none does. */
  tunnelFor(serverName: string | undefined): TunnelTarget | undefined
}

/** Finds out what the connections of one listener speak, and makes them. */
export class Entrance implements OpeningReader, HandshakeOwner {
  readonly #host: EntranceHost

  constructor(host: EntranceHost) {
    this.#host = host
  }

  /** False: every connection speaks HTTP/1, and nothing needs to be found out. */
  get asks(): boolean {
    const { tls, h2c, proxyProtocol } = this.#host.config
    return tls !== undefined || h2c || proxyProtocol
  }

  // OpeningReader.

  opened(opening: Opening, bytes: Buffer): boolean {
    const { proxyProtocol, tls, h2c } = this.#host.config
    let at = 0
    let { client } = opening
    if (proxyProtocol) {
      if (!client.trusted) return this.#refuse(opening, 'proxy-peer', bytes)
      const header = readProxyHeader(bytes, 0, bytes.length)
      if (header === undefined) return false
      if ('refused' in header) return this.#refuse(opening, header.refused, bytes)
      at = header.size
      client = this.#clientOf(client, header)
      if (at === bytes.length) return false
    }
    if (tls !== undefined) return this.#openTls(opening, client, bytes, at)
    const preface = h2c ? isPreface(bytes, at) : false
    if (preface === undefined) return false
    // All is taken: what is put back does not come through the reads of a ByteStream.
    if (preface)
      this.#enterHttp2(opening, opening.release(bytes.length), client, Buffer.from(bytes.subarray(at)))
    else this.#enterHttp1(opening, opening.release(bytes.length), client, bytes.subarray(at))
    return true
  }

  abandoned(opening: Opening, why: 'closed' | 'timeout' | 'too-long', bytes: Buffer): void {
    // Load balancers connect and close to see whether somebody is there: that is no mistake.
    if (bytes.length > 0 && why !== 'closed') this.#record(opening, 'CLIENT_TIMEOUT', `opening-${why}`, bytes)
    this.#host.closed(opening)
  }

  // HandshakeOwner.

  secured(handshake: TlsHandshake, socket: TLSSocket, facts: TlsFacts): void {
    const client: ClientFacts = { ...handshake.client, scheme: 'https', tls: facts }
    this.#host.handshakeEnded(facts.resumed ? 'resumed' : 'full')
    if (socket.alpnProtocol === ACME_PROTOCOL) {
      // The certificate was all that it wanted to see (RFC 8737 3).
      socket.end()
      return this.#leave(handshake, socket)
    }
    const early: Buffer | null = socket.read()
    if (socket.alpnProtocol === 'h2') return this.#enterHttp2(handshake, socket, client, early ?? undefined)
    this.#enterHttp1(handshake, socket, client, early ?? undefined)
  }

  unsecured(handshake: TlsHandshake, why: HandshakeFailure, detail: string): void {
    this.#host.handshakeEnded(why)
    // An operator looks for these, and each took its sender a whole handshake; of the others there could be
    // floods.
    if (why === 'certificate') this.#record(handshake, 'BAD_REQUEST', detail)
    this.#host.closed(handshake)
  }

  #clientOf(proxy: ClientFacts, header: ProxyHeader): ClientFacts {
    switch (header.kind) {
      case 'local':
        return proxy
      case 'proxied':
        return this.#host.clientBehind(proxy, header.source)
      case 'unknown':
        return { ...proxy, peerAddress: '', peerPort: 0, trusted: false }
    }
  }

  #openTls(opening: Opening, client: ClientFacts, bytes: Buffer, at: number): boolean {
    const hello = readClientHello(bytes, at, bytes.length)
    if (hello === undefined) return false
    if ('refused' in hello) return this.#refuse(opening, hello.refused, bytes)
    const { serverName } = hello
    const target = this.#host.tunnelFor(serverName)
    if (target !== undefined) {
      const { startMs } = opening
      this.#passOn(opening, { client, startMs, serverName, target }, bytes, at)
      return true
    }
    const context = this.#contextFor(hello)
    const socket = opening.release(at)
    if (context === undefined) {
      this.#host.handshakeEnded('no_certificate')
      socket.end(NO_SUCH_NAME)
      this.#leave(opening, socket)
      return true
    }
    const { config, env } = this.#host
    const acme = isChallenge(hello)
    const options = {
      context,
      protocols: acme ? [ACME_PROTOCOL] : config.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      clients: acme ? undefined : config.mtls?.mode,
      serverName,
      client,
      env,
      startMs: opening.startMs,
      limitMs: config.timeouts.handshakeMs,
    } as const
    this.#enter(opening, new TlsHandshake(socket, options, this))
    return true
  }

  #passOn(opening: Opening, start: TunnelStart, bytes: Buffer, at: number): void {
    // All is taken: what is put back does not come through the reads of a ByteStream.
    const tunnel = new TlsTunnel(opening.release(bytes.length), start, this.#host)
    this.#enter(opening, tunnel)
    tunnel.begin(bytes.subarray(at))
  }

  #contextFor(hello: ClientHello) {
    const { tls, config } = this.#host
    if (isChallenge(hello)) return tls?.challengeFor(hello.serverName)
    // Their authorities cannot be read: then nobody can be let in.
    if (config.mtls !== undefined && tls?.asksClients !== true) return undefined
    return tls?.contextFor(hello.serverName)
  }

  #enter(before: ClientConnection, connection: ClientConnection): void {
    this.#host.entered(before, connection)
  }

  #enterHttp1(
    before: ClientConnection,
    socket: Socket,
    client: ClientFacts,
    early: Buffer | undefined,
  ): void {
    const connection = new Http1Connection(socket, client, this.#host)
    this.#enter(before, connection)
    if (early !== undefined && early.length > 0) connection.streamBytes(early, early.length)
  }

  #enterHttp2(
    before: ClientConnection,
    socket: Socket,
    client: ClientFacts,
    early: Buffer | undefined,
  ): void {
    this.#enter(before, new Http2Connection(socket, client, this.#host, early))
  }

  /** What is no TLS, or has no PROXY header, is most often HTTP: it gets an answer that it can read. */
  #refuse(opening: Opening, detail: string, bytes: Buffer): true {
    const requestId = this.#record(opening, 'BAD_REQUEST', detail, bytes)
    const socket = opening.release(bytes.length)
    socket.end(refusalText('BAD_REQUEST', requestId, this.#host.date.text()))
    this.#leave(opening, socket)
    return true
  }

  /**
   * What the client still sends is dropped until it has closed, so that no reset takes the last word from its
   * hands.
   */
  #leave(connection: ClientConnection, socket: Socket): void {
    this.#enter(connection, new Leaving(socket, this.#host))
  }

  #record(from: Opening | TlsHandshake, code: ErrorCode, detail: string, bytes?: Buffer): string {
    const host = this.#host
    const requestId = host.requestIds.next()
    const size = bytes?.length ?? 0
    host.refused(refusedFacts(from.client, { requestId, startMs: from.startMs, code, detail, bytesIn: size }))
    return requestId
  }
}

function isChallenge({ protocols }: ClientHello): boolean {
  return protocols.length === 1 && protocols[0] === ACME_PROTOCOL
}

/** undefined while it may still become one. */
function isPreface(bytes: Buffer, at: number): boolean | undefined {
  const size = Math.min(bytes.length - at, PREFACE.length)
  if (bytes.compare(PREFACE, 0, size, at, at + size) !== 0) return false
  return size === PREFACE.length ? true : undefined
}
