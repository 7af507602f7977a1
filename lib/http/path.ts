import { isUtf8 } from 'node:buffer'

const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f
const BACKSLASH = 0x5c
const HEX = '0123456789abcdef'

/**
 * What becomes of each escaped byte. `%2f`, `%5c` and `%00` mean different things to different apps, so they
 * stay escaped and never equal a real separator; `%25` stays, so that `%252f` does not turn into the `%2f`
 * that we kept.
 */
const KEEPS_ESCAPE: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0 || byte === PERCENT || byte === SLASH || byte === BACKSLASH ? 1 : 0,
)
const KEEPS_NOTHING = new Uint8Array(256)

/**
 * The path as routes compare it: decoded once, `//` merged, dot segments resolved and never above the root
 * (RFC 3986 5.2.4 and 6.2.2). Only for matching: what goes to an app is the path as it came. Undefined for a
 * broken escape or one that is no UTF-8: answer 400. The `*` of `OPTIONS *` counts as `/`. Hot: an ordinary
 * path comes back as it is.
 */
export function matchPath(path: string): string | undefined {
  if (path === '*') return '/'
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i)
    if (code === PERCENT || code >= 0x80 || (code === SLASH && opensOddSegment(path, i)))
      return normalise(path)
  }
  return path
}

/** `matchPath` for a path out of the configuration, which may hold any character and a plain `%`. */
export function matchConfiguredPath(path: string): string {
  return matchPath(Buffer.from(path, 'utf8').toString('latin1')) ?? path.replaceAll('%', '%25')
}

/** The path with every escape decoded, once; undefined for a broken escape or one that is no UTF-8. */
export function decodePath(path: string): string | undefined {
  return path.includes('%') ? decode(path, KEEPS_NOTHING) : path
}

/** The opposite of `decodePath`: only characters that may stand in a path (RFC 3986 3.3), in one spelling. */
export function encodePath(decoded: string): string {
  return encodeURI(decoded).replaceAll('?', '%3F').replaceAll('#', '%23')
}

function opensOddSegment(path: string, slash: number): boolean {
  const next = path.charCodeAt(slash + 1)
  return next === SLASH || next === DOT
}

function normalise(path: string): string | undefined {
  const decoded = decode(path, KEEPS_ESCAPE)
  return decoded === undefined ? undefined : resolveSegments(decoded)
}

function decode(path: string, keeps: Uint8Array): string | undefined {
  const bytes = Buffer.allocUnsafe(path.length)
  let length = 0
  for (let i = 0; i < path.length; i += 1) {
    let byte = path.charCodeAt(i)
    if (byte > 0xff) return undefined
    if (byte === PERCENT) {
      byte = hexByte(path, i + 1)
      if (byte < 0) return undefined
      i += 2
      if (keeps[byte] === 1) {
        length += bytes.write(`%${HEX[byte >> 4]}${HEX[byte & 15]}`, length, 'latin1')
        continue
      }
    }
    bytes[length] = byte
    length += 1
  }
  const text = bytes.subarray(0, length)
  return isUtf8(text) ? text.toString('utf8') : undefined
}

/** Value of two hex digits; negative if they are none. */
function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function resolveSegments(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const last = segments.at(-1)
  const folder = last === '' || last === '.' || last === '..'
  return kept.length > 0 && folder ? `/${kept.join('/')}/` : `/${kept.join('/')}`
}
