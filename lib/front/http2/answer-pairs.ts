import { saidLength } from '../../http/answer-content.ts'
import { type AnswerPolicy, finished } from '../../http/answer-policy.ts'
import type { KeptAnswer } from '../../http/exchange.ts'
import { FIELD, FIELD_COUNT, fieldName } from '../../http/field-ids.ts'
import { DROPPED, type FieldList, ID_MASK, STRIDE } from '../../http/field-list.ts'
import type { AnswerHead } from '../../http/message.ts'

/** A header list: names and values in turn. Names may have capitals; the encoder lowers them. */
export type HeaderPairs = string[]

const OF_A_CONNECTION = new Uint8Array(FIELD_COUNT)
for (const name of ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'] as const)
  OF_A_CONNECTION[FIELD[name]] = 1

const STATUS_TEXTS: readonly string[] = Array.from({ length: 600 }, (_, status) => String(status))

/** The head of a final answer. */
export function answerPairs(head: AnswerHead, dateText: string): HeaderPairs {
  const { status, fields } = head
  const pairs = [':status', STATUS_TEXTS[status] as string]
  addPairs(pairs, fields)
  if (!fields.has(FIELD.date)) pairs.push('date', dateText)
  const length = saidLength(head)
  if (length !== undefined) pairs.push('content-length', String(length))
  return pairs
}

/** The switch to a WebSocket: a 200 without what only HTTP/1 says (RFC 8441 5). */
export function webSocketPairs(fields: FieldList, dateText: string): HeaderPairs {
  fields.dropAll(FIELD['sec-websocket-accept'])
  fields.dropAll(FIELD.upgrade)
  return answerPairs({ status: 200, reason: '', fields, length: undefined }, dateText)
}

/** An interim answer. */
export function interimPairs(status: number, fields: FieldList): HeaderPairs {
  const pairs = [':status', STATUS_TEXTS[status] as string]
  addPairs(pairs, fields)
  return pairs
}

/** Fields behind a body (RFC 9110 6.5). */
export function trailerPairs(fields: FieldList): HeaderPairs {
  const pairs: HeaderPairs = []
  addPairs(pairs, fields)
  return pairs
}

/**
 * True if HTTP/2 can carry these fields: none of them belongs to a connection of HTTP/1.1 (RFC 9113 8.2.2).
 */
export function areCarried({ marks }: FieldList): boolean {
  for (let at = 0; at < marks.length; at += STRIDE) {
    const mark = marks[at] as number
    if ((mark & DROPPED) === 0 && OF_A_CONNECTION[mark & ID_MASK] === 1) return false
  }
  return true
}

/** What a kept answer's head is within one second, for routes with this policy. */
interface Rendering {
  readonly dateText: string
  readonly policy: AnswerPolicy | undefined
  readonly pairs: HeaderPairs
}

/** The head of a kept answer, made once a second. `policy`: what may change its fields. */
export function keptPairs(
  answer: KeptAnswer,
  dateText: string,
  policy: AnswerPolicy | undefined,
  scheme: 'http' | 'https',
): HeaderPairs {
  const known = answer.http2Rendering as Rendering | undefined
  if (known?.dateText === dateText && known.policy === policy) return known.pairs
  const pairs = answerPairs(finished(policy, scheme, answer.head), dateText)
  answer.http2Rendering = { dateText, policy, pairs } satisfies Rendering
  return pairs
}

/** Bytes that a header list stands for, before compression. */
export function pairsSize(pairs: HeaderPairs): number {
  let size = 0
  for (let i = 0; i < pairs.length; i += 1) size += (pairs[i] as string).length
  return size
}

function addPairs(pairs: HeaderPairs, { marks, text }: FieldList): void {
  for (let at = 0; at < marks.length; at += STRIDE) {
    const mark = marks[at] as number
    if ((mark & DROPPED) !== 0) continue
    const name = fieldName(mark & ID_MASK)
    pairs.push(
      name === '' ? text.slice(marks[at + 1], marks[at + 2]) : name,
      text.slice(marks[at + 3], marks[at + 4]),
    )
  }
}
