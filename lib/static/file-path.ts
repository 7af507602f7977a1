import { isUtf8 } from 'node:buffer'
import { posix } from 'node:path'
import { decodePath, encodePath } from '../http/path.ts'

const WELL_KNOWN = '/.well-known/'

/** A request path that may name a file. */
export interface FilePath {
  /**
   * Decoded once; starts with `/`, has no empty segment and, but for `/.well-known/`, none that starts with a
   * dot.
   */
  readonly decoded: string
  /** The same in its one escaped spelling, so that one file has one key however it was asked for. */
  readonly canonical: string
}

/**
 * Reads a request path strictly; undefined for whatever can name no file of ours. Refused are escaped
 * separators, control characters, broken UTF-8, empty segments, and segments that start with a dot: `..` for
 * what it does, the others for what stands in such files (`.env`, `.git`); only `/.well-known/` is there for
 * clients (RFC 8615 3), at the root of the site and nowhere else. A path is decoded once and never again.
 */
export function readFilePath(path: string): FilePath | undefined {
  if (!path.startsWith('/') || hasEscapedSeparator(path) || !isAscii(path)) return undefined
  const decoded = decodePath(path)
  if (decoded === undefined || !hasPlainSegments(behindWellKnown(decoded))) return undefined
  return { decoded, canonical: encodePath(decoded) }
}

/**
 * The part of a decoded path behind the route's own, which the root stands for; undefined if it is not below
 * the route.
 */
export function belowRoute(decoded: string, routePath: string): string | undefined {
  if (!decoded.startsWith(routePath)) return undefined
  const rest = decoded.slice(routePath.length)
  if (routePath.endsWith('/') || rest === '') return rest
  return rest.startsWith('/') ? rest.slice(1) : undefined
}

/**
 * The canonical request path of a name below the root: what `readFilePath` and `belowRoute` turn into that
 * name.
 */
export function pathBelowRoute(relative: string, routePath: string): string {
  const separator = routePath.endsWith('/') || relative === '' ? '' : '/'
  return encodePath(routePath + separator + relative)
}

/**
 * The name below the root that an app means by a path of the site: escaped or with its bytes as they are,
 * with or without a query. undefined if it is not below the route or breaks the rules of `readFilePath`.
 */
export function nameOfUri(value: string, routePath: string): string | undefined {
  const query = value.indexOf('?')
  const decoded = readFilePath(escapeBytes(query < 0 ? value : value.slice(0, query)))?.decoded
  return decoded === undefined ? undefined : belowRoute(decoded, routePath)
}

/**
 * The name below `root` of an absolute file name, escaped or not, as Apache and lighttpd read X-Sendfile; a
 * broken escape stands for itself. undefined if it lies elsewhere, has dot segments, or is no UTF-8.
 */
export function nameOfFile(value: string, root: string): string | undefined {
  const file = decodePath(escapeBytes(value)) ?? utf8Of(value)
  if (file === undefined || posix.normalize(file) !== file || !hasPlainSegments(file.slice(root.length)))
    return undefined
  const name = belowRoute(file, root)
  return name === '' ? undefined : name
}

function behindWellKnown(decoded: string): string {
  return decoded.startsWith(WELL_KNOWN) ? decoded.slice(WELL_KNOWN.length - 1) : decoded
}

function utf8Of(latin1: string): string | undefined {
  const bytes = Buffer.from(latin1, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

/** Text of latin1 characters, one a byte, with those beyond ASCII escaped. */
function escapeBytes(value: string): string {
  return value.replace(/[\x80-\xff]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)
}

function hasEscapedSeparator(path: string): boolean {
  const lower = path.includes('%') ? path.toLowerCase() : path
  return lower.includes('%2f') || lower.includes('%5c') || lower.includes('\\')
}

function isAscii(path: string): boolean {
  for (let i = 0; i < path.length; i += 1) {
    if (path.charCodeAt(i) >= 0x80) return false
  }
  return true
}

function hasPlainSegments(decoded: string): boolean {
  for (let i = 0; i < decoded.length; i += 1) {
    const code = decoded.charCodeAt(i)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false
  }
  return !decoded.includes('//') && !decoded.includes('/.')
}
