/** The other end of the connection, before anything it says. */
export interface ClientFacts {
  /**
   * Address of the socket's other end, or whom a PROXY header names. '' on a unix socket, and where the
   * header names nobody.
   */
  readonly peerAddress: string
  readonly peerPort: number
  /** True if the peer is in the listener's trusted_proxies. */
  readonly trusted: boolean
  readonly listener: string
  /** What this listener itself speaks. */
  readonly scheme: 'http' | 'https'
  /** Address of the socket's own end. '' on a unix socket. */
  readonly localAddress: string
  /** Port the listener is bound to; 0 on a unix socket. */
  readonly localPort: number
  /** undefined without TLS. */
  readonly tls: TlsFacts | undefined
}

/** What a TLS handshake has agreed on. */
export interface TlsFacts {
  /** Lower case; undefined if the client named none (SNI). */
  readonly serverName: string | undefined
  /** `TLSv1.3` */
  readonly version: string
  readonly cipher: string
  /** An earlier session was taken up again, which spares both sides most of the work. */
  readonly resumed: boolean
  /** The certificate that the client has shown, and that is good; undefined if it has shown none. */
  readonly certificate: ClientCertificate | undefined
  /**
   * The listener asks for client certificates, so a request for another host than `serverName` is not for
   * this connection (421).
   */
  readonly bound: boolean
}

export interface ClientCertificate {
  /** DER in base64. */
  readonly der: string
  /** RFC 4514. */
  readonly subject: string
  readonly issuer: string
  /** Hexadecimal. */
  readonly serial: string
  /** SHA-256, lower-case hexadecimal without colons. */
  readonly fingerprint: string
}
