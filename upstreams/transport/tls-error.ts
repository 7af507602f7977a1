/**
 * What a failed TLS handshake means, in words that say where to look; undefined if the error is not one of
 * TLS.
 */
export function tlsReasonOf(error: Error): string | undefined {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return misnamed(error)
  const words = WORDS[code]
  if (words !== undefined) return words
  if (code === 'ECONNRESET' && 'host' in error) return 'closed the connection during the TLS handshake'
  const alert = alertOf(error)
  if (alert !== undefined) return ALERTS.get(alert) ?? `rejects the TLS handshake (alert ${alert})`
  return code.startsWith('ERR_SSL_') ? `the TLS handshake failed: ${error.message}` : undefined
}

/**
 * Is this the endpoint's refusal of our part of the handshake? Under TLS 1.3 that arrives behind our first
 * bytes, which it has then not read: it has no keys for them before it takes our certificate.
 */
export function refusesHandshake(error: Error): boolean {
  const alert = alertOf(error)
  return alert !== undefined && ALERTS.has(alert)
}

/**
 * The endpoint's alert (RFC 8446 6). The codes of Node are called otherwise from one version of OpenSSL to
 * the next.
 */
function alertOf(error: Error): number | undefined {
  const alert = /SSL alert number (\d+)/.exec(error.message)?.[1]
  return alert === undefined ? undefined : Number(alert)
}

const UNTRUSTED = 'was issued by an untrusted CA: specify it with tls.ca'
const CLIENT_CERTIFICATE = 'set tls.certificate and tls.key'

const WORDS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate has been revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed: specify it with tls.ca',
  SELF_SIGNED_CERT_IN_CHAIN: `its certificate ${UNTRUSTED}`,
  UNABLE_TO_GET_ISSUER_CERT: `its certificate ${UNTRUSTED}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `its certificate ${UNTRUSTED}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `its certificate ${UNTRUSTED}, or it sends no intermediate certificates`,
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is invalid',
  CERT_UNTRUSTED: `its certificate ${UNTRUSTED}`,
  INVALID_CA: 'its certificate was issued by a certificate that is not a CA',
  INVALID_PURPOSE: 'its certificate is not valid for servers',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not support TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'does not support TLS',
  ERR_SSL_RECORD_LAYER_FAILURE: 'does not support TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'supports no TLS version newer than 1.1',
}

/** Those of a handshake. */
const ALERTS: ReadonlyMap<number, string> = new Map([
  [40, `rejects the TLS handshake; if it requires a client certificate, ${CLIENT_CERTIFICATE}`],
  [42, 'rejects our certificate (tls.certificate)'],
  [43, 'rejects our certificate (tls.certificate): unsupported type'],
  [44, 'rejects our certificate (tls.certificate), which has been revoked'],
  [45, 'rejects our certificate (tls.certificate), which has expired'],
  [46, 'rejects our certificate (tls.certificate)'],
  [48, 'does not trust the issuer of our certificate (tls.certificate)'],
  [49, 'denies access with our certificate (tls.certificate)'],
  [70, 'supports neither TLS 1.2 nor TLS 1.3'],
  [71, 'requires stronger ciphers than we offer'],
  [112, 'has no certificate for the requested name: set tls.server_name'],
  [116, `requires a client certificate: ${CLIENT_CERTIFICATE}`],
  [120, 'does not support this version of HTTP over TLS (ALPN)'],
])

function misnamed(error: Error): string {
  const asked = 'host' in error ? ` ${String(error.host)}` : ' that we request'
  const certificate = 'cert' in error ? (error.cert as { readonly subjectaltname?: string }) : undefined
  const names = certificate?.subjectaltname?.replaceAll(/DNS:|IP Address:/g, '').slice(0, 200)
  const instead = names === undefined || names === '' ? '' : `, only ${names}`
  return `its certificate does not cover the name${asked}${instead}: set tls.server_name`
}
