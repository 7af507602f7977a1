import * as v from 'valibot'
import {
  choice,
  flag,
  list,
  type Model,
  type Option,
  optional,
  optionalTable,
  required,
  sectionJson,
  sectionSchema,
  text,
} from './option.ts'
import type { AcmeChallenge } from './tls-model.ts'

type Read<T> = { readonly value: T } | { readonly fault: string; readonly hint?: string }

/** One certificate of [listeners.<name>] tls, or of [upstreams.<name>.tls]. */
export const certificateSection = {
  certificate: required(
    text('PEM file with the certificate, followed by its intermediate certificates.', 'path', readFile),
  ),
  key: required(text('PEM file with its private key.', 'path', readFile)),
}

/**
 * What a listener shows its clients: certificates from files, from an ACME server, or none, because it looks
 * into nothing.
 */
export type TlsSetting =
  | { readonly kind: 'files'; readonly certificates: readonly Model<typeof certificateSection>[] }
  | { readonly kind: 'auto' }
  | { readonly kind: 'passthrough' }

const TLS_FAULT =
  'expected { certificate = "site.pem", key = "site.key" }, a list of such tables, "auto" or "passthrough"'

/** The value of `tls` in [listeners.<name>]. */
export const tlsOption: Option<TlsSetting | undefined> = optional({
  schema: v.lazy((input): v.GenericSchema<unknown, TlsSetting> => {
    if (input === 'auto' || input === 'passthrough')
      return v.pipe(
        v.unknown(),
        v.transform(() => ({ kind: input }) as const),
      )
    const one = sectionSchema(certificateSection)
    if (Array.isArray(input))
      return v.pipe(
        v.array(one),
        v.minLength(1, TLS_FAULT),
        v.transform(certificates => ({ kind: 'files', certificates }) as const),
      )
    if (typeof input === 'object' && input !== null)
      return v.pipe(
        one,
        v.transform(certificate => ({ kind: 'files', certificates: [certificate] }) as const),
      )
    return v.custom<TlsSetting>(() => false, TLS_FAULT)
  }),
  type: '"auto" \\| "passthrough" \\| table \\| list of tables',
  doc: 'Terminate TLS: `{ certificate = "site.pem", key = "site.key" }` or a list of them, selected by server name (SNI) and reloaded when the files change. `"auto"`: certificates from an ACME server (see `[acme]`) for the hosts of the routes. `"passthrough"`: TLS is forwarded without decryption, routed by `[tunnels.NAME]`.',
  fallback: undefined,
  required: false,
  bounds: undefined,
  fields: certificateSection,
  json: {
    anyOf: [
      { enum: ['auto', 'passthrough'] },
      sectionJson(certificateSection),
      { type: 'array', minItems: 1, items: sectionJson(certificateSection) },
    ],
  },
})

/** [listeners.<name>.mtls] */
export const mtlsSection = {
  ca: required(
    text(
      'PEM file with the CA certificates that client certificates are verified against.',
      'path',
      readFile,
    ),
  ),
  mode: choice(
    '`"required"`: a handshake without a valid certificate fails. `"optional"`: clients may omit it, and the app is told whether one was presented; an invalid one still fails.',
    ['required', 'optional'],
    'required',
  ),
}

/** [upstreams.<name>.tls] */
export const upstreamTlsSection = {
  ca: optional(
    text(
      'PEM file with the CA certificates that endpoint certificates are verified against. Default: the root certificates bundled with Node.js.',
      'path',
      readFile,
    ),
  ),
  serverName: optional(
    text(
      'Server name sent to endpoints (SNI), which their certificates must match. Default: the host of the endpoint.',
      'host',
      readServerName,
    ),
  ),
  verify: flag('Refuse endpoints whose certificate is invalid. Disable it for experiments only.', true),
  certificate: optional(
    text('PEM file with a client certificate to present to endpoints.', 'path', readFile),
  ),
  key: optional(text('PEM file with its private key.', 'path', readFile)),
}

/** [acme.external_account] */
export const externalAccountSection = {
  keyId: required(text('Key identifier assigned by the issuer.', 'string', readVisible)),
  hmacKey: required(
    text(
      'HMAC key assigned by the issuer (base64url). Keep it in a file and read it with `file:`.',
      'string',
      readVisible,
    ),
  ),
}

/** [acme] */
export const acmeSection = {
  directory: text(
    "URL of the issuer's ACME directory. By using it you agree to its terms of service.",
    'URL',
    readDirectory,
    'https://acme-v02.api.letsencrypt.org/directory',
  ),
  email: optional(text('Contact address given to the issuer.', 'address', readEmail)),
  folder: text(
    'Folder for the account and the certificates, readable only by the user that Causeway runs as; it must be persistent. Several processes may share it.',
    'path',
    readFile,
    'state/acme',
  ),
  ca: optional(
    text(
      'PEM file with the CA certificate of the ACME server itself, if that CA is not a public one.',
      'path',
      readFile,
    ),
  ),
  challenges: list(
    choice<AcmeChallenge>(
      'Challenge types for domain validation, in order of preference; the first that succeeds is used. `http-01` uses port 80 of the name, `tls-alpn-01` port 443.',
      ['http-01', 'tls-alpn-01'],
      undefined,
    ),
    ['tls-alpn-01', 'http-01'],
  ),
  keyType: choice('Type of the private keys.', ['ecdsa', 'rsa'], 'ecdsa'),
  externalAccount: optionalTable(
    'Binds the ACME account to an existing account with the issuer (external account binding).',
    externalAccountSection,
  ),
}

function readFile(value: string): Read<string> {
  return value === '' || value.includes('\0') ? { fault: 'expected the path of a file' } : { value }
}

function readServerName(value: string): Read<string> {
  return /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(value)
    ? { value }
    : { fault: 'expected a host such as "app.internal"' }
}

function readVisible(value: string): Read<string> {
  return /^[\x21-\x7e]+$/.test(value) ? { value } : { fault: 'expected visible ASCII characters' }
}

function readEmail(value: string): Read<string> {
  return /^[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+$/.test(value)
    ? { value }
    : { fault: 'expected an address such as "admin@example.com"' }
}

function readDirectory(value: string): Read<string> {
  if (URL.canParse(value) && new URL(value).protocol === 'https:') return { value }
  return { fault: 'expected the https:// URL of an ACME directory' }
}
