import { latin1Slice, latin1Write } from '../base/latin1.ts'
import { FIELD, FIELD_COUNT, type FieldName } from '../http/field-ids.ts'
import { type FieldList, ID_MASK, STRIDE } from '../http/field-list.ts'
import { type Host, hostAt } from '../http/host.ts'
import type { RequestHead } from '../http/message.ts'
import { ASTERISK, HTAB, SLASH, SP } from './characters.ts'
import { FieldScanner } from './field-scanner.ts'
import { PseudoFields } from './pseudo-fields.ts'
import { type HeadLimits, type Outcome, type Refusal, type RequestDetail, requestRefusal } from './refusal.ts'
import { RequestLine } from './request-line.ts'
import { SingularFields } from './singular-fields.ts'

// Reading never waits in the middle, so one set of scratch objects serves the thread.
const pseudo = new PseudoFields()
const line = new RequestLine()
const scanner = new FieldScanner()
const singular = new SingularFields()
let scratch: Buffer = Buffer.allocUnsafeSlow(16 * 1024)

/** Fields of one connection only, which HTTP/2 has frames for (RFC 9113 8.2.2). */
const CONNECTION_SPECIFIC: readonly FieldName[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]
/** What a field is that some rule forbids: in a request, in its trailers. */
const IN_REQUEST = 1
const IN_TRAILERS = 2
const FORBIDDEN = new Uint8Array(FIELD_COUNT)
for (const name of CONNECTION_SPECIFIC) FORBIDDEN[FIELD[name]] = IN_REQUEST | IN_TRAILERS
// RFC 9110 6.5.1: what decides framing and routing has been decided before.
for (const name of ['content-length', 'host', 'te', 'trailer'] as const) FORBIDDEN[FIELD[name]] = IN_TRAILERS

/**
 * Bad requests that are well-formed HTTP/2: their clients are told in words; all others break the protocol
 * (RFC 9113 8.1.1).
 */
const TOLD: ReadonlySet<string> = new Set(['host-missing', 'host-value', 'target-percent'])

const WEBSOCKET_NAMED: ReadonlySet<string> = new Set(['upgrade'])

/** What does not stand in the header list itself. */
export interface Http2HeadFacts {
  /** No body follows (END_STREAM). */
  readonly endStream: boolean
  /** Sec-WebSocket-Key for the app: a client of HTTP/2 sends none (RFC 8441 5). */
  newKey(): string
}

/** A request head that came by HTTP/2. `'refused' in head` tells a Refusal from it. */
export class Http2Request implements RequestHead {
  readonly method: string
  readonly target: string
  readonly path: string
  readonly query: string | undefined
  readonly host: string
  readonly hostname: string
  readonly protocol = 'HTTP/2.0'
  readonly fields: FieldList
  readonly framing: 'none' | 'length' | 'chunked'
  readonly contentLength: number
  readonly connectionNamed: ReadonlySet<string> | undefined
  readonly keepAlive = true
  readonly expectsContinue: boolean
  readonly size: number
  /** An extended CONNECT: a 2xx opens the WebSocket and means nothing else (RFC 8441 5). */
  readonly webSocket: boolean

  constructor(host: Host, fields: FieldList, endStream: boolean) {
    const webSocket = pseudo.protocol !== undefined
    const { contentLength } = singular
    this.method = line.method
    this.target = line.target
    this.path = line.path
    this.query = line.query
    this.host = host.text
    this.hostname = host.hostname
    this.fields = fields
    this.framing = webSocket ? 'none' : framingOf(contentLength, endStream)
    this.contentLength = webSocket ? 0 : (contentLength ?? 0)
    this.connectionNamed = webSocket ? WEBSOCKET_NAMED : undefined
    this.expectsContinue = singular.expect === 'continue' && !endStream
    this.size = fields.text.length
    this.webSocket = webSocket
  }
}

/**
 * The request that a header list of HTTP/2 stands for: a flat list of names and values, one character a byte,
 * pseudo-fields among them.
 *
 * Whatever is let through here is later written out as HTTP/1.1, where a line feed in a name is a second
 * request. So the list is written as HTTP/1.1 at once and read by the very rules of an HTTP/1.1 head, and
 * then each name must have come out as it went in: what reads back whole cannot be read otherwise by an app.
 */
export function readHttp2Head(
  raw: readonly string[],
  facts: Http2HeadFacts,
  limits: HeadLimits,
): Http2Request | Refusal {
  const first = pseudo.read(raw)
  if (typeof first === 'string') return refusal(first)
  const text = textOf(raw, first, facts)
  if (text === undefined) return refusal('field-value')
  if (text.length > limits.headersBytes) return refusal('head-too-large')
  const bytes = written(text)
  // Made of the bytes that are checked, and flat: fields are slices of it.
  const flat = latin1Slice(bytes, 0, text.length)
  if (flat !== text) return refusal('field-value')
  const start = readStartLine(bytes, flat, limits)
  if (start !== 'complete') return refusal(start)
  const scanned = scanner.scan(bytes, 0, line.end, text.length, limits)
  if (scanned !== 'complete') return refusal(scanned)
  if (scanner.end !== text.length) return refusal('field-value')
  const fields = scanner.fields(flat)
  const fault = fieldFault(fields, raw, first)
  if (fault !== undefined) return refusal(fault)
  return read(fields, facts.endStream)
}

/**
 * Characters of a header list with its separators: a reference to a table of HPACK counts as what it stands
 * for.
 */
export function listBytes(pairs: readonly string[]): number {
  let size = 2 * pairs.length
  for (let i = 0; i < pairs.length; i += 1) size += (pairs[i] as string).length
  return size
}

/** True for a refusal that says the stream is broken: it is reset. The others are answered. */
export function isMalformed({ refused, detail }: Refusal): boolean {
  return refused === 'BAD_REQUEST' && !TOLD.has(detail)
}

/**
 * What is wrong with the fields behind a request's body (RFC 9113 8.1); undefined if nothing is, and they can
 * be dropped.
 */
export function http2TrailerFault(raw: readonly string[], limits: HeadLimits): RequestDetail | undefined {
  const text = linesOf(raw, 0, '')
  if (text === undefined) return 'trailers'
  if (text.length > limits.headersBytes) return 'trailers'
  const whole = `\r\n${text}\r\n`
  const bytes = written(whole)
  const end = whole.length
  const flat = latin1Slice(bytes, 0, end)
  if (flat !== whole) return 'trailers'
  if (scanner.scan(bytes, 0, 2, end, limits) !== 'complete' || scanner.end !== end) return 'trailers'
  return namesFault(scanner.fields(flat), 0, raw, 0, IN_TRAILERS) === undefined ? undefined : 'trailers'
}

/**
 * The whole head as HTTP/1.1; undefined if a value has blanks at its edges, which HTTP/1.1 could not tell
 * from its own.
 */
function textOf(raw: readonly string[], first: number, { newKey }: Http2HeadFacts): string | undefined {
  const { method, path, protocol } = pseudo
  const webSocket = protocol !== undefined
  const start = webSocket
    ? `GET ${path} HTTP/1.1\r\nupgrade: websocket\r\nsec-websocket-key: ${newKey()}\r\n`
    : `${method} ${path} HTTP/1.1\r\n`
  const lines = linesOf(raw, first, start)
  return lines === undefined ? undefined : `${lines}\r\n`
}

/** Cookie crumbs become one line again (RFC 9113 8.2.3), behind all others. */
function linesOf(raw: readonly string[], first: number, start: string): string | undefined {
  let text = start
  let cookie: string | undefined
  for (let i = first; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) return undefined
    if (name === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`
    else if (!isOurs(name)) text += `${name}: ${value}\r\n`
  }
  return cookie === undefined ? text : `${text}cookie: ${cookie}\r\n`
}

function written(text: string): Buffer {
  if (scratch.length < text.length) scratch = Buffer.allocUnsafeSlow(2 * text.length)
  latin1Write(scratch, text, 0)
  return scratch
}

function readStartLine(bytes: Buffer, text: string, limits: HeadLimits): Outcome {
  const scanned = line.scan(bytes, 0, text.length, limits)
  if (scanned !== 'complete') return scanned
  const outcome = line.read(text, 0)
  if (outcome !== 'complete') return outcome
  const { method, path, protocol } = pseudo
  if (line.method !== method && protocol === undefined) return 'method'
  // RFC 9113 8.3.1: never an absolute form; a path that was cut is none.
  const form = path.charCodeAt(0)
  return line.target === path && (form === SLASH || form === ASTERISK) ? 'complete' : 'target-form'
}

/** Each field as the list has it, in lower case, and none of those that HTTP/2 does without. */
function fieldFault(fields: FieldList, raw: readonly string[], first: number): RequestDetail | undefined {
  const own = pseudo.protocol === undefined ? 0 : 2
  const fault = namesFault(fields, own, raw, first, IN_REQUEST)
  if (fault !== undefined) return fault
  for (let i = fields.indexOf(FIELD.te); i >= 0; i = fields.indexOf(FIELD.te, i + 1)) {
    if (fields.value(i).toLowerCase() !== 'trailers') return 'connection-field'
  }
  return undefined
}

/** `own`: fields in front that are ours. */
function namesFault(
  fields: FieldList,
  own: number,
  raw: readonly string[],
  first: number,
  where: number,
): RequestDetail | undefined {
  const { marks } = fields
  let at = own * STRIDE
  let cookies = 0
  for (let i = first; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    if (name === 'cookie') {
      cookies = 1
      continue
    }
    if (isOurs(name)) continue
    if (at >= marks.length) return 'field-name'
    const fault = nameFault(fields, at, name, where)
    if (fault !== undefined) return fault
    at += STRIDE
  }
  return at + cookies * STRIDE === marks.length ? undefined : 'field-value'
}

function nameFault({ marks }: FieldList, at: number, name: string, where: number): RequestDetail | undefined {
  const start = marks[at + 1] as number
  const end = marks[at + 2] as number
  // A colon in a name would end it early.
  if (end - start !== name.length) return 'field-name'
  for (let i = start; i < end; i += 1) {
    const code = scratch[i] as number
    // RFC 9113 8.2.1: upper case is malformed.
    if (code >= 65 && code <= 90) return 'field-name'
  }
  const forbidden = FORBIDDEN[(marks[at] as number) & ID_MASK] as number
  return (forbidden & where) === 0 ? undefined : 'connection-field'
}

/** What the list means, once it has been found to be well-formed. */
function read(fields: FieldList, endStream: boolean): Http2Request | Refusal {
  const facts = singular.read(fields)
  if (facts !== 'complete') return refusal(facts)
  if (singular.expect === 'other') return refusal('expect')
  const host = hostOf(fields.text)
  if (typeof host === 'string') return refusal(host)
  // RFC 9113 8.1.1: what was promised and cannot come any more.
  if (endStream && (singular.contentLength ?? 0) > 0) return refusal('cl-mismatch')
  return new Http2Request(host, fields, endStream)
}

/** RFC 9113 8.3.1: `:authority` or Host; both if they say the same. */
function hostOf(text: string): Host | Outcome {
  const { authority } = pseudo
  const { hostStart, hostEnd } = singular
  if (authority === undefined) {
    if (hostStart === undefined) return 'host-missing'
    return hostAt(text, hostStart, hostEnd) ?? 'host-value'
  }
  const host = hostAt(authority, 0, authority.length)
  if (host === undefined) return 'host-value'
  if (hostStart === undefined) return host
  return text.slice(hostStart, hostEnd).toLowerCase() === authority.toLowerCase() ? host : 'host-differs'
}

function framingOf(contentLength: number | undefined, endStream: boolean): RequestHead['framing'] {
  if (contentLength !== undefined) return 'length'
  return endStream ? 'none' : 'chunked'
}

/** The key is ours to make. */
function isOurs(name: string): boolean {
  return pseudo.protocol !== undefined && name === 'sec-websocket-key'
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB
}

function refusal(outcome: Outcome): Refusal {
  // A head that is all here and yet unfinished has lost its end to what stands in it.
  return requestRefusal(outcome) ?? (requestRefusal('request-line') as Refusal)
}
