import { createHash, createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'

/** A JSON Web Key, public part only, its members in the order that its thumbprint needs (RFC 7638 3.2). */
export type PublicJwk = Readonly<Record<string, string>>

/** The flattened form of a signed text (RFC 7515 7.2.2), as ACME wants it (RFC 8555 6.2). */
export interface SignedText {
  readonly protected: string
  readonly payload: string
  readonly signature: string
}

/** What goes under a signature beside the payload. */
export type SignedHeader = Readonly<Record<string, unknown>>

/** Members of a key that its thumbprint is made of. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
}
/** RFC 7518 3.1 */
const CURVES: Readonly<Record<string, readonly [algorithm: string, digest: string]>> = {
  'P-256': ['ES256', 'sha256'],
  'P-384': ['ES384', 'sha384'],
  'P-521': ['ES512', 'sha512'],
}

/** The public part of an account's key. Throws for kinds that ACME servers do not take. */
export function publicJwk(key: KeyObject): PublicJwk {
  const shared = key.type === 'private' ? createPublicKey(key) : key
  const jwk = shared.export({ format: 'jwk' }) as Readonly<Record<string, unknown>>
  const members = MEMBERS[String(jwk['kty'])]
  if (members === undefined) throw new Error(`an account has an EC or an RSA key, not ${jwk['kty']}`)
  return Object.fromEntries(members.map(name => [name, String(jwk[name])]))
}

/** PEM text of a private key that an account can have. */
export function isAccountKey(text: string): boolean {
  try {
    publicJwk(createPrivateKey(text))
    return true
  } catch {
    return false
  }
}

/** RFC 7638 */
export function thumbprint(jwk: PublicJwk): string {
  return createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
}

/** Signed with an account's key. `payload` undefined: a question (POST-as-GET, RFC 8555 6.3). */
export function signed(key: KeyObject, header: SignedHeader, payload: unknown): SignedText {
  const [alg, digest] = CURVES[publicJwk(key)['crv'] ?? ''] ?? ['RS256', 'sha256']
  return sealed({ alg, ...header }, payload, text => sign(digest, text, { key, dsaEncoding: 'ieee-p1363' }))
}

/** A new account's key, signed with the key of an account with the issuer (RFC 8555 7.3.4). */
export function boundTo(
  { keyId, hmacKey }: { readonly keyId: string; readonly hmacKey: string },
  url: string,
  jwk: PublicJwk,
): SignedText {
  const secret = Buffer.from(hmacKey, 'base64')
  return sealed({ alg: 'HS256', kid: keyId, url }, jwk, text =>
    createHmac('sha256', secret).update(text).digest(),
  )
}

function sealed(header: SignedHeader, payload: unknown, seal: (text: Buffer) => Buffer): SignedText {
  const head = base64url(JSON.stringify(header))
  const body = payload === undefined ? '' : base64url(JSON.stringify(payload))
  const signature = seal(Buffer.from(`${head}.${body}`, 'latin1')).toString('base64url')
  return { protected: head, payload: body, signature }
}

function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}
