import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { HandshakeFailure } from '../../../metrics/blocks.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { Deadline } from '../../base/timers.ts'
import type { ClientCertificate, ClientFacts, TlsFacts } from '../../http/client-facts.ts'
import type { ClientConnection } from '../connection/connection-host.ts'

export interface HandshakeOptions {
  readonly context: SecureContext
  /** ALPN names that are offered; a client that knows none of them is turned away (RFC 7301 3.2). */
  readonly protocols: readonly string[]
  /** Ask for a certificate; `required`: end without a good one. */
  readonly clients: 'required' | 'optional' | undefined
  readonly serverName: string | undefined
  /** Who is there, as far as it is known without TLS. */
  readonly client: ClientFacts
  readonly env: ThreadEnv
  /** The accept. */
  readonly startMs: number
  /** From then on. */
  readonly limitMs: number
}

export interface HandshakeOwner {
  /** Agreed. The socket is paused; nobody listens to its errors yet. */
  secured(handshake: TlsHandshake, socket: TLSSocket, facts: TlsFacts): void
  /** The connection is gone, or about to be. */
  unsecured(handshake: TlsHandshake, why: HandshakeFailure, detail: string): void
}

/**
 * The handshake on one accepted connection (RFC 8446; RFC 5246), from the client's first byte to the
 * agreement.
 */
export class TlsHandshake implements ClientConnection, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #options: HandshakeOptions
  readonly #owner: HandshakeOwner
  readonly #raw: Socket
  readonly #socket: TLSSocket
  #over = false

  constructor(raw: Socket, options: HandshakeOptions, owner: HandshakeOwner) {
    this.#options = options
    this.#owner = owner
    this.#raw = raw
    const { clients, context } = options
    this.#socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: [...options.protocols],
      requestCert: clients !== undefined,
      // A bad certificate is judged below, where its reason is still known.
      rejectUnauthorized: false,
    })
    this.#socket.on('_tlsError', (error: Error) => this.#failed('protocol', error.message))
    this.#socket.once('close', () =>
      this.#failed('closed', 'the client closed the connection during the handshake'),
    )
    this.#socket.once('secure', () => this.#agreed())
    const leftMs = options.startMs + options.limitMs - options.env.clock.now()
    options.env.timers.arm(this, Math.max(0, leftMs))
  }

  get client(): ClientFacts {
    return this.#options.client
  }

  get startMs(): number {
    return this.#options.startMs
  }

  drain(): void {}

  destroy(_code?: ErrorCode): void {
    this.#socket.destroy()
  }

  /** Nothing waits for it. */
  shedStalled(): void {}

  expired(): void {
    this.#failed('timeout', 'the handshake timed out')
  }

  #agreed(): void {
    const { clients, serverName } = this.#options
    const certificate = clients === undefined ? undefined : this.#socket.getPeerX509Certificate()
    const doubt = clients === undefined ? undefined : doubtOf(this.#socket, certificate)
    if (doubt !== undefined && (clients === 'required' || certificate !== undefined))
      return this.#failed('certificate', doubt)
    this.#finish()
    this.#socket.pause()
    // Node's tls.Server would do that.
    Reflect.set(this.#socket, 'secureConnecting', false)
    this.#owner.secured(this, this.#socket, {
      serverName,
      version: this.#socket.getProtocol() ?? '',
      cipher: this.#socket.getCipher().name,
      resumed: this.#socket.isSessionReused(),
      certificate: certificate === undefined ? undefined : certificateFacts(certificate),
      bound: clients !== undefined,
    })
  }

  #failed(why: HandshakeFailure, detail: string): void {
    // Later TLS errors have no other listener: a connection with broken records is over.
    if (this.#over) return void this.#socket.destroy()
    this.#finish()
    this.#socket.destroy()
    this.#raw.destroy()
    this.#owner.unsecured(this, why, detail)
  }

  #finish(): void {
    this.#over = true
    this.#options.env.timers.disarm(this)
  }
}

/**
 * Why the client's certificate does not count; undefined if it does. Node says so in public only where its
 * own tls.Server has accepted the connection, which would know neither what was read before, nor of several
 * certificates a listener. Should the handle not know, nobody is let in.
 */
function doubtOf(socket: TLSSocket, certificate: X509Certificate | undefined): string | undefined {
  if (certificate === undefined) return 'the client presented no certificate'
  const handle: unknown = Reflect.get(socket, '_handle')
  const ask: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'verifyError') : undefined
  if (typeof ask !== 'function') return 'the certificate cannot be verified'
  const error: unknown = ask.call(handle)
  if (error === undefined || error === null) return undefined
  return `the client certificate is invalid: ${error instanceof Error ? error.message : String(error)}`
}

function certificateFacts(certificate: X509Certificate): ClientCertificate {
  return {
    der: certificate.raw.toString('base64'),
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    serial: certificate.serialNumber,
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/**
 * RFC 4514 2.1: the last part first, with commas between. OpenSSL gives one part a line and has escaped all
 * that is special in them. Letters beyond ASCII become UTF-8 in latin1 text, as everywhere in fields.
 */
function distinguishedName(lines: string): string {
  const name = lines.split('\n').reverse().join(',')
  return Buffer.from(name, 'utf8').toString('latin1')
}
