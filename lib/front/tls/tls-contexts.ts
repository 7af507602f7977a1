import { createHash } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { KeyPair } from '../../base/key-pair.ts'
import type { ListenerCertificates, TlsState } from './tls-state.ts'

/**
 * Those of Mozilla's "intermediate" that need no Diffie-Hellman parameters: forward secrecy and authenticated
 * encryption only.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/**
 * SSL_OP_NO_RENEGOTIATION of OpenSSL, which Node's constants lack: a client could make us sign over and over
 * on one connection (CVE-2011-1473).
 */
const NO_RENEGOTIATION = 0x40000000

/**
 * What one listener shows its clients. Built whole when certificates change; a context is made when it is
 * first asked for.
 */
export class TlsContexts {
  readonly #certificates: ListenerCertificates
  readonly #challenges: readonly KeyPair[]
  readonly #ticketKeys: Buffer
  readonly #sessionContext: string
  readonly #contexts = new Map<string, SecureContext>()

  constructor(
    certificates: ListenerCertificates,
    { ticketKeys, challenges }: Pick<TlsState, 'ticketKeys' | 'challenges'>,
  ) {
    const { listener, clientCa = '' } = certificates
    this.#certificates = certificates
    this.#challenges = challenges.alpn
    // A session counts only where it was made: another listener may ask for other client certificates.
    const tag = `${listener}\n${clientCa}`
    this.#ticketKeys = createHash('sha384').update(ticketKeys).update(tag).digest()
    this.#sessionContext = createHash('sha256').update(tag).digest('hex').slice(0, 32)
  }

  /** The listener asks its clients for certificates. */
  get asksClients(): boolean {
    return this.#certificates.clientCa !== undefined
  }

  /** For a client that asks for this name; undefined if there is no certificate at all. */
  contextFor(serverName: string | undefined): SecureContext | undefined {
    const pairs = pairsFor(serverName, this.#certificates.pairs)
    if (pairs.length === 0) return undefined
    const key = pairs.map(pair => this.#certificates.pairs.indexOf(pair)).join()
    const known = this.#contexts.get(key)
    if (known !== undefined) return known
    const context = this.#create(pairs)
    this.#contexts.set(key, context)
    return context
  }

  /** For an ACME server that looks whether the name is ours; undefined if nobody has asked it to. */
  challengeFor(serverName: string | undefined): SecureContext | undefined {
    const pair = this.#challenges.find(({ names }) => serverName !== undefined && names.includes(serverName))
    return pair === undefined ? undefined : createSecureContext({ cert: pair.certificate, key: pair.key })
  }

  #create(pairs: readonly KeyPair[]): SecureContext {
    const { clientCa } = this.#certificates
    return createSecureContext({
      cert: pairs.map(({ certificate }) => certificate),
      key: pairs.map(({ key }) => key),
      ...(clientCa === undefined ? {} : { ca: clientCa }),
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      secureOptions: NO_RENEGOTIATION,
      sessionIdContext: this.#sessionContext,
      ticketKeys: this.#ticketKeys,
    })
  }
}

/**
 * The certificates for a name: those that name it, else those for every name of its domain (RFC 6125 6.4.3),
 * else the listener's first. Several, because there may be one for RSA and one for ECDSA: OpenSSL takes the
 * one that the client can read. Of each kind it has one place, and refuses a key that does not fit what
 * stands there: the first of a kind counts.
 */
export function pairsFor(serverName: string | undefined, pairs: readonly KeyPair[]): readonly KeyPair[] {
  const found = allPairsFor(serverName, pairs)
  return found.filter(({ keyType }, i) => found.findIndex(pair => pair.keyType === keyType) === i)
}

function allPairsFor(serverName: string | undefined, pairs: readonly KeyPair[]): readonly KeyPair[] {
  if (serverName !== undefined) {
    const exact = pairs.filter(({ names }) => names.includes(serverName))
    if (exact.length > 0) return exact
    const dot = serverName.indexOf('.')
    const wildcard = dot < 0 ? undefined : `*${serverName.slice(dot)}`
    const below = wildcard === undefined ? [] : pairs.filter(({ names }) => names.includes(wildcard))
    if (below.length > 0) return below
  }
  const [first] = pairs
  if (first === undefined) return []
  const names = first.names.join()
  return pairs.filter(pair => pair.names.join() === names)
}
