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
    text('PEM file: the certificate, then those that lead from it to its issuer.', 'path', readFile),
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
  doc: 'Speak TLS: `{ certificate = "site.pem", key = "site.key" }` or a list of them, chosen by the name that the client asks for; read again when the files change. `"auto"`: certificates from an ACME server (see `[acme]`) for the hosts of the routes. `"passthrough"`: nothing is decrypted, `[tunnels.NAME]` say where bytes go.',
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
    text("PEM file with the authorities that clients' certificates must come from.", 'path', readFile),
  ),
  mode: choice(
    '`"required"`: no handshake without a certificate. `"optional"`: the app is told whether there was one.',
    ['required', 'optional'],
    'required',
  ),
}

/** [upstreams.<name>.tls] */
export const upstreamTlsSection = {
  ca: optional(
    text(
      "PEM file with the authorities that endpoints' certificates must come from. None: those that Node knows.",
      'path',
      readFile,
    ),
  ),
  serverName: optional(
    text(
      "Name that endpoints' certificates must be for, and that is asked for (SNI). None: the endpoint's host.",
      'host',
      readServerName,
    ),
  ),
  verify: flag('Refuse endpoints whose certificate is not good. Switch it off only for a trial.', true),
  certificate: optional(text('PEM file with a certificate to show to endpoints.', 'path', readFile)),
  key: optional(text('PEM file with its private key.', 'path', readFile)),
}

/** [acme.external_account] */
export const externalAccountSection = {
  keyId: required(text('Key identifier that the issuer gave you.', 'string', readVisible)),
  hmacKey: required(
    text('HMAC key that the issuer gave you (base64url). Best read by `file:`.', 'string', readVisible),
  ),
}

/** [acme] */
export const acmeSection = {
  directory: text(
    'Where the issuer is asked. To ask there is to agree to its terms of service.',
    'URL',
    readDirectory,
    'https://acme-v02.api.letsencrypt.org/directory',
  ),
  email: optional(text('Whom the issuer may write to.', 'address', readEmail)),
  folder: text(
    'Where account and certificates are kept, readable by nobody else; must outlive the process. Several processes may share it.',
    'path',
    readFile,
    'state/acme',
  ),
  ca: optional(
    text(
      "PEM file with the authority of the issuer's own server, where it is not a public one.",
      'path',
      readFile,
    ),
  ),
  challenges: list(
    choice<AcmeChallenge>(
      'How a name is proved: `http-01` asks port 80 of the name, `tls-alpn-01` port 443. The first that works.',
      ['http-01', 'tls-alpn-01'],
      undefined,
    ),
    ['tls-alpn-01', 'http-01'],
  ),
  keyType: choice('Kind of the private keys.', ['ecdsa', 'rsa'], 'ecdsa'),
  externalAccount: optionalTable(
    'Ties the account to one that you have with the issuer.',
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
  return { fault: 'expected the URL of an ACME directory, which begins with https://' }
}
