import { latin1Slice } from '../base/latin1.ts'
import type { FieldList } from '../http/field-list.ts'
import { type Host, hostAt } from '../http/host.ts'
import type { RequestHead } from '../http/message.ts'
import { FieldScanner } from './field-scanner.ts'
import { type HeadLimits, type Outcome, type Refusal, requestRefusal } from './refusal.ts'
import { RequestLine } from './request-line.ts'
import { SingularFields } from './singular-fields.ts'

export type { HeadLimits, Refusal, RefusalDetail } from './refusal.ts'

// Parsing never waits in the middle, so one set of scratch objects serves the thread.
const line = new RequestLine()
const scanner = new FieldScanner()
const singular = new SingularFields()
const NO_HOST: Host = { text: '', hostname: '' }

/** A request head as it came over the wire. `'refused' in head` tells a Refusal from it. */
export class ParsedRequest implements RequestHead {
  readonly method: string
  readonly target: string
  readonly path: string
  readonly query: string | undefined
  readonly host: string
  readonly hostname: string
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1'
  readonly fields: FieldList
  readonly framing: 'none' | 'length' | 'chunked'
  readonly contentLength: number
  readonly connectionNamed: ReadonlySet<string> | undefined
  readonly keepAlive: boolean
  readonly expectsContinue: boolean
  readonly size: number

  constructor(line: RequestLine, host: Host, fields: FieldList, singular: SingularFields, size: number) {
    const modern = line.protocol === 'HTTP/1.1'
    const { connection, contentLength } = singular
    this.method = line.method
    this.target = line.target
    this.path = line.path
    this.query = line.query
    this.host = host.text
    this.hostname = host.hostname
    this.protocol = line.protocol
    this.fields = fields
    this.framing = framingOf(singular)
    this.contentLength = contentLength ?? 0
    this.connectionNamed = connection.named
    this.keepAlive = !connection.close && (modern || connection.keepAlive)
    this.expectsContinue = modern && singular.expect === 'continue'
    this.size = size
  }
}

/**
 * The request head at bytes[start, end), a Buffer; more may stand behind it. Undefined: no fault so far, but
 * it needs more. Whatever the pieces it comes in, it ends the same way. RFC 9112 to the letter; where that
 * lets a server choose between repairing and refusing, this refuses. The connection of a refused head is not
 * read any further.
 */
export function readRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits,
): ParsedRequest | Refusal | undefined {
  const lineOutcome = line.scan(bytes, start, end, limits)
  if (lineOutcome !== 'complete') return requestRefusal(lineOutcome)
  const scanned = scanner.scan(bytes, start, line.end, end, limits)
  if (scanned !== 'complete') return requestRefusal(scanned)
  return read(latin1Slice(bytes, start, scanner.end), start)
}

/** The same from latin1 text, one character a byte. Copies it; not for the hot path. */
export function parseRequestHead(text: string, limits: HeadLimits): ParsedRequest | Refusal | undefined {
  return readRequestHead(Buffer.from(text, 'latin1'), 0, text.length, limits)
}

/** What a complete head means. */
function read(text: string, start: number): ParsedRequest | Refusal | undefined {
  const target = line.read(text, start)
  if (target !== 'complete') return requestRefusal(target)
  const fields = scanner.fields(text)
  const facts = singular.read(fields)
  if (facts !== 'complete') return requestRefusal(facts)
  const framed = framingOutcome()
  if (framed !== 'complete') return requestRefusal(framed)
  const host = hostOf(text)
  if (typeof host === 'string') return requestRefusal(host)
  return new ParsedRequest(line, host, fields, singular, text.length)
}

/** RFC 9112 6.1 and 6.3; RFC 9110 10.1.1. */
function framingOutcome(): Outcome {
  const { coding } = singular
  if (coding !== undefined) {
    if (singular.contentLength !== undefined) return 'cl-and-te'
    if (coding === 'bad') return 'te-value'
    if (line.protocol === 'HTTP/1.0') return 'te-http10'
    if (coding === 'other') return 'te-unknown'
  }
  return singular.expect === 'other' && line.protocol === 'HTTP/1.1' ? 'expect' : 'complete'
}

function framingOf(singular: SingularFields): 'none' | 'length' | 'chunked' {
  if (singular.coding !== undefined) return 'chunked'
  return singular.contentLength === undefined ? 'none' : 'length'
}

/** RFC 9112 3.2: one Host, well-formed, and of one mind with an absolute target. */
function hostOf(text: string): Host | Outcome {
  const { authority, protocol } = line
  const { hostStart, hostEnd } = singular
  if (hostStart === undefined) return protocol === 'HTTP/1.1' ? 'host-missing' : (authority ?? NO_HOST)
  if (hostStart === hostEnd && protocol === 'HTTP/1.0') return authority ?? NO_HOST
  const host = hostAt(text, hostStart, hostEnd)
  if (host === undefined) return 'host-value'
  if (authority === undefined || authority === host) return host
  return authority.text.toLowerCase() === host.text.toLowerCase() ? authority : 'host-differs'
}
