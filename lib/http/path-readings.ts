import {
  decodeAll,
  decodeUnavoidable,
  decodeUnreserved,
  isUnavoidable,
  mergeSlashes,
  resolveDots,
} from './path.ts'

/** What `agreedBy` says where readers of a path would not all find the same. */
export const DISAGREED = Symbol('readings of a path disagree')

/** How often a path may be decoded on its way: by an app's server, and by a second proxy in front of that. */
const MOST_DECODES = 2

/**
 * An honest path with escaped slashes, doubled ones and parameters has eight. What has more than these was
 * made to cost time, and is refused.
 */
const MOST_READINGS = 32
/** In all of them: eight of the longest path that is taken. */
const MOST_CHARACTERS = 64 * 1024

/** One thing that some reader does to a path. What it does not change comes back as the same string. */
interface Step {
  /** How often the path may have been decoded before. */
  readonly decodes: { readonly least: number; readonly most: number }
  apply(path: string): string
}

const ANY = { least: 0, most: MOST_DECODES }
const BEFORE_DECODING = { least: 0, most: 0 }
const AFTER_DECODING = { least: 1, most: MOST_DECODES }

/**
 * All that servers, frameworks and proxies are known to do to a path before they compare it, in whatever
 * order. A reader that does something new needs a line here and nothing else.
 */
const STEPS: readonly Step[] = [
  // gunicorn, uWSGI, uvicorn, hypercorn, daphne; after dots were resolved: Node's `new URL` and uWSGI's own
  // HTTP; twice: nginx with a captured path.
  { decodes: { least: 0, most: MOST_DECODES - 1 }, apply: decodeAll },
  // Apache, Kestrel, Hono: RFC 3986 6.2.2.2.
  { decodes: BEFORE_DECODING, apply: decodeUnreserved },
  // RFC 3986 5.2.4, Go's `path.Clean`, nginx.
  { decodes: ANY, apply: resolveDots },
  // WHATWG URL 4.4: `%2e` is a dot before anything is decoded.
  { decodes: ANY, apply: resolveEscapedDots },
  // nginx, Apache, Rails, Werkzeug, mod_wsgi.
  { decodes: ANY, apply: mergeSlashes },
  // Node's `new URL(request.url, base)` and Python's `urlsplit` take what stands behind `//` for a host.
  { decodes: ANY, apply: withoutAuthority },
  // The same two drop tabs and line ends, take a `?` or `#` for the end of the path, and do so with what was
  // decoded before.
  { decodes: AFTER_DECODING, apply: asUrl },
  // Patterns of Django (`<path:rest>`), Starlette and Express, whose dot matches no line end: what finds the
  // path then is what catches everything.
  { decodes: AFTER_DECODING, apply: uncaught },
  // Tomcat, Jetty, Undertow and Spring, which then see dot segments in `..;`.
  { decodes: ANY, apply: withoutParameters },
  // WHATWG URL, IIS, whatever asks Windows for a file.
  { decodes: AFTER_DECODING, apply: backslashesAsSlashes },
  // Decoders of UTF-8 that take overlong forms (RFC 3629 10), such as old ones of Java.
  { decodes: AFTER_DECODING, apply: shortenOverlong },
]

const DOT = 0x2e
const SLASH = 0x2f

/** 1 for a character that some reader may see more in, in a path or in what its escape stands for. */
const NOTABLE: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  Number('%/;\\'.includes(String.fromCharCode(code)) || code >= 0x80),
)

/**
 * 1 for a byte whose escape every reader takes for that byte. Not so a `%`, which may be decoded twice, what
 * ends a path or is left out of one, and the four that begin overlong UTF-8.
 */
const HARMLESS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(isUnavoidable(byte) && !'\t\n\r?#%\\\xc0\xc1\xe0\xf0'.includes(String.fromCharCode(byte))),
)

/** True if there is one way to read the path: as it is. Hot. */
export function isPlain(path: string): boolean {
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i)
    if (NOTABLE[code] === 0) continue
    if (code !== SLASH || opensOddSegment(path, i + 1)) return false
  }
  return true
}

/**
 * What all readings of a path find; DISAGREED where they do not all find the same. `find` is asked with one
 * character a byte, decoded as far as the reading goes.
 */
export function agreedBy<T>(path: string, find: (reading: string) => T): T | typeof DISAGREED {
  const found = find(decodeUnavoidable(path))
  if (hasOneMeaning(path)) return found
  const readings: Reading[] = [{ path, decodes: 0 }]
  let characters = 0
  // The list grows while it is walked: what one reader has made of the path is where another begins.
  for (const reading of readings) {
    for (const next of stepsFrom(reading)) {
      if (readings.some(known => known.path === next.path && known.decodes === next.decodes)) continue
      characters += next.path.length
      if (readings.length === MOST_READINGS || characters > MOST_CHARACTERS) return DISAGREED
      if (find(comparable(next)) !== found) return DISAGREED
      readings.push(next)
    }
  }
  return found
}

interface Reading {
  readonly path: string
  readonly decodes: number
}

/** As routes are written: what the reader has left escaped, but could not do without. */
function comparable({ path, decodes }: Reading): string {
  return decodes === 0 ? decodeUnavoidable(path) : path
}

function stepsFrom({ path, decodes }: Reading): Reading[] {
  const after: Reading[] = []
  for (const { decodes: bounds, apply } of STEPS) {
    if (decodes < bounds.least || decodes > bounds.most) continue
    const next = apply(path)
    if (next !== path) after.push({ path: next, decodes: apply === decodeAll ? decodes + 1 : decodes })
  }
  return after
}

function opensOddSegment(path: string, at: number): boolean {
  let end = at
  while (end < at + 2 && path.charCodeAt(end) === DOT) end += 1
  return path.charCodeAt(end) === SLASH || (end > at && end === path.length)
}

/**
 * What makes a path odd, other than single escapes: dot segments, blanks at its end, line ends beyond ASCII
 * ...
 */
const ODD = /\/\/|\/\.{1,2}(?:\/|$)|[;\\\x80-\xff]|%(?:[01][\da-f]|20)$|%c2%85|%e2%80%a[89]/i

/**
 * True for an ordinary path whose escapes are only such as no path can do without: blanks, quotes, letters
 * beyond ASCII.
 */
function hasOneMeaning(path: string): boolean {
  if (ODD.test(path)) return false
  for (let at = path.indexOf('%'); at >= 0; at = path.indexOf('%', at + 1)) {
    if (HARMLESS[Number.parseInt(path.slice(at + 1, at + 3), 16)] !== 1) return false
  }
  return true
}

function resolveEscapedDots(path: string): string {
  const dots = path.replace(/\/(?:\.|%2e){1,2}(?=\/|$)/gi, segment => segment.replace(/%2e/gi, '.'))
  return dots === path ? path : resolveDots(dots)
}

function withoutAuthority(path: string): string {
  return path.startsWith('//') ? path.replace(/^\/+[^/]*\/?/, '/') : path
}

function asUrl(path: string): string {
  return path.replace(/[?#].*$/s, '').replace(/[\0-\x20]+$|[\t\n\r]/g, '')
}

/**
 * `.` of regular expressions stops at these, by language: LF, CR, NEL, and the separators of lines and
 * paragraphs.
 */
function uncaught(path: string): string {
  return /[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9]/.test(path) ? '/' : path
}

function withoutParameters(path: string): string {
  return path.includes(';') ? path.replace(/;[^/]*/g, '') : path
}

function backslashesAsSlashes(path: string): string {
  return path.includes('\\') ? path.replaceAll('\\', '/') : path
}

function shortenOverlong(path: string): string {
  return path.replace(
    /[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]|\xf0\x80[\x80\x81][\x80-\xbf]/g,
    bytes => {
      const high = bytes.charCodeAt(bytes.length - 2) & 0x1f
      return String.fromCharCode(((high << 6) | (bytes.charCodeAt(bytes.length - 1) & 0x3f)) & 0x7f)
    },
  )
}
