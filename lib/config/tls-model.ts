// What of a configuration is about TLS: part of the model (model.ts).

/** Paths are absolute. */
export type ListenerTls =
  | { readonly kind: 'files'; readonly certificates: readonly CertificateFiles[] }
  /** From an ACME server, for the hosts of the routes. */
  | { readonly kind: 'auto' }
  /** Nothing is decrypted here: tunnels only. */
  | { readonly kind: 'passthrough' }

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
}

export interface ClientCertificates {
  /** PEM file, absolute. */
  readonly ca: string
  readonly mode: 'required' | 'optional'
}

export type AcmeChallenge = 'http-01' | 'tls-alpn-01'

/** Where listeners with `tls = "auto"` get their certificates. Paths are absolute. */
export interface AcmeConfig {
  /** URL. */
  readonly directory: string
  readonly email: string | undefined
  readonly folder: string
  /** PEM file with the root of the directory's own certificate. */
  readonly ca: string | undefined
  readonly challenges: readonly AcmeChallenge[]
  readonly keyType: 'ecdsa' | 'rsa'
  readonly externalAccount: { readonly keyId: string; readonly hmacKey: string } | undefined
}

/** TLS connections that are passed on undecrypted. */
export interface TunnelConfig {
  readonly name: string
  /** Lower case; `*.example.com` for every name below; empty for any, and for none. */
  readonly hosts: readonly string[]
  /** Names; empty for every listener with TLS. */
  readonly listeners: readonly string[]
  readonly upstream: string
}

/** A file of certificates or keys, as it was when the configuration was read. */
export interface PemFile {
  /** Absolute. */
  readonly path: string
  readonly text: string
}

/** How endpoints prove who they are, and we to them. */
export interface UpstreamTls {
  /** undefined: the authorities that Node knows. */
  readonly ca: PemFile | undefined
  /** undefined: the endpoint's host. */
  readonly serverName: string | undefined
  readonly verify: boolean
  /** What we show; both or none. */
  readonly certificate: PemFile | undefined
  readonly key: PemFile | undefined
}
