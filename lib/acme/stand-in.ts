import { type KeyPair, keyPairOf } from '../base/key-pair.ts'
import { keyText, newEcKey, selfSigned } from './x509.ts'

/**
 * RFC 2606 2: nobody's name, so that no client can take the certificate for good, and no route can have it.
 */
export const STAND_IN_NAME = 'no-certificate-yet.invalid'

const LIFE_DAYS = 3650

/**
 * A self-signed certificate for a listener that has no other yet. Handshakes then complete, and clients say
 * "not trusted" rather than that something is broken; balancers that only look whether TLS answers are
 * content; and an ACME server whose question was redirected to https by something in front of us gets its
 * answer, because it does not look at the certificate.
 */
export function makeStandIn(nowMs: number): KeyPair {
  const key = newEcKey()
  const pair = keyPairOf(selfSigned(STAND_IN_NAME, key, { nowMs, days: LIFE_DAYS }), keyText(key))
  if ('fault' in pair) throw new Error(`the stand-in certificate ${pair.fault}`)
  return pair
}
