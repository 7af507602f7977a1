import { FIELD } from '../http/field-ids.ts'
import { FieldList } from '../http/field-list.ts'
import type { Framing, ResponseHead } from '../http/message.ts'
import { HTAB, LOWER_TOKEN, SP, VALUE } from './characters.ts'

// What an HTTP/2 endpoint may say (RFC 9113 8). The library checks most of it; what leaves here is checked
// whatever the library does.

/** Names and values in turn, as they came. */
export type RawFields = readonly string[]

/** What an app may send as a head: as over HTTP/1.1. */
const MAX_FIELDS = 256
const MAX_HEAD_CHARACTERS = 64 * 1024

/** RFC 9113 8.2.2: they belong to a connection of HTTP/1.1. */
const OF_A_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** A head of an answer, final or interim; text says what is wrong with it. `ends`: nothing follows it. */
export function readHttp2Answer(raw: RawFields, method: string, ends: boolean): ResponseHead | string {
  const [name, value = ''] = raw
  if (name !== ':status' || !/^[1-5]\d\d$/.test(value)) return 'no :status'
  const fields = readFields(raw, 2)
  if (typeof fields === 'string') return fields
  const declaredLength = lengthIn(fields)
  if (typeof declaredLength === 'string') return declaredLength
  const status = Number(value)
  if (status === 101) return '101 means nothing to HTTP/2'
  const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304
  if (ends && !bodiless && declaredLength !== undefined && declaredLength > 0)
    return 'the body that content-length promises is missing'
  return {
    status,
    reason: '',
    minor: 1,
    fields,
    framing: bodiless ? 'none' : framingOf(declaredLength, ends),
    contentLength: bodiless ? 0 : (declaredLength ?? 0),
    // The end of the head tells the length of a body that is not there.
    declaredLength: declaredLength ?? (ends && !bodiless ? 0 : undefined),
    connectionNamed: undefined,
    keepAlive: true,
    size: 0,
  }
}

/** Fields behind the body; text says what is wrong with them. */
export function readHttp2Trailers(raw: RawFields): FieldList | string {
  return readFields(raw, 0)
}

function framingOf(declaredLength: number | undefined, ends: boolean): Framing {
  return declaredLength !== undefined || ends ? 'length' : 'chunked'
}

function readFields(raw: RawFields, from: number): FieldList | string {
  if (raw.length - from > MAX_FIELDS * 2) return 'too many fields'
  const pairs: [string, string][] = []
  let characters = 0
  for (let i = from; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i] as string, raw[i + 1] as string]
    if (name.startsWith(':')) return `${name.slice(0, 20)} where no pseudo field may be`
    if (!isName(name)) return 'a field name is malformed'
    if (!isValue(value)) return `the value of ${name} is malformed`
    if (OF_A_CONNECTION.has(name)) return `${name} belongs to HTTP/1.1`
    characters += name.length + value.length + 4
    pairs.push([name, value])
  }
  return characters > MAX_HEAD_CHARACTERS ? 'its head is too large' : FieldList.of(pairs)
}

/** RFC 9113 8.2.1: a token in lower case. */
function isName(name: string): boolean {
  for (let i = 0; i < name.length; i += 1) {
    const code = name.charCodeAt(i)
    if (code > 127 || LOWER_TOKEN[code] !== code) return false
  }
  return name !== ''
}

/** No control characters, and no blanks at the ends. */
function isValue(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i)
    if (code > 255 || VALUE[code] !== 1) return false
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1))
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB
}

/** RFC 9110 8.6: several only if they all say the same. */
function lengthIn(fields: FieldList): number | undefined | string {
  const id = FIELD['content-length']
  const at = fields.indexOf(id)
  if (at < 0) return undefined
  const value = fields.value(at)
  if (!/^\d{1,15}$/.test(value)) return 'content-length is malformed'
  for (let i = fields.indexOf(id, at + 1); i >= 0; i = fields.indexOf(id, i + 1)) {
    if (fields.value(i) !== value) return 'content-length is said twice, differently'
  }
  return Number(value)
}
