import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { type KeyPair, keyPairOf } from '../base/key-pair.ts'
import { element, objectId, TAG } from './der.ts'

/** RFC 2606 2: nobody's name, so that no client can take the certificate for good, and no route can have it. */
export const STAND_IN_NAME = 'no-certificate-yet.invalid'

const DAY_MS = 86_400_000
const LIFE_MS = 3650 * DAY_MS

/**
 * A self-signed certificate for a listener that has no other yet. Handshakes then complete, and clients say "not trusted" rather than that
 * something is broken; balancers that only look whether TLS answers are content; and an ACME server whose question was redirected to
 * https by something in front of us gets its answer, because it does not look at the certificate.
 */
export function makeStandIn(nowMs: number): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = element(TAG.sequence, objectId('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const facts = element(
    TAG.sequence,
    element(TAG.version, integer(Buffer.from([2]))), // v3
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])), // positive, whatever comes
    algorithm,
    nameOf(STAND_IN_NAME),
    element(TAG.sequence, time(nowMs - DAY_MS), time(nowMs + LIFE_MS)),
    nameOf(STAND_IN_NAME),
    publicKey.export({ type: 'spki', format: 'der' }),
    element(TAG.extensions, element(TAG.sequence, alternativeName(STAND_IN_NAME))),
  )
  const signature = element(TAG.bitString, Buffer.from([0]), sign('sha256', facts, privateKey))
  const certificate = pem(element(TAG.sequence, facts, algorithm, signature))
  const pair = keyPairOf(certificate, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  if ('fault' in pair) throw new Error(`the stand-in certificate ${pair.fault}`)
  return pair
}

function integer(bytes: Buffer): Buffer {
  return element(TAG.integer, bytes)
}

/** RFC 5280 4.1.2.4, with a common name and nothing else. */
function nameOf(common: string): Buffer {
  const attribute = element(
    TAG.sequence,
    objectId('2.5.4.3'),
    element(TAG.utf8String, Buffer.from(common, 'utf8')),
  )
  return element(TAG.sequence, element(TAG.set, attribute))
}

/** RFC 5280 4.2.1.6 */
function alternativeName(name: string): Buffer {
  const names = element(TAG.sequence, element(0x82, Buffer.from(name, 'latin1')))
  return element(TAG.sequence, objectId('2.5.29.17'), element(TAG.octetString, names))
}

/** RFC 5280 4.1.2.5.1: two digits of the year, up to 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().slice(2, 19).replace(/[-T:]/g, '')
  return element(TAG.utcTime, Buffer.from(`${digits}Z`, 'latin1'))
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
