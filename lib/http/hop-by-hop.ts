import { FIELD, FIELD_COUNT, type FieldName, fieldIdOf } from './field-ids.ts'
import { DOT, DROPPED, type FieldList, ID_MASK, STRIDE, UNDERSCORE } from './field-list.ts'
import { ONLY_FROM_PROXIES } from './proxy-claims.ts'

/** Fields of one connection only (RFC 9110 7.6.1), and those that we write anew from the model. */
const HOP_BY_HOP: readonly FieldName[] = [
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/**
 * What a client may not tell an app: who it is and how it came is for us to say, httpoxy and X-Accel are
 * attacks.
 */
const NEVER_FROM_CLIENTS: readonly FieldName[] = [
  'client-cert',
  'client-cert-chain',
  'expect',
  'forwarded',
  'host',
  'proxy',
  'proxy-authorization',
  'x-accel-buffering',
  'x-accel-charset',
  'x-accel-expires',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-protocol',
  'x-forwarded-server',
  'x-forwarded-ssl',
  // IIS and Symfony of old take them for the path: one that no route was found by.
  'x-original-url',
  'x-real-ip',
  'x-request-id',
  'x-rewrite-url',
  'x-script-name',
  'x-sendfile',
  'x-ssl-client-cert',
  'x-ssl-client-fingerprint',
  'x-ssl-client-i-dn',
  'x-ssl-client-s-dn',
  'x-ssl-client-serial',
  'x-ssl-client-verify',
]

/** Instructions to the proxy in front of the app: not for the client's eyes. */
const NEVER_TO_CLIENTS: readonly FieldName[] = [
  'x-accel-buffering',
  'x-accel-charset',
  'x-accel-expires',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-sendfile',
]

/**
 * Not in trailers (RFC 9110 6.5.1): what frames or routes the message, asks for something, proves somebody,
 * says how the body is to be read or kept. A client that folds trailers into the fields before the body would
 * believe them too late, or not as we did.
 */
const NEVER_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...NEVER_FROM_CLIENTS,
  ...ONLY_FROM_PROXIES,
  ...['age', 'allow', 'authorization', 'cache-control', 'content-disposition', 'content-encoding'],
  ...['content-language', 'content-location', 'content-range', 'content-security-policy', 'content-type'],
  ...['cookie', 'date', 'expires', 'location', 'max-forwards', 'pragma', 'proxy-authenticate', 'range'],
  ...[
    'refresh',
    'retry-after',
    'set-cookie',
    'strict-transport-security',
    'vary',
    'warning',
    'www-authenticate',
  ],
])

const TRUSTED_DROPS = table([...HOP_BY_HOP, ...NEVER_FROM_CLIENTS])
const REQUEST_DROPS = table([...HOP_BY_HOP, ...NEVER_FROM_CLIENTS, ...ONLY_FROM_PROXIES])
const RESPONSE_DROPS = table([...HOP_BY_HOP, ...NEVER_TO_CLIENTS])

/**
 * Marks what a request may not carry on to the app. Runs before our own fields are added: a client that sends
 * `Connection: x-forwarded-for` then only removes its own. `trusted`: it comes from a trusted proxy.
 */
export function dropFromRequest(
  fields: FieldList,
  connectionNamed: ReadonlySet<string> | undefined,
  trusted: boolean,
): void {
  const { marks } = fields
  const drops = trusted ? TRUSTED_DROPS : REQUEST_DROPS
  for (let at = 0; at < marks.length; at += STRIDE) {
    const mark = marks[at] as number
    if (drops[mark & ID_MASK] === 1 || (mark & UNDERSCORE) !== 0) marks[at] = mark | DROPPED
    else if ((mark & DOT) !== 0 && isProtectedAlias(fields.name(at / STRIDE))) marks[at] = mark | DROPPED
  }
  if (connectionNamed !== undefined) dropNamed(fields, connectionNamed)
}

/** Marks what an answer may not carry on to the client. */
export function dropFromResponse(fields: FieldList, connectionNamed: ReadonlySet<string> | undefined): void {
  const { marks } = fields
  for (let at = 0; at < marks.length; at += STRIDE) {
    const mark = marks[at] as number
    if (RESPONSE_DROPS[mark & ID_MASK] === 1) marks[at] = mark | DROPPED
  }
  if (connectionNamed !== undefined) dropNamed(fields, connectionNamed)
}

/**
 * A 426 says to what the client is to switch (RFC 9110 15.5.22), so its Upgrade travels on where the client's
 * protocol has that field. After `dropFromResponse`.
 */
export function keepUpgrade(fields: FieldList): void {
  for (let i = fields.rawIndexOf(FIELD.upgrade); i >= 0; i = fields.rawIndexOf(FIELD.upgrade, i + 1))
    fields.keep(i)
}

/** Marks which of an answer's trailers may not travel on. */
export function dropFromTrailers(fields: FieldList): void {
  for (let i = 0; i < fields.count; i += 1) {
    if (NEVER_IN_TRAILERS.has(fields.name(i).toLowerCase())) fields.drop(i)
  }
}

function dropNamed(fields: FieldList, named: ReadonlySet<string>): void {
  for (let i = 0; i < fields.count; i += 1) {
    if (named.has(fields.name(i).toLowerCase())) fields.drop(i)
  }
}

/** `X.Forwarded.For` is `X-Forwarded-For` to an app that folds both to `_`. */
function isProtectedAlias(name: string): boolean {
  return REQUEST_DROPS[fieldIdOf(name.replaceAll('.', '-'))] === 1
}

function table(names: readonly FieldName[]): Uint8Array {
  const drops = new Uint8Array(FIELD_COUNT)
  for (const name of names) drops[FIELD[name]] = 1
  return drops
}
