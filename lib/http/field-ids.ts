/**
 * The fields that some rule of ours asks for, each with a small number. The wire scanner hashes a field's
 * name while it checks the characters, so knowing the field costs no string and no map look-up.
 */
const NAMES = [
  'accept-encoding',
  'alt-svc',
  'authorization',
  'cache-control',
  'cf-access-authenticated-user-email',
  'cf-connecting-ip',
  'client-cert',
  'client-cert-chain',
  'client-ip',
  'cloudfront-forwarded-proto',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'fastly-client-ip',
  'forwarded',
  'forwarded-for',
  'front-end-https',
  'host',
  'http2-settings',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'last-modified',
  'location',
  'origin',
  'proxy',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'referer',
  'remote-email',
  'remote-groups',
  'remote-name',
  'remote-user',
  'retry-after',
  'sec-websocket-accept',
  'sec-websocket-key',
  'server',
  'set-cookie',
  'strict-transport-security',
  'tailscale-user-login',
  'tailscale-user-name',
  'te',
  'traceparent',
  'trailer',
  'transfer-encoding',
  'true-client-ip',
  'upgrade',
  'user-agent',
  'vary',
  'x-accel-buffering',
  'x-accel-charset',
  'x-accel-expires',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-amzn-oidc-identity',
  'x-arr-ssl',
  'x-auth-request-access-token',
  'x-auth-request-email',
  'x-auth-request-groups',
  'x-auth-request-preferred-username',
  'x-auth-request-user',
  'x-authentik-email',
  'x-authentik-groups',
  'x-authentik-name',
  'x-authentik-uid',
  'x-authentik-username',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-envoy-external-address',
  'x-forwarded',
  'x-forwarded-access-token',
  'x-forwarded-client-cert',
  'x-forwarded-email',
  'x-forwarded-for',
  'x-forwarded-groups',
  'x-forwarded-host',
  'x-forwarded-https',
  'x-forwarded-method',
  'x-forwarded-path',
  'x-forwarded-port',
  'x-forwarded-preferred-username',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-protocol',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-forwarded-uri',
  'x-forwarded-user',
  'x-goog-authenticated-user-email',
  'x-goog-authenticated-user-id',
  'x-ms-client-principal',
  'x-ms-client-principal-id',
  'x-ms-client-principal-name',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-originating-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-group',
  'x-remote-ip',
  'x-remote-user',
  'x-request-id',
  'x-rewrite-url',
  'x-scheme',
  'x-script-name',
  'x-sendfile',
  'x-ssl-client-cert',
  'x-ssl-client-fingerprint',
  'x-ssl-client-i-dn',
  'x-ssl-client-s-dn',
  'x-ssl-client-serial',
  'x-ssl-client-verify',
  'x-url-scheme',
  'x-webauth-user',
] as const

export type FieldName = (typeof NAMES)[number]

/** A known field's number; UNKNOWN_FIELD for every other. */
export const FIELD = Object.fromEntries(NAMES.map((name, i) => [name, i + 1])) as Readonly<
  Record<FieldName, number>
>
export const UNKNOWN_FIELD = 0
export const FIELD_COUNT = NAMES.length + 1

/** The lower-case name of a known field's number; '' for UNKNOWN_FIELD. */
export function fieldName(id: number): string {
  return NAMES[id - 1] ?? ''
}

const HASH_BUCKETS = 1024

/** One step of the name hash; `lower` is the lower-cased character. Start at 0. */
export function hashStep(hash: number, lower: number): number {
  return (Math.imul(hash, 31) + lower) | 0
}

function bucketOf(hash: number): number {
  return (hash ^ (hash >>> 13)) & (HASH_BUCKETS - 1)
}

const BY_BUCKET: Int16Array = (() => {
  const table = new Int16Array(HASH_BUCKETS).fill(-1)
  for (const [i, name] of NAMES.entries()) table[freeBucket(table, nameBucket(name))] = i
  return table
})()

const NAME_BYTES: readonly Uint8Array[] = NAMES.map(name =>
  Uint8Array.from(name, character => character.charCodeAt(0)),
)

/**
 * The number of the field whose name stands at text[start, end); `hash` is its name hash over lower-case
 * characters.
 */
function fieldIdAt(hash: number, text: string, start: number, end: number): number {
  for (let bucket = bucketOf(hash); ; bucket = (bucket + 1) & (HASH_BUCKETS - 1)) {
    const at = BY_BUCKET[bucket] as number
    if (at < 0) return UNKNOWN_FIELD
    if (sameName(NAMES[at] as string, text, start, end)) return at + 1
  }
}

/** The same for the name at bytes[start, end). */
export function fieldIdInBytes(hash: number, bytes: Uint8Array, start: number, end: number): number {
  for (let bucket = bucketOf(hash); ; bucket = (bucket + 1) & (HASH_BUCKETS - 1)) {
    const at = BY_BUCKET[bucket] as number
    if (at < 0) return UNKNOWN_FIELD
    if (sameBytes(NAME_BYTES[at] as Uint8Array, bytes, start, end)) return at + 1
  }
}

/** The number of a field by its name in any case. Not for the hot path. */
export function fieldIdOf(name: string): number {
  const lower = name.toLowerCase()
  let hash = 0
  for (let i = 0; i < lower.length; i += 1) hash = hashStep(hash, lower.charCodeAt(i))
  return fieldIdAt(hash, lower, 0, lower.length)
}

function sameName(name: string, text: string, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i += 1) {
    const code = text.charCodeAt(start + i)
    const lower = code >= 65 && code <= 90 ? code + 32 : code
    if (lower !== name.charCodeAt(i)) return false
  }
  return true
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i += 1) {
    const code = bytes[start + i] as number
    const lower = code >= 65 && code <= 90 ? code + 32 : code
    if (lower !== name[i]) return false
  }
  return true
}

function nameBucket(name: string): number {
  let hash = 0
  for (let i = 0; i < name.length; i += 1) hash = hashStep(hash, name.charCodeAt(i))
  return bucketOf(hash)
}

function freeBucket(table: Int16Array, bucket: number): number {
  let free = bucket
  while (table[free] !== -1) free = (free + 1) & (HASH_BUCKETS - 1)
  return free
}
