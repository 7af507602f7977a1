import type { TlsFacts } from './client-facts.ts'

/**
 * What the app is told of the client's certificate, as text to write: RFC 9440, and the names that nginx's
 * users give these facts. '' where clients are not asked for one. What a client says of itself in these
 * fields never travels on (hop-by-hop.ts).
 */
export function clientCertificateText(tls: TlsFacts | undefined): string {
  if (tls === undefined || !tls.bound) return ''
  const { certificate } = tls
  if (certificate === undefined) return 'X-SSL-Client-Verify: NONE\r\n'
  return (
    `Client-Cert: :${certificate.der}:\r\nX-SSL-Client-Verify: SUCCESS\r\n` +
    `X-SSL-Client-S-DN: ${certificate.subject}\r\nX-SSL-Client-I-DN: ${certificate.issuer}\r\n` +
    `X-SSL-Client-Serial: ${certificate.serial}\r\nX-SSL-Client-Fingerprint: ${certificate.fingerprint}\r\n`
  )
}
