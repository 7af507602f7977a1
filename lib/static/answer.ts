import type { Clock } from '../base/clock.ts'
import { isLocalError, localReason } from '../base/local-error.ts'
import { type Coding, chooseCoding } from '../http/coding.ts'
import { checkPreconditions, ifRangeHolds, isConditional, listsTag } from '../http/conditional.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import { FieldList } from '../http/field-list.ts'
import type { AnswerHead, RequestHead } from '../http/message.ts'
import { type ByteRange, selectRange } from '../http/range.ts'
import type { Representation } from './representation.ts'
import type { FileResource } from './resource.ts'

/** Which answer a request gets from a representation. */
export type Selection = 'whole' | 'not-modified' | 'failed' | 'unsatisfiable' | ByteRange

const ACCEPT_ENCODING = FIELD['accept-encoding']
const NOT_ALLOWED_TEXT = 'Only GET and HEAD are supported here.\n'
const NOT_ALLOWED: AnswerHead = {
  status: 405,
  reason: '',
  fields: FieldList.of([
    ['Allow', 'GET, HEAD'],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ]),
  length: NOT_ALLOWED_TEXT.length,
}
/** Nobody to be told of anything: the answer is complete before the client can do something. */
const NOBODY: ExchangeOwner = { answerDrained: () => {}, clientGone: () => {} }

/** Is told of a coding that a client takes and the file has not. */
export interface CodingWanted {
  want(resource: FileResource, coding: Coding): void
}

/**
 * The representation that Accept-Encoding asks for. A coding that is not made yet is made for later requests.
 * Hot.
 */
export function chooseRepresentation(
  request: RequestHead,
  resource: FileResource,
  wanted: CodingWanted,
): Representation {
  const { plain, coded, choices } = resource
  if (choices.offered.length === 0) return plain
  const accept = request.fields.joined(ACCEPT_ENCODING)
  const coding = choices.choose(accept)
  if (coding === undefined) return plain
  const ready = representationIn(coded, coding)
  if (ready !== undefined) return ready.ranges ? ready : madeOrPlain(request, ready, plain)
  wanted.want(resource, coding)
  const other = chooseCoding(accept, resource.codings)
  const next = other === undefined ? undefined : representationIn(coded, other)
  return next === undefined ? plain : madeOrPlain(request, next, plain)
}

function representationIn(coded: readonly Representation[], coding: Coding): Representation | undefined {
  for (let i = 0; i < coded.length; i += 1) {
    const representation = coded[i] as Representation
    if (representation.coding === coding) return representation
  }
  return undefined
}

/**
 * A form that was made here has no parts, and came after its file: who asks for a part, or holds the plain
 * file (which the first clients were given), is answered by that.
 */
function madeOrPlain(request: RequestHead, made: Representation, plain: Representation): Representation {
  const { fields } = request
  if (!isConditional(fields)) return made
  if (fields.has(FIELD.range) || fields.has(FIELD['if-match'])) return plain
  const held = fields.joined(FIELD['if-none-match'])
  if (held === undefined || listsTag(held, made.validators.etag, true)) return made
  return listsTag(held, plain.validators.etag, true) ? plain : made
}

/**
 * Preconditions first, then Range, which only GET knows (RFC 9110 13.2.2 and 14.2). Where an app hands a file
 * over, the method may be any: its answer is the whole then. Hot.
 */
export function select(request: RequestHead, representation: Representation, clock: Clock): Selection {
  const { fields } = request
  if (!isConditional(fields) || (request.method !== 'GET' && request.method !== 'HEAD')) return 'whole'
  const { validators, length } = representation
  const wallMs = clock.wall()
  const precondition = checkPreconditions(fields, validators, wallMs)
  if (precondition !== 'pass') return precondition
  const range = fields.joined(FIELD.range)
  if (range === undefined || request.method !== 'GET' || !representation.ranges) return 'whole'
  if (!ifRangeHolds(fields, validators, wallMs)) return 'whole'
  const selected = selectRange(range, length)
  return selected === 'full' ? 'whole' : selected
}

/** True if the answer needs bytes of the file. Hot. */
export function needsBody(request: RequestHead, selection: Selection): boolean {
  return request.method !== 'HEAD' && (selection === 'whole' || typeof selection === 'object')
}

/** Begins the answer; its body, if it needs one, is up to the caller. Hot. */
export function beginAnswer(exchange: Exchange, representation: Representation, selection: Selection): void {
  if (selection === 'whole') exchange.begin(representation.whole)
  else if (selection === 'not-modified') exchange.begin(representation.notModified)
  else if (selection === 'failed') exchange.begin(representation.preconditionFailed)
  else if (selection === 'unsatisfiable') exchange.begin(representation.unsatisfiable())
  else exchange.begin(representation.part(selection))
}

/**
 * The whole answer without the disk; false if that takes a body which is not in memory. Hot: for a plain 200
 * or 304 nothing is built.
 */
export function answerWithoutDisk(
  exchange: Exchange,
  representation: Representation,
  selection: Selection,
): boolean {
  const { kept } = representation
  const wanted = needsBody(exchange.request, selection)
  if (wanted && kept === undefined) return false
  exchange.attach(NOBODY)
  if (wanted && kept !== undefined && selection === 'whole') {
    exchange.answerKept(kept)
    return true
  }
  beginAnswer(exchange, representation, selection)
  if (wanted && kept !== undefined && typeof selection === 'object') {
    exchange.write(kept.body, selection.first, selection.last + 1)
  }
  exchange.end()
  return true
}

/** Moves a client to the folder's path with its slash, and keeps the query. */
export function redirect(exchange: Exchange, location: string): void {
  const { query } = exchange.request
  const target = query === undefined ? location : `${location}?${query}`
  exchange.attach(NOBODY)
  exchange.begin({ status: 301, reason: '', fields: FieldList.of([['Location', target]]), length: 0 })
  exchange.end()
}

/** 404 whatever the reason: nobody learns what exists. `detail` is for the log. */
export function refuseName(exchange: Exchange, detail: string): void {
  exchange.attach(NOBODY)
  exchange.fail('NOT_FOUND', detail)
}

/** RFC 9110 15.5.6. */
export function refuseMethod(exchange: Exchange): void {
  exchange.attach(NOBODY)
  exchange.record.end = 'method_not_allowed'
  exchange.begin(NOT_ALLOWED)
  exchange.writeText(NOT_ALLOWED_TEXT)
  exchange.end()
}

/** What the disk did to us. */
export function failExchange(exchange: Exchange, error: unknown): void {
  if (isLocalError(error)) return failForWant(exchange, localReason(error as Error))
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  exchange.fail('INTERNAL', code === '' ? String(error) : code)
}

/** There is nothing left to open a file with: true for the moment only. */
export function failForWant(exchange: Exchange, detail: string): void {
  exchange.record.retryAfterSeconds = 1
  exchange.fail('OUT_OF_RESOURCES', detail)
}
