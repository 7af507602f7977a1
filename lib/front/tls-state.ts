import type { KeyPair } from '../base/key-pair.ts'

/**
 * All that a data thread needs to speak TLS, as the control thread posts it. It changes apart from the configuration: files are replaced,
 * certificates are renewed, challenges come and go.
 */
export interface TlsState {
  /** One for each listener with certificates. */
  readonly listeners: readonly ListenerCertificates[]
  /** Session tickets of all threads are made with these 48 bytes, so that any of them can resume a session. */
  readonly ticketKeys: Uint8Array
  readonly challenges: AcmeChallenges
}

export interface ListenerCertificates {
  readonly listener: string
  /** The first is shown to clients that ask for no name, or for one that none is for. */
  readonly pairs: readonly KeyPair[]
  /** PEM text; undefined: clients are not asked. */
  readonly clientCa: string | undefined
}

/** What proves to an ACME server that a name is ours (RFC 8555 8). */
export interface AcmeChallenges {
  /** Token to key authorization: answers to GET /.well-known/acme-challenge/TOKEN (RFC 8555 8.3). */
  readonly http: readonly (readonly [token: string, keyAuthorization: string])[]
  /** Shown to clients that ask for a name with the protocol `acme-tls/1` only (RFC 8737). */
  readonly alpn: readonly KeyPair[]
}

export const NO_TLS: TlsState = {
  listeners: [],
  ticketKeys: new Uint8Array(48),
  challenges: { http: [], alpn: [] },
}
