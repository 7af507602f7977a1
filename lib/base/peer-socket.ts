import { type LookupFunction, Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'

/** Whom to connect to; `lookup` finds the addresses of a host that is a name. */
export type Peer = PeerAddress & {
  /** undefined: plain. */
  readonly tls?: PeerTls | undefined
  /** Bytes that the connection begins with, before TLS, as latin1 text: a PROXY header. */
  readonly greeting?: string | undefined
}

export type PeerAddress =
  | { readonly host: string; readonly port: number; readonly lookup?: LookupFunction | undefined }
  | { readonly path: string }

/** How TLS is spoken to a peer. */
export interface PeerTls {
  /** For the next handshake. Without an address, a socket, or what is done with its bytes. */
  options(): ConnectionOptions
  /** The peer has given a session that saves the next connection a full handshake. */
  remember(session: Buffer): void
}

/** Who waits for a connection. Exactly one of the calls is made, unless the opening is given up before. */
export interface SocketListener {
  /** Connected and, with TLS, shaken hands. No listener of ours is left on it, but one for its errors. */
  socketReady(socket: Socket): void
  /** `error`: undefined if the peer has closed. */
  socketFailed(error: Error | undefined): void
}

/**
 * A connection on its way: TCP, then what the peer is greeted with, then TLS. Its time is the caller's to
 * limit.
 */
export class SocketOpening {
  readonly #listener: SocketListener
  readonly #to: Peer
  #socket: Socket
  #error: Error | undefined = undefined
  #over = false

  /** `halfOpen`: the peer's end is not ours. */
  constructor(to: Peer, listener: SocketListener, halfOpen = true) {
    this.#listener = listener
    this.#to = to
    this.#socket = new Socket({ allowHalfOpen: halfOpen })
    this.#follow(this.#socket)
    this.#socket.setNoDelay(true)
    this.#socket.once('connect', this.#connected)
    this.#socket.connect(addressOf(to))
  }

  /** Gives it up: nobody is told any more. */
  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#socket.destroy()
  }

  readonly #connected = (): void => {
    const { tls, greeting } = this.#to
    if (greeting !== undefined) this.#socket.write(greeting, 'latin1')
    if (tls === undefined) return this.#ready()
    this.#socket.off('close', this.#closed)
    const secure = connectTls({ ...tls.options(), socket: this.#socket })
    rememberSession(secure, tls)
    secure.once('secureConnect', () => this.#ready())
    this.#socket = secure
    this.#follow(secure)
  }

  #ready(): void {
    this.#over = true
    this.#socket.off('close', this.#closed)
    this.#listener.socketReady(this.#socket)
  }

  #follow(socket: Socket): void {
    socket.on('error', error => {
      this.#error ??= error
    })
    socket.once('close', this.#closed)
  }

  readonly #closed = (): void => {
    if (this.#over) return
    this.#over = true
    this.#listener.socketFailed(this.#error)
  }
}

/** What `net.connect` wants to know. */
export function addressOf(to: PeerAddress): { path: string } | { host: string; port: number } {
  if ('path' in to) return { path: to.path }
  const { host, port, lookup } = to
  return lookup === undefined ? { host, port } : Object.assign({ host, port }, { lookup })
}

/** Under TLS 1.3 sessions come behind the handshake, and several of them. */
export function rememberSession(socket: TLSSocket, tls: PeerTls): void {
  socket.on('session', (session: Buffer) => tls.remember(session))
}
