import type { KeyPair } from '../../base/key-pair.ts'
import type { AcmeChallenges } from '../../http/acme-challenge.ts'

/**
 * All that a data thread needs to speak TLS, as the control thread posts it. It changes apart from the
 * configuration: files are replaced, certificates are renewed, challenges come and go.
 */
export interface TlsState {
  /** One for each listener with certificates. */
  readonly listeners: readonly ListenerCertificates[]
  /**
   * Session tickets of all threads are made with these 48 bytes, so that any of them can resume a session.
   */
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

export const NO_TLS: TlsState = {
  listeners: [],
  ticketKeys: new Uint8Array(48),
  challenges: { http: [], alpn: [] },
}
