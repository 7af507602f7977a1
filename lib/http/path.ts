import { isUtf8 } from 'node:buffer'
import { latin1Slice } from '../base/latin1.ts'

// Paths are latin1 text here, one character a byte, as they come off the wire: RFC 3986 2.1 lets any octet be
// escaped, UTF-8 or not.

const PERCENT = 0x25
const SLASH = 0x2f
const BACKSLASH = 0x5c

/** Characters that may stand in a path unescaped: pchar and `/` (RFC 3986 3.3). */
const PATH_CHARACTER: Uint8Array = bytesOf(byte => /[-./\w~!$&'()*+,;=:@]/.test(String.fromCharCode(byte)))

/** The escapes that a path cannot do without: of these bytes there is no other spelling. */
const UNAVOIDABLE: Uint8Array = bytesOf(byte => PATH_CHARACTER[byte] === 0)

/** RFC 3986 6.2.2.2: escaped or not, these characters mean the same. */
const UNRESERVED: Uint8Array = bytesOf(byte => /[-.\w~]/.test(String.fromCharCode(byte)))

/**
 * What the plain form decodes. `%2f` and `%5c` mean different things to different apps, so they stay escaped
 * and never equal a real separator; `%25` stays, so that `%252f` does not turn into the `%2f` that was kept,
 * nor `%00` into the end of a string.
 */
const SAFE: Uint8Array = bytesOf(
  byte => byte !== 0 && byte !== PERCENT && byte !== SLASH && byte !== BACKSLASH,
)
const ALL: Uint8Array = bytesOf(() => true)

/** True for a byte that a path can only hold escaped. */
export function isUnavoidable(byte: number): boolean {
  return UNAVOIDABLE[byte] === 1
}

/** Every escape decoded, once; a broken one stands for itself. */
export function decodeAll(path: string): string {
  return decode(path, ALL)
}

/** RFC 3986 6.2.2.2: without the escapes of unreserved characters. */
export function decodeUnreserved(path: string): string {
  return decode(path, UNRESERVED)
}

/** Without the escapes that a path cannot do without, as the routes of the configuration are written. */
export function decodeUnavoidable(path: string): string {
  return decode(path, UNAVOIDABLE)
}

/**
 * The path decoded once, `//` merged, dot segments resolved and never above the root (RFC 3986 5.2.4 and
 * 6.2.2); `%2f`, `%5c`, `%00` and `%25` stay escaped. It is one reading of many (path-readings.ts), so no
 * route may be found by it alone.
 */
export function plainForm(path: string): string {
  return resolveDots(mergeSlashes(decode(path, SAFE)))
}

/** A path out of the configuration, which is written without escapes, as the bytes that a request spells. */
export function configuredPath(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1')
}

/** A plain form as it may stand in a request. */
export function encodePlain(plain: string): string {
  return plain.replace(/[^-./\w~!$&'()*+,;=:@%]/g, escapeOf)
}

/** `//` and more as one `/`. */
export function mergeSlashes(path: string): string {
  return path.includes('//') ? path.replace(/\/{2,}/g, '/') : path
}

/** RFC 3986 5.2.4: an empty segment is one, too. */
export function resolveDots(path: string): string {
  return /\/\.{1,2}(?:\/|$)/.test(path) ? resolveSegments(path) : path
}

/**
 * The path as text with every escape decoded, once; undefined for a broken escape or one that is no UTF-8.
 */
export function decodePath(path: string): string | undefined {
  if (!path.includes('%')) return path
  if (/%(?![0-9a-f]{2})/i.test(path)) return undefined
  const bytes = Buffer.from(decodeAll(path), 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

/** The opposite of `decodePath`: only characters that may stand in a path (RFC 3986 3.3), in one spelling. */
export function encodePath(decoded: string): string {
  return encodeURI(decoded).replaceAll('?', '%3F').replaceAll('#', '%23')
}

function decode(path: string, wanted: Uint8Array): string {
  let from = path.indexOf('%')
  if (from < 0) return path
  const bytes = Buffer.from(path, 'latin1')
  let length = from
  for (; from < bytes.length; from += 1) {
    const byte = bytes[from] === PERCENT ? escapedByte(bytes, from) : -1
    if (byte < 0 || wanted[byte] === 0) {
      bytes[length] = bytes[from] as number
    } else {
      bytes[length] = byte
      from += 2
    }
    length += 1
  }
  return length === bytes.length ? path : latin1Slice(bytes, 0, length)
}

/** What the escape at this place stands for; negative if it is none. */
function escapedByte(bytes: Buffer, at: number): number {
  const high = hexDigit(bytes[at + 1])
  const low = hexDigit(bytes[at + 2])
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function escapeOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function resolveSegments(path: string): string {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  const last = segments.at(-1)
  // A folder stays a folder.
  if (kept.length > 0 && (last === '.' || last === '..')) kept.push('')
  return `/${kept.join('/')}`
}

function bytesOf(test: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (test(byte) ? 1 : 0))
}
