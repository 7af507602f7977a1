import { type Host, hostAt } from '../http/host.ts'
import {
  ASTERISK,
  CR,
  HEX,
  isWord,
  LF,
  LOWER_TOKEN,
  PATH,
  PATH_PERCENT,
  PERCENT,
  QUERY,
  QUESTION,
  SLASH,
  SP,
} from './characters.ts'
import type { HeadLimits, Outcome, RefusalDetail } from './refusal.ts'

const MAX_METHOD = 32
/** A `d` stands for a digit. */
const VERSION = Uint8Array.from('HTTP/d.d\r\n', character => character.charCodeAt(0))
const DIGIT = 100
const ZERO = 48

/**
 * The first line of a request (RFC 9112 3): `scan` checks its characters as they come, `read` says what they
 * mean once the head is complete. One object serves all requests of a thread.
 */
export class RequestLine {
  method = ''
  target = ''
  path = ''
  query: string | undefined = undefined
  /** From a target in absolute form. */
  authority: Host | undefined = undefined
  protocol: 'HTTP/1.0' | 'HTTP/1.1' = 'HTTP/1.1'
  /** Behind the line's CRLF. Valid after `scan`, like what follows. */
  end = 0
  #methodStart = 0
  #targetStart = 0
  #pathEnd = 0
  #targetEnd = 0

  /** Scans bytes[start, end). */
  scan(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): Outcome {
    const empty = this.#skipEmptyLine(bytes, start, end)
    if (empty !== 'complete') return empty
    const longest = Math.min(this.#methodStart + limits.targetBytes + 2, start + limits.headersBytes)
    const stop = Math.min(end, longest)
    const outcome = this.#scanParts(bytes, stop)
    return outcome === 'partial' && end > longest ? 'target-too-long' : outcome
  }

  /** Reads what was scanned out of `text`, whose first character was bytes[start]. */
  read(text: string, start: number): Outcome {
    this.method = methodAt(text, this.#methodStart - start, this.#targetStart - 1 - start)
    this.authority = undefined
    if (this.method === 'CONNECT') return 'connect'
    if (this.method === 'TRACE') return 'trace'
    // RFC 9113 11.6: reserved, so that HTTP/2 sent to a server of HTTP/1.1 is not taken for a request.
    if (this.method === 'PRI') return 'method'
    return this.#readTarget(text, this.#targetStart - start, this.#pathEnd - start, this.#targetEnd - start)
  }

  /** RFC 9112 2.2: one empty line before the request is a client's slip; more are somebody's plan. */
  #skipEmptyLine(bytes: Uint8Array, start: number, end: number): Outcome {
    this.#methodStart = start
    if (start >= end) return 'partial'
    if (bytes[start] === LF) return 'empty-lines'
    if (bytes[start] !== CR) return 'complete'
    if (start + 1 >= end) return 'partial'
    if (bytes[start + 1] !== LF) return 'empty-lines'
    if (start + 2 < end && isLineEnd(bytes[start + 2])) return 'empty-lines'
    this.#methodStart = start + 2
    return 'complete'
  }

  #scanParts(bytes: Uint8Array, stop: number): Outcome {
    const method = this.#scanMethod(bytes, stop)
    if (method !== 'complete') return method
    const target = this.#scanTarget(bytes, stop)
    if (target !== 'complete') return target
    const version = scanVersion(bytes, this.#targetEnd + 1, stop)
    if (version !== 'complete') return version
    this.end = this.#targetEnd + 1 + VERSION.length
    this.protocol = bytes[this.end - 3] === ZERO ? 'HTTP/1.0' : 'HTTP/1.1'
    return 'complete'
  }

  #scanMethod(bytes: Uint8Array, stop: number): Outcome {
    const start = this.#methodStart
    let at = start
    while (at < stop && (LOWER_TOKEN[bytes[at] as number] as number) > 0) at += 1
    if (at - start > MAX_METHOD) return 'method'
    if (at >= stop) return 'partial'
    if (bytes[at] !== SP || at === start) return bytes[at] === LF ? 'bare-lf' : 'method'
    this.#targetStart = at + 1
    return 'complete'
  }

  #scanTarget(bytes: Uint8Array, stop: number): Outcome {
    const start = this.#targetStart
    let at = start
    let seen = 0
    for (; at < stop; at += 1) {
      const kind = PATH[bytes[at] as number] as number
      if (kind === 0) break
      seen |= kind
    }
    this.#pathEnd = at
    if (at < stop && bytes[at] === QUESTION) {
      while (at < stop && QUERY[bytes[at] as number] === 1) at += 1
    }
    if (at >= stop) return 'partial'
    if (bytes[at] !== SP) return targetProblem(bytes[at])
    if (at === start) return 'request-line'
    if ((seen & PATH_PERCENT) !== 0 && !isDecodable(bytes, start, this.#pathEnd)) return 'target-percent'
    this.#targetEnd = at
    return 'complete'
  }

  /** The forms of RFC 9112 3.2. */
  #readTarget(text: string, start: number, pathEnd: number, end: number): Outcome {
    const first = text.charCodeAt(start)
    if (first === SLASH) return this.#setTarget(text.slice(start, end), pathEnd - start)
    if (first !== ASTERISK) return this.#readAbsolute(text, start, pathEnd, end)
    if (end - start !== 1 || this.method !== 'OPTIONS') return 'target-form'
    return this.#setTarget('*', 1)
  }

  /** RFC 9112 3.2.2: the authority takes the place of Host, the rest becomes the target. */
  #readAbsolute(text: string, start: number, pathEnd: number, end: number): Outcome {
    const authorityStart = start + schemeLength(text, start)
    if (authorityStart === start) return 'target-form'
    let at = authorityStart
    while (at < pathEnd && text.charCodeAt(at) !== SLASH) at += 1
    this.authority = hostAt(text, authorityStart, at)
    if (this.authority === undefined) return 'host-value'
    if (at < pathEnd) return this.#setTarget(text.slice(at, end), pathEnd - at)
    // RFC 9112 3.2.4: what OPTIONS asks of a whole server.
    if (at === end && this.method === 'OPTIONS') return this.#setTarget('*', 1)
    return this.#setTarget(`/${text.slice(at, end)}`, 1)
  }

  #setTarget(target: string, pathLength: number): Outcome {
    const whole = pathLength === target.length
    this.target = target
    this.path = whole ? target : target.slice(0, pathLength)
    this.query = whole ? undefined : target.slice(pathLength + 1)
    return 'complete'
  }
}

function isLineEnd(code: number | undefined): boolean {
  return code === CR || code === LF
}

/**
 * The usual methods as the one string that `===` compares by address. Methods are case-sensitive (RFC 9110
 * 9.1).
 */
function methodAt(text: string, start: number, end: number): string {
  switch (end - start) {
    case 3:
      if (text.startsWith('GET', start)) return 'GET'
      if (text.startsWith('PUT', start)) return 'PUT'
      break
    case 4:
      if (text.startsWith('POST', start)) return 'POST'
      if (text.startsWith('HEAD', start)) return 'HEAD'
      break
    case 6:
      if (text.startsWith('DELETE', start)) return 'DELETE'
      break
  }
  return text.slice(start, end)
}

/** HTTP/0.9 ends its request behind the target. */
function targetProblem(code: number | undefined): RefusalDetail {
  return isLineEnd(code) ? 'version' : 'target-character'
}

/** Each `%` is followed by two digits, and none of them is a NUL. */
function isDecodable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] !== PERCENT) continue
    if (at + 2 >= end) return false
    const high = HEX[bytes[at + 1] as number] as number
    const low = HEX[bytes[at + 2] as number] as number
    if (high === 0 || low === 0 || high + low === 2) return false
  }
  return true
}

/** RFC 9112 2.3. A minor version above 1 would be ours to answer as 1.1, but nobody honest sends one. */
function scanVersion(bytes: Uint8Array, start: number, stop: number): Outcome {
  const end = Math.min(stop, start + VERSION.length)
  for (let at = start; at < end; at += 1) {
    const code = bytes[at] as number
    const wanted = VERSION[at - start] as number
    if (wanted === DIGIT ? code >= ZERO && code <= ZERO + 9 : code === wanted) continue
    return versionProblem(code, at - start)
  }
  if (end - start < VERSION.length) return 'partial'
  const major = (bytes[start + 5] as number) - ZERO
  const minor = (bytes[start + 7] as number) - ZERO
  if (major === 1 && minor < 2) return 'complete'
  return major < 2 ? 'version' : 'version-unsupported'
}

function versionProblem(code: number, at: number): RefusalDetail {
  if (at === 9) return 'bare-cr'
  return at === 8 && code === LF ? 'bare-lf' : 'version'
}

function schemeLength(text: string, start: number): number {
  if (isWord(text, start, start + 4, 'http') && text.startsWith('://', start + 4)) return 7
  return isWord(text, start, start + 5, 'https') && text.startsWith('://', start + 5) ? 8 : 0
}
