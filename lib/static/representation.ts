import type { BigIntStats } from 'node:fs'
import type { Coding } from '../http/coding.ts'
import type { Validators } from '../http/conditional.ts'
import type { KeptAnswer } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import type { AnswerHead } from '../http/message.ts'
import type { ByteRange } from '../http/range.ts'

type Pairs = readonly (readonly [name: string, value: string])[]

/** What a representation is made from. */
export interface RepresentationFacts {
  /** From the open descriptor. */
  readonly stat: BigIntStats
  readonly mediaType: string
  /** undefined: the file as it is. */
  readonly coding: Coding | undefined
  /** True where the answer depends on Accept-Encoding. */
  readonly varies: boolean
  /** undefined for a file that is read anew each time. */
  readonly body: Buffer | undefined
  /** Now: a Last-Modified in the future is not allowed (RFC 9110 8.8.2.1). */
  readonly wallMs: number
}

/** One state of one file in one coding, with every answer head that can be built before it is asked for. */
export class Representation {
  readonly coding: Coding | undefined
  readonly validators: Validators
  readonly length: number
  readonly body: Buffer | undefined
  /** The whole answer, where the body is in memory. */
  readonly kept: KeptAnswer | undefined
  readonly whole: AnswerHead
  readonly notModified: AnswerHead
  readonly preconditionFailed: AnswerHead
  readonly #pairs: Pairs

  constructor(facts: RepresentationFacts) {
    const { stat, coding, varies } = facts
    this.coding = coding
    this.body = facts.body
    this.length = Number(stat.size)
    this.validators = validatorsOf(facts)
    const vary: Pairs = varies ? [['Vary', 'Accept-Encoding']] : []
    const state: Pairs = [
      ['Last-Modified', this.validators.lastModified],
      ['ETag', this.validators.etag],
      ...vary,
    ]
    this.#pairs = [
      ['Content-Type', facts.mediaType],
      ...(coding === undefined ? [] : [['Content-Encoding', coding] as const]),
      ...state,
      ['Accept-Ranges', 'bytes'],
      ['X-Content-Type-Options', 'nosniff'],
    ]
    this.whole = { status: 200, reason: '', fields: FieldList.of(this.#pairs), length: this.length }
    this.kept =
      facts.body === undefined ? undefined : { head: this.whole, body: facts.body, rendering: undefined }
    this.notModified = { status: 304, reason: '', fields: FieldList.of(state), length: undefined }
    this.preconditionFailed = { status: 412, reason: '', fields: FieldList.of(vary), length: 0 }
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
