import { latin1Slice } from '../base/latin1.ts'
import type { FieldList } from '../http/field-list.ts'
import type { Framing, ResponseHead } from '../http/message.ts'
import { CR, LF, SP, VALUE } from './characters.ts'
import { FieldScanner } from './field-scanner.ts'
import { type HeadLimits, type Outcome, type Refusal, responseRefusal } from './refusal.ts'
import { SingularFields } from './singular-fields.ts'

const scanner = new FieldScanner()
const singular = new SingularFields()

/** `HTTP/d.d ddd`, with a `d` for each digit. */
const START = Uint8Array.from('HTTP/d.d ddd', character => character.charCodeAt(0))
const DIGIT = 100
const ZERO = 48

/** The status line of the response that is being parsed. */
const line = { status: 0, modern: true, end: 0 }

/** A response head as it came over the wire. `'refused' in head` tells a Refusal from it. */
export class ParsedResponse implements ResponseHead {
  readonly status: number
  readonly reason: string
  readonly minor: 0 | 1
  readonly fields: FieldList
  readonly framing: Framing
  readonly contentLength: number
  readonly declaredLength: number | undefined
  readonly connectionNamed: ReadonlySet<string> | undefined
  readonly keepAlive: boolean
  readonly size: number

  constructor(reason: string, fields: FieldList, framing: Framing, size: number) {
    const { connection, contentLength } = singular
    this.status = line.status
    this.reason = reason
    this.minor = line.modern ? 1 : 0
    this.fields = fields
    this.framing = framing
    this.contentLength = framing === 'length' ? (contentLength ?? 0) : 0
    this.declaredLength = contentLength
    this.connectionNamed = connection.named
    this.keepAlive = mayReuse(framing)
    this.size = size
  }
}

/**
 * The response head at bytes[start, end), a Buffer, answering a request with `method`; more may stand behind
 * it. Undefined: no fault so far, but it needs more. Lenient in the status line, as app servers are; as
 * strict as for requests in all that frames.
 */
export function readResponseHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  method: string,
  limits: HeadLimits,
): ParsedResponse | Refusal | undefined {
  const lineOutcome = scanStatusLine(bytes, start, end, limits)
  if (lineOutcome !== 'complete') return responseRefusal(lineOutcome)
  const scanned = scanner.scan(bytes, start, line.end, end, limits)
  if (scanned !== 'complete') return responseRefusal(scanned)
  return read(latin1Slice(bytes, start, scanner.end), line.end - start, method)
}

/** The same from latin1 text, one character a byte. Copies it; not for the hot path. */
export function parseResponseHead(
  text: string,
  method: string,
  limits: HeadLimits,
): ParsedResponse | Refusal | undefined {
  return readResponseHead(Buffer.from(text, 'latin1'), 0, text.length, method, limits)
}

/**
 * Fields behind a chunked body; undefined where the section is none that a head could have. Copies it; not
 * for the hot path.
 */
export function readTrailers(text: string, limits: HeadLimits): FieldList | undefined {
  const outcome = scanner.scan(Buffer.from(`\n${text}`, 'latin1'), 1, 1, text.length + 1, limits)
  return outcome === 'complete' ? scanner.fields(text) : undefined
}

/** What a complete head means; its status line ends at `lineEnd`. */
function read(text: string, lineEnd: number, method: string): ParsedResponse | Refusal | undefined {
  const fields = scanner.fields(text)
  const facts = singular.read(fields, true)
  if (facts !== 'complete') return responseRefusal(facts)
  const bodiless = isBodiless(method, line.status)
  const framed = bodiless ? 'complete' : framingOutcome()
  if (framed !== 'complete') return responseRefusal(framed)
  const reason = reasonOf(text, lineEnd)
  return new ParsedResponse(reason, fields, bodiless ? 'none' : framingOf(), text.length)
}

/** RFC 9112 4. A missing reason, with or without the SP before it, is as good as an empty one. */
function scanStatusLine(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): Outcome {
  const longest = start + limits.headersBytes
  const stop = Math.min(end, longest)
  const short: Outcome = end > longest ? 'head-too-large' : 'partial'
  if (!isStart(bytes, start, stop)) return 'status-line'
  let at = start + START.length
  if (at >= stop) return short
  if (bytes[at] !== SP && bytes[at] !== CR) return bytes[at] === LF ? 'bare-lf' : 'status-line'
  while (at < stop && VALUE[bytes[at] as number] === 1) at += 1
  if (at < stop && bytes[at] !== CR) return bytes[at] === LF ? 'bare-lf' : 'status-line'
  if (at + 1 >= stop) return short
  if (bytes[at + 1] !== LF) return 'bare-cr'
  line.end = at + 2
  return 'complete'
}

/** True if as much as has arrived is `HTTP/d.d` SP and a status from 100 to 599; notes both. */
function isStart(bytes: Uint8Array, start: number, stop: number): boolean {
  const end = Math.min(stop, start + START.length)
  for (let at = start; at < end; at += 1) {
    const code = bytes[at] as number
    const wanted = START[at - start] as number
    if (wanted === DIGIT ? code < ZERO || code > ZERO + 9 : code !== wanted) return false
  }
  if (end - start < START.length) return true
  line.modern = bytes[start + 5] === ZERO + 1 && bytes[start + 7] === ZERO + 1
  line.status = digit(bytes, start + 9) * 100 + digit(bytes, start + 10) * 10 + digit(bytes, start + 11)
  return line.status >= 100 && line.status <= 599
}

function digit(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) - ZERO
}

/** The usual ones without making a string. */
function reasonOf(text: string, lineEnd: number): string {
  const start = START.length + 1
  const end = lineEnd - 2
  if (end <= start) return ''
  return end - start === 2 && text.startsWith('OK', start) ? 'OK' : text.slice(start, end)
}

/** RFC 9112 6.3, rules 1 and 2. */
function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status < 200 || status === 204 || status === 304
}

/** RFC 9112 6.3, rules 3 to 5: two readings of the length are an attack or a broken app. */
function framingOutcome(): Outcome {
  if (singular.coding === undefined) return 'complete'
  if (singular.contentLength !== undefined) return 'cl-and-te'
  if (singular.coding === 'bad') return 'te-value'
  return singular.coding === 'other' ? 'te-unknown' : 'complete'
}

function framingOf(): Framing {
  if (singular.coding !== undefined) return 'chunked'
  return singular.contentLength === undefined ? 'close' : 'length'
}

/**
 * RFC 9112 9.3; and 6.1: whoever sends Transfer-Encoding under HTTP/1.0 is not to be believed about what
 * follows.
 */
function mayReuse(framing: Framing): boolean {
  const { connection } = singular
  if (framing === 'close' || connection.close) return false
  return line.modern || (connection.keepAlive && singular.coding === undefined)
}
