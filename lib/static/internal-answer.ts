import type { Validators } from '../http/conditional.ts'
import { parseHttpDate } from '../http/date.ts'
import { FIELD } from '../http/field-ids.ts'
import { DROPPED, type FieldList } from '../http/field-list.ts'
import { type Overlay, withCharset } from './representation.ts'

/** What an app says of a file that it hands over (X-Accel-Redirect, X-Sendfile). */
export interface InternalAnswer {
  /** Fields of the app's answer as they would go to the client; what is ours to say is left out here. */
  readonly fields: FieldList
  /** Bytes a second to the client (X-Accel-Limit-Rate); 0: no limit. */
  readonly bytesPerSecond: number
}

/** Fields of the hand-over itself, of the app's own empty body, or of its connection: none is the file's. */
const NOT_OF_THE_FILE = new Set([
  'accept-ranges',
  'connection',
  'content-length',
  'content-md5',
  'content-range',
  'keep-alive',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-sendfile',
])

/**
 * Tags that frameworks make from the empty body of such an answer: MD5 (Django's ConditionalGetMiddleware),
 * SHA-1 and SHA-256 of nothing. They would be the same for every file, whatever is in it.
 */
const TAG_OF_NOTHING = /^(?:W\/)?"(?:d41d8cd98f00b204e9800998ecf8427e|da39a3ee5e6b4b0d|e3b0c44298fc1c14)/

/** What the app's fields put in place of ours. */
export function overlayOf({ fields }: InternalAnswer, wallMs: number): Overlay {
  const charset = charsetOf(fields)
  const kept: (readonly [string, string])[] = []
  const replaced = new Set<string>()
  const validators: { -readonly [K in keyof Validators]?: Validators[K] } = {}
  for (let i = 0; i < fields.count; i += 1) {
    if ((fields.flags(i) & DROPPED) !== 0) continue
    const pair = [fields.name(i), fields.value(i)] as const
    const name = pair[0].toLowerCase()
    if (!isOfTheFile(name, pair[1], wallMs)) continue
    kept.push(name === 'content-type' ? [pair[0], withCharset(pair[1], charset)] : pair)
    // Ours is about coding, the app's about cookies: both count.
    if (name !== 'vary') replaced.add(name)
    if (name === 'etag') Object.assign(validators, tagOf(pair[1]))
    if (name === 'last-modified') Object.assign(validators, timeOf(pair[1], wallMs))
  }
  const bodiless = kept.filter(([name]) => !name.toLowerCase().startsWith('content-'))
  return { fields: kept, bodiless, replaced, validators, charset }
}

/** True if the file must go out as it is: a tag or a coding of the app's stands for one form of it. */
export function namesOneForm({ replaced }: Overlay): boolean {
  return replaced.has('etag') || replaced.has('content-encoding')
}

/** The rate that X-Accel-Limit-Rate asks for, in bytes a second: digits; 0 for anything else. */
export function limitRateOf(fields: FieldList): number {
  const value = fields.rawFirst(FIELD['x-accel-limit-rate']) ?? ''
  return /^\d{1,15}$/.test(value) ? Number(value) : 0
}

/** What X-Accel-Charset names: a token, `off` among them; undefined for anything else. */
function charsetOf(fields: FieldList): string | undefined {
  const value = fields.rawFirst(FIELD['x-accel-charset'])
  return value !== undefined && /^[\w.:-]+$/.test(value) ? value : undefined
}

function isOfTheFile(name: string, value: string, wallMs: number): boolean {
  // Django's habit to have the server find the type: an empty one.
  if (value === '' || NOT_OF_THE_FILE.has(name) || name.startsWith('x-accel-')) return false
  if (name === 'etag') return /^(?:W\/)?"[^"]*"$/.test(value) && !TAG_OF_NOTHING.test(value)
  return name !== 'last-modified' || parseHttpDate(value, wallMs) !== undefined
}

function tagOf(value: string): Pick<Validators, 'etag' | 'weak'> {
  const weak = value.startsWith('W/')
  return { etag: weak ? value.slice(2) : value, weak }
}

function timeOf(value: string, wallMs: number): Pick<Validators, 'lastModified' | 'lastModifiedMs'> {
  return { lastModified: value, lastModifiedMs: parseHttpDate(value, wallMs) ?? 0 }
}
