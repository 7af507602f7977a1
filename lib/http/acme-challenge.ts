import type { KeyPair } from '../base/key-pair.ts'
import { plainForm } from './path.ts'

/** RFC 8555 8.3: asked for over plain http, by those who are to give us the certificate. */
export const ACME_CHALLENGE_PATH = '/.well-known/acme-challenge/'

/** What proves to an ACME server that a name is ours (RFC 8555 8). */
export interface AcmeChallenges {
  /** Token to key authorization: answers to GET /.well-known/acme-challenge/TOKEN (RFC 8555 8.3). */
  readonly http: readonly (readonly [token: string, keyAuthorization: string])[]
  /** Shown to clients that ask for a name with the protocol `acme-tls/1` only (RFC 8737). */
  readonly alpn: readonly KeyPair[]
}

/** In its plain form, too: dots would lead out of it. */
export function isAcmeChallenge(path: string): boolean {
  return path.startsWith(ACME_CHALLENGE_PATH) && plainForm(path).startsWith(ACME_CHALLENGE_PATH)
}
