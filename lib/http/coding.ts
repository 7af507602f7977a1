/** Content codings that a file may stand in beside itself (RFC 9110 8.4.1, RFC 7932, RFC 8878). */
export type Coding = 'br' | 'zstd' | 'gzip'

const COMMA = 0x2c
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const SPACE = 0x20
const TAB = 0x09

/**
 * The coding to answer with, by Accept-Encoding (RFC 9110 12.5.3); undefined for the plain form. Highest
 * weight wins, then the order of `offered`. The plain form wins only where it is named with a higher weight;
 * it also answers where nothing is acceptable, as 12.5.3 allows.
 */
export function chooseCoding(accept: string | undefined, offered: readonly Coding[]): Coding | undefined {
  if (accept === undefined) return undefined
  let best: Coding | undefined
  let bestWeight = weightOf(accept, 'identity') ?? 0
  for (let i = 0; i < offered.length; i += 1) {
    const coding = offered[i] as Coding
    const weight = codingWeight(accept, coding)
    if (weight > bestWeight || (best === undefined && weight > 0 && weight === bestWeight)) {
      best = coding
      bestWeight = weight
    }
  }
  return best
}

/** Browsers send a handful of values; what is beyond so many is somebody's play. */
const MAX_CHOICES = 64

/**
 * `chooseCoding` for one list of codings, with the choices of late: reading a browser's Accept-Encoding costs
 * more than a look-up.
 */
export class CodingChoices {
  /** In order of preference. */
  readonly offered: readonly Coding[]
  readonly #known = new Map<string, Coding | undefined>()

  constructor(offered: readonly Coding[]) {
    this.offered = offered
  }

  /** Hot. */
  choose(accept: string | undefined): Coding | undefined {
    if (accept === undefined || this.offered.length === 0) return undefined
    const known = this.#known.get(accept)
    if (known !== undefined) return known
    const coding = chooseCoding(accept, this.offered)
    if (this.#known.size >= MAX_CHOICES) this.#known.clear()
    // A copy: what came by the wire is a piece of the whole head, which would be held with it.
    this.#known.set(Buffer.from(accept, 'latin1').toString('latin1'), coding)
    return coding
  }
}

function codingWeight(accept: string, coding: Coding): number {
  // RFC 9110 8.4.1.3: x-gzip is gzip.
  const alias = coding === 'gzip' ? weightOf(accept, 'x-gzip') : undefined
  return weightOf(accept, coding) ?? alias ?? weightOf(accept, '*') ?? 0
}

/** Weight of the list's first element with this name; undefined if it is not listed. */
function weightOf(accept: string, name: string): number | undefined {
  let at = 0
  while (at < accept.length) {
    const comma = accept.indexOf(',', at)
    const end = comma < 0 ? accept.length : comma
    const start = skipSpace(accept, at, end)
    if (isNamed(accept, start, end, name)) return elementWeight(accept, start + name.length, end)
    at = end + 1
  }
  return undefined
}

function isNamed(text: string, start: number, end: number, name: string): boolean {
  const after = start + name.length
  if (after > end) return false
  for (let i = 0; i < name.length; i += 1) {
    const code = text.charCodeAt(start + i)
    const lower = code >= 0x41 && code <= 0x5a ? code + 32 : code
    if (lower !== name.charCodeAt(i)) return false
  }
  return after === end || isDelimiter(text.charCodeAt(after))
}

function isDelimiter(code: number): boolean {
  return code === SEMICOLON || code === COMMA || code === SPACE || code === TAB
}

/** `;q=0.5` behind a name (RFC 9110 12.4.2); 1 if there is none, 0 if it is not understood. */
function elementWeight(text: string, from: number, end: number): number {
  let at = skipSpace(text, from, end)
  if (at === end) return 1
  if (text.charCodeAt(at) !== SEMICOLON) return 0
  at = skipSpace(text, at + 1, end)
  if ((text.charCodeAt(at) | 0x20) !== 0x71 || text.charCodeAt(at + 1) !== EQUALS) return 0
  return qvalue(text, at + 2, end)
}

/** Three digits at most behind the point; 0 if malformed or above 1. */
function qvalue(text: string, from: number, end: number): number {
  const whole = text.charCodeAt(from) - 0x30
  if (from >= end || (whole !== 0 && whole !== 1)) return 0
  let at = from + 1
  let value = whole
  if (at < end && text.charCodeAt(at) === 0x2e) {
    let unit = 0.1
    for (at += 1; at < end && isDigit(text.charCodeAt(at)) && unit > 0.0005; at += 1) {
      value += (text.charCodeAt(at) - 0x30) * unit
      unit /= 10
    }
  }
  return skipSpace(text, at, end) === end && value <= 1 ? value : 0
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function skipSpace(text: string, from: number, end: number): number {
  let at = from
  while (at < end && (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB)) at += 1
  return at
}
