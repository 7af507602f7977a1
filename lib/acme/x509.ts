import {
  createHash,
  createPublicKey,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { promisify } from 'node:util'
import { element, objectId, TAG } from './der.ts'

/** Keys of certificates that are ordered. */
export type KeyType = 'ecdsa' | 'rsa'

const makeKeyPair = promisify(generateKeyPair)
const RSA_BITS = 2048
const DAY_MS = 86_400_000
/** RFC 5758 3.2, RFC 8017 A.2.4 with the NULL that it wants. */
const ECDSA_SHA256 = element(TAG.sequence, objectId('1.2.840.10045.4.3.2'))
const RSA_SHA256 = element(TAG.sequence, objectId('1.2.840.113549.1.1.11'), element(TAG.null))
const EXTENSION_REQUEST = objectId('1.2.840.113549.1.9.14')
const ALTERNATIVE_NAME = objectId('2.5.29.17')
const ACME_IDENTIFIER = objectId('1.3.6.1.5.5.7.1.31')
const COMMON_NAME = objectId('2.5.4.3')
const TRUE = element(TAG.boolean, Buffer.from([0xff]))

/** A new private key for a certificate. Made by a thread of libuv's pool: RSA takes its time. */
export async function newKey(type: KeyType): Promise<KeyObject> {
  return type === 'rsa' ? (await makeKeyPair('rsa', { modulusLength: RSA_BITS })).privateKey : newEcKey()
}

/** A new private key on the curve P-256. */
export function newEcKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/** PKCS #8, as PEM text. */
export function keyText(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/**
 * A request for a certificate for one DNS name (RFC 2986), as DER. The subject stays empty: only alternative
 * names count (RFC 6125 6.4.4).
 */
export function certificateRequest(name: string, key: KeyObject): Buffer {
  const extensions = element(TAG.sequence, alternativeName(name))
  const attribute = element(TAG.sequence, EXTENSION_REQUEST, element(TAG.set, extensions))
  const facts = element(
    TAG.sequence,
    integer(0),
    element(TAG.sequence),
    publicPart(key),
    element(TAG.attributes, attribute),
  )
  return sealed(facts, key)
}

/**
 * A certificate for `name` that nobody has signed but its own key, as PEM text; valid for `days` from a day
 * ago on.
 */
export function selfSigned(
  name: string,
  key: KeyObject,
  { nowMs, days }: { readonly nowMs: number; readonly days: number },
  ...extensions: readonly Buffer[]
): string {
  const facts = element(
    TAG.sequence,
    element(TAG.version, integer(2)), // v3
    element(TAG.integer, Buffer.from([0x40]), randomBytes(15)), // positive, whatever comes
    algorithmOf(key),
    commonName(name),
    element(TAG.sequence, time(nowMs - DAY_MS), time(nowMs + days * DAY_MS)),
    commonName(name),
    publicPart(key),
    element(TAG.extensions, element(TAG.sequence, alternativeName(name), ...extensions)),
  )
  const lines =
    sealed(facts, key)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** The extension that answers a TLS-ALPN-01 challenge (RFC 8737 3). Critical. */
export function acmeIdentifier(keyAuthorization: string): Buffer {
  const digest = createHash('sha256').update(keyAuthorization).digest()
  const value = element(TAG.octetString, element(TAG.octetString, digest))
  return element(TAG.sequence, ACME_IDENTIFIER, TRUE, value)
}

function sealed(facts: Buffer, key: KeyObject): Buffer {
  const signature = element(TAG.bitString, Buffer.from([0]), sign('sha256', facts, key))
  return element(TAG.sequence, facts, algorithmOf(key), signature)
}

function algorithmOf(key: KeyObject): Buffer {
  return key.asymmetricKeyType === 'rsa' ? RSA_SHA256 : ECDSA_SHA256
}

function publicPart(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

function integer(value: number): Buffer {
  return element(TAG.integer, Buffer.from([value]))
}

/** RFC 5280 4.1.2.4, with a common name and nothing else. */
function commonName(name: string): Buffer {
  const attribute = element(TAG.sequence, COMMON_NAME, element(TAG.utf8String, Buffer.from(name, 'utf8')))
  return element(TAG.sequence, element(TAG.set, attribute))
}

/** RFC 5280 4.2.1.6 */
function alternativeName(name: string): Buffer {
  const names = element(TAG.sequence, element(TAG.dnsName, Buffer.from(name, 'latin1')))
  return element(TAG.sequence, ALTERNATIVE_NAME, element(TAG.octetString, names))
}

/** RFC 5280 4.1.2.5.1: two digits of the year, up to 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().slice(2, 19).replace(/[-T:]/g, '')
  return element(TAG.utcTime, Buffer.from(`${digits}Z`, 'latin1'))
}
