import type { BigIntStats } from 'node:fs'
import type { Coding } from '../http/coding.ts'
import type { Validators } from '../http/conditional.ts'
import type { KeptAnswer } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import type { AnswerHead } from '../http/message.ts'
import type { ByteRange } from '../http/range.ts'

type Pairs = readonly (readonly [name: string, value: string])[]

/** Bodies up to this size are kept in memory whole, and leave as one prepared buffer. */
export const MAX_HELD_BYTES = 64 * 1024

/** What a representation is made from. */
export interface RepresentationFacts {
  /** Of the file, from its open descriptor. */
  readonly stat: BigIntStats
  readonly mediaType: string
  /** undefined: the file as it is. */
  readonly coding: Coding | undefined
  /** `made`: compressed here, so that the body is not the file's and no part of it is sent (see `ranges`). */
  readonly source: 'disk' | 'made'
  /** True where the answer depends on Accept-Encoding. */
  readonly varies: boolean
  readonly cacheControl: string | undefined
  /** undefined for a file that is read anew each time. */
  readonly body: Buffer | undefined
  /** Now: a Last-Modified in the future is not allowed (RFC 9110 8.8.2.1). */
  readonly wallMs: number
  /** What an app says of the file it handed over. */
  readonly overlay?: Overlay
}

/** Fields that stand in place of ours. */
export interface Overlay {
  /** Of the whole and of parts. */
  readonly fields: Pairs
  /** Of a 304 and a 412. */
  readonly bodiless: Pairs
  /** Lower-case names of ours that are left out. */
  readonly replaced: ReadonlySet<string>
  readonly validators: Partial<Validators>
  /** Of the text, where our own Content-Type stands. */
  readonly charset: string | undefined
}

/** One state of one file in one coding, with every answer head that can be built before it is asked for. */
export class Representation {
  readonly facts: RepresentationFacts
  readonly coding: Coding | undefined
  readonly validators: Validators
  readonly length: number
  readonly body: Buffer | undefined
  /**
   * Parts are sent of what stands on the disk. A form that was made here may come out otherwise on the next
   * machine or after an update, and parts of two such forms would not fit.
   */
  readonly ranges: boolean
  /** The whole answer, where the body is in memory and small. */
  readonly kept: KeptAnswer | undefined
  readonly whole: AnswerHead
  readonly notModified: AnswerHead
  readonly preconditionFailed: AnswerHead
  readonly #pairs: Pairs

  constructor(facts: RepresentationFacts) {
    const { stat, coding, source, body, overlay } = facts
    this.facts = facts
    this.coding = coding
    this.body = body
    this.ranges = source === 'disk'
    this.length = source === 'made' && body !== undefined ? body.length : Number(stat.size)
    this.validators = { ...validatorsOf(facts), ...overlay?.validators }
    const state = laidOver(statePairs(facts, this.validators), overlay)
    const about: Pairs = [
      ['Content-Type', withCharset(facts.mediaType, overlay?.charset)],
      ...(coding === undefined ? [] : [['Content-Encoding', coding] as const]),
      ...statePairs(facts, this.validators),
      ...(this.ranges ? [['Accept-Ranges', 'bytes'] as const] : []),
      ['X-Content-Type-Options', 'nosniff'],
    ]
    this.#pairs = [...laidOver(about, overlay), ...(overlay?.fields ?? [])]
    this.whole = { status: 200, reason: '', fields: FieldList.of(this.#pairs), length: this.length }
    const small = body !== undefined && body.length <= MAX_HELD_BYTES
    this.kept = small
      ? { head: this.whole, body, rendering: undefined, http2Rendering: undefined }
      : undefined
    const bodiless = overlay?.bodiless ?? []
    this.notModified = {
      status: 304,
      reason: '',
      fields: FieldList.of([...state, ...bodiless]),
      length: undefined,
    }
    const vary = state.filter(([name]) => name === 'Vary')
    this.preconditionFailed = {
      status: 412,
      reason: '',
      fields: FieldList.of([...vary, ...bodiless.filter(([name]) => name.toLowerCase() === 'set-cookie')]),
      length: 0,
    }
  }

  /** Head of a 206 (RFC 9110 15.3.7.1). */
  part(range: ByteRange): AnswerHead {
    const contentRange = ['Content-Range', `bytes ${range.first}-${range.last}/${this.length}`] as const
    const fields = FieldList.of([...this.#pairs, contentRange])
    return { status: 206, reason: '', fields, length: range.last - range.first + 1 }
  }

  /** Head of a 416 (RFC 9110 15.5.17). */
  unsatisfiable(): AnswerHead {
    const fields = FieldList.of([
      ['Content-Range', `bytes */${this.length}`],
      ['Accept-Ranges', 'bytes'],
    ])
    return { status: 416, reason: '', fields, length: 0 }
  }
}

/** What a 304 repeats of the 200 (RFC 9110 15.4.5). */
function statePairs({ varies, cacheControl }: RepresentationFacts, validators: Validators): Pairs {
  return [
    ['Last-Modified', validators.lastModified],
    ['ETag', validators.etag],
    ...(cacheControl === undefined ? [] : [['Cache-Control', cacheControl] as const]),
    ...(varies ? [['Vary', 'Accept-Encoding'] as const] : []),
  ]
}

/** The media type with this charset in place of its own (RFC 9110 8.3.2); `off` for none. */
export function withCharset(mediaType: string, charset: string | undefined): string {
  if (charset === undefined) return mediaType
  const bare = mediaType.replace(/;\s*charset=[^;]*/i, '')
  return charset === 'off' ? bare : `${bare}; charset=${charset}`
}

function laidOver(pairs: Pairs, overlay: Overlay | undefined): Pairs {
  return overlay === undefined ? pairs : pairs.filter(([name]) => !overlay.replaced.has(name.toLowerCase()))
}

/**
 * Size and time to the nanosecond, not the inode: the same file is the same on every machine behind a
 * balancer. A coding is another representation, so it has a tag of its own (RFC 9110 8.8.3.3).
 */
function validatorsOf({ stat, coding, wallMs }: RepresentationFacts): Validators {
  const state = `${stat.size.toString(16)}-${stat.mtimeNs.toString(16)}`
  const etag = coding === undefined ? `"${state}"` : `"${state}-${coding}"`
  const lastModifiedMs = Math.floor(Math.min(Number(stat.mtimeMs), wallMs) / 1000) * 1000
  return { etag, lastModified: new Date(lastModifiedMs).toUTCString(), lastModifiedMs }
}
