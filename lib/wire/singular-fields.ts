import { FIELD, FIELD_COUNT } from '../http/field-ids.ts'
import { type FieldList, ID_MASK, STRIDE } from '../http/field-list.ts'
import { HTAB, isToken, isWord, SP } from './characters.ts'
import { ConnectionOptions } from './connection-options.ts'
import type { Outcome, RefusalDetail } from './refusal.ts'

const HOST = FIELD.host
const CONTENT_LENGTH = FIELD['content-length']
const TRANSFER_ENCODING = FIELD['transfer-encoding']
const CONNECTION = FIELD.connection
const EXPECT = FIELD.expect

/** 1 for the fields that are read here; one look a field finds the few. */
const READ = new Uint8Array(FIELD_COUNT)
for (const id of [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT]) READ[id] = 1

/** Digits of a Content-Length, leading zeros included. */
const MAX_DIGITS = 19

/**
 * The fields that decide how a message is framed, routed and followed: where two of a kind, or two readings
 * of one, let two readers disagree about where the message ends. One object serves all heads of a thread.
 */
export class SingularFields {
  contentLength: number | undefined = undefined
  /** `other`: one token that is not `chunked`. `bad`: a list, parameters, nothing. */
  coding: 'chunked' | 'other' | 'bad' | undefined = undefined
  /** Where the one Host's value stands; undefined without Host. */
  hostStart: number | undefined = undefined
  hostEnd = 0
  /** `continue`: 100-continue and nothing else. */
  expect: 'continue' | 'other' | undefined = undefined
  readonly connection = new ConnectionOptions()
  #mergesLengths = false

  /**
   * Reads a new message. Refuses what is wrong whatever the start line says. `mergesLengths`: two lines with
   * the same length are one (RFC 9110 8.6): for answers, whose length we write anew; of requests it would
   * hide what a server behind us may read otherwise.
   */
  read(fields: FieldList, mergesLengths = false): Outcome {
    this.#clear()
    this.#mergesLengths = mergesLengths
    const { marks, text } = fields
    for (let at = 0; at < marks.length; at += STRIDE) {
      const id = (marks[at] as number) & ID_MASK
      if (READ[id] === 0) continue
      const problem = this.#take(id, text, marks[at + 3] as number, marks[at + 4] as number)
      if (problem !== undefined) return problem
    }
    return 'complete'
  }

  #takeLength(length: number | undefined): RefusalDetail | undefined {
    const known = this.contentLength
    if (known !== undefined && !(this.#mergesLengths && known === length)) return 'cl-repeated'
    this.contentLength = length
    return length === undefined ? 'cl-value' : undefined
  }

  #clear(): void {
    this.contentLength = undefined
    this.coding = undefined
    this.hostStart = undefined
    this.expect = undefined
    this.connection.clear()
  }

  #take(id: number, text: string, start: number, end: number): RefusalDetail | undefined {
    switch (id) {
      case HOST:
        if (this.hostStart !== undefined) return 'host-repeated'
        this.hostStart = start
        this.hostEnd = end
        return undefined
      case CONTENT_LENGTH:
        return this.#takeLength(lengthAt(text, start, end))
      case TRANSFER_ENCODING:
        if (this.coding !== undefined) return 'te-repeated'
        this.coding = codingAt(text, start, end)
        return undefined
      case CONNECTION:
        return this.connection.add(text, start, end) ? undefined : 'connection'
      default:
        if (!isWord(text, start, end, '100-continue')) this.expect = 'other'
        else this.expect ??= 'continue'
        return undefined
    }
  }
}

/** RFC 9110 8.6, without the list of equal values that 9112 6.3 would let pass. */
function lengthAt(text: string, start: number, end: number): number | undefined {
  if (end === start || end - start > MAX_DIGITS) return undefined
  let length = 0
  for (let at = start; at < end; at += 1) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : undefined
}

/**
 * RFC 9112 6.1. A tab behind the coding, which RFC 9110 5.5 would let be, is how one reader is made to
 * overlook it.
 */
function codingAt(text: string, start: number, end: number): 'chunked' | 'other' | 'bad' {
  for (let at = end; text.charCodeAt(at) === SP || text.charCodeAt(at) === HTAB; at += 1) {
    if (text.charCodeAt(at) === HTAB) return 'bad'
  }
  if (isWord(text, start, end, 'chunked')) return 'chunked'
  return isToken(text, start, end) ? 'other' : 'bad'
}
