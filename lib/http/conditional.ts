import { parseHttpDate } from './date.ts'
import { FIELD, FIELD_COUNT } from './field-ids.ts'
import type { FieldList } from './field-list.ts'

/** What tells one state of a representation from another (RFC 9110 8.8). */
export interface Validators {
  /** Entity tag, quotes included, without the `W/` of a weak one. */
  readonly etag: string
  /**
   * An app's own tag may be weak: it then never holds where the bytes must be the same (RFC 9110 8.8.3.2).
   */
  readonly weak?: boolean
  /** Value of Last-Modified. */
  readonly lastModified: string
  /** The same in milliseconds: a whole second. */
  readonly lastModifiedMs: number
}

export type Precondition = 'pass' | 'not-modified' | 'failed'

const IF_MATCH = FIELD['if-match']
const IF_NONE_MATCH = FIELD['if-none-match']
const IF_MODIFIED_SINCE = FIELD['if-modified-since']
const IF_UNMODIFIED_SINCE = FIELD['if-unmodified-since']
const IF_RANGE = FIELD['if-range']

const TAB = 0x09
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c

const CONDITIONAL = new Uint8Array(FIELD_COUNT)
for (const id of [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, FIELD.range])
  CONDITIONAL[id] = 1

/**
 * True if the answer may be anything but the whole representation. Hot: one pass, so that a plain request
 * pays no more.
 */
export function isConditional(fields: FieldList): boolean {
  for (let i = 0; i < fields.count; i += 1) {
    if (CONDITIONAL[fields.id(i)] === 1) return true
  }
  return false
}

/** The preconditions of a GET or HEAD in the order of RFC 9110 13.2.2. `wallMs` is now. */
export function checkPreconditions(fields: FieldList, now: Validators, wallMs: number): Precondition {
  const match = fields.joined(IF_MATCH)
  if (match !== undefined) {
    if (now.weak === true ? match !== '*' : !listsTag(match, now.etag, false)) return 'failed'
  } else if (changedSince(fields, now, wallMs)) {
    return 'failed'
  }
  const noneMatch = fields.joined(IF_NONE_MATCH)
  if (noneMatch !== undefined) return listsTag(noneMatch, now.etag, true) ? 'not-modified' : 'pass'
  return unchangedSince(fields, now, wallMs) ? 'not-modified' : 'pass'
}

/**
 * RFC 9110 13.1.5: true if Range counts, because there is no If-Range or it names the present state. A date
 * counts only when it is the very Last-Modified, and not of this second, in which the file could change once
 * more.
 */
export function ifRangeHolds(fields: FieldList, now: Validators, wallMs: number): boolean {
  const value = fields.joined(IF_RANGE)
  if (value === undefined || (value === now.etag && now.weak !== true)) return true
  return value === now.lastModified && wallMs - now.lastModifiedMs >= 1000
}

/**
 * Does a list of entity tags (or `*`) name this one? `weak` ignores a `W/` (RFC 9110 8.8.3.2); without it a
 * weak tag never matches. Reading stops at the first thing that is no tag.
 */
export function listsTag(list: string, etag: string, weak: boolean): boolean {
  if (list === '*') return true
  let at = 0
  while (at < list.length) {
    const code = list.charCodeAt(at)
    if (code === COMMA || code === SPACE || code === TAB) {
      at += 1
      continue
    }
    const isWeak = list.startsWith('W/', at)
    const open = isWeak ? at + 2 : at
    const close = list.charCodeAt(open) === QUOTE ? list.indexOf('"', open + 1) : -1
    if (close < 0) return false
    if (close + 1 - open === etag.length && list.startsWith(etag, open) && (weak || !isWeak)) return true
    at = close + 1
  }
  return false
}

/** RFC 9110 13.1.4; a value that is no date is ignored. */
function changedSince(fields: FieldList, now: Validators, wallMs: number): boolean {
  const value = fields.joined(IF_UNMODIFIED_SINCE)
  if (value === undefined || value === now.lastModified) return false
  const sinceMs = parseHttpDate(value, wallMs)
  return sinceMs !== undefined && now.lastModifiedMs > sinceMs
}

/** RFC 9110 13.1.3; a value that is no date is ignored. */
function unchangedSince(fields: FieldList, now: Validators, wallMs: number): boolean {
  const value = fields.joined(IF_MODIFIED_SINCE)
  if (value === undefined) return false
  // What browsers send back is our own text, so the usual case parses no date.
  if (value === now.lastModified) return true
  const sinceMs = parseHttpDate(value, wallMs)
  return sinceMs !== undefined && now.lastModifiedMs <= sinceMs
}
