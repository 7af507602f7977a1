import { DOT, UNDERSCORE } from '../http/field-list.ts'

export const HTAB = 9
export const LF = 10
export const CR = 13
export const SP = 32
export const DOUBLE_QUOTE = 34
export const PERCENT = 37
export const ASTERISK = 42
export const COMMA = 44
export const SLASH = 47
export const COLON = 58
export const SEMICOLON = 59
export const EQUALS = 61
export const QUESTION = 63
export const BACKSLASH = 92

const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/** The lower-case form of a token character (RFC 9110 5.6.2), 0 for every other. */
export const LOWER_TOKEN: Uint8Array = table(code =>
  TOKEN.includes(String.fromCharCode(code)) ? lowerOf(code) : 0,
)

/** The same for field names, with the flags that the field list keeps for `_` and `.` above the low byte. */
export const NAME: Uint16Array = Uint16Array.from(LOWER_TOKEN, lower =>
  lower === 0 ? 0 : lower | (lower === 95 ? UNDERSCORE : 0) | (lower === 46 ? DOT : 0),
)

/** 1 for what may stand in a field value (RFC 9110 5.5): HTAB, SP, VCHAR, obs-text. */
export const VALUE: Uint8Array = table(code => Number(code === HTAB || (code >= SP && code !== 127)))

/**
 * What may stand in a request target behind the `?`: VCHAR without `#`. Wider than RFC 3986, because browsers
 * do send `|`, `"` and `{` there; no reader takes them for a delimiter.
 */
export const QUERY: Uint8Array = table(code => Number(code > SP && code < 127 && code !== 35))

/** PATH of a `%`, whose two digits are looked at later. */
export const PATH_PERCENT = 2

/** The same before the `?`, there also without `\`, which some readers take for a `/`. */
export const PATH: Uint8Array = table(code => {
  if (code === PERCENT) return PATH_PERCENT
  return code === QUESTION || code === BACKSLASH ? 0 : (QUERY[code] as number)
})

/** A hexadecimal digit's value plus one, 0 for every other character. */
export const HEX: Uint8Array = table(
  code => '0123456789abcdef'.indexOf(String.fromCharCode(lowerOf(code))) + 1,
)

/** True if text[start, end) is `word`, which is lower-case, in any case of its ASCII letters. */
export function isWord(text: string, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false
  for (let i = 0; i < word.length; i += 1) {
    if (LOWER_TOKEN[text.charCodeAt(start + i)] !== word.charCodeAt(i)) return false
  }
  return true
}

/** True if text[start, end) is one token. */
export function isToken(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (!((LOWER_TOKEN[text.charCodeAt(at)] as number) > 0)) return false
  }
  return end > start
}

function table(entryOf: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => entryOf(code))
}

function lowerOf(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code
}
