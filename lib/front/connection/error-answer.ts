import { type AnswerPolicy, pageFor } from '../../http/answer-policy.ts'
import { FieldList } from '../../http/field-list.ts'
import type { AnswerHead } from '../../http/message.ts'
import { phraseOf } from '../../http/phrases.ts'
import type { ExchangeRecord } from '../../http/record.ts'

/** An answer that Causeway makes itself, before it is put into the words of a protocol. */
export interface ErrorAnswer {
  readonly head: AnswerHead
  /** latin1, one character a byte. */
  readonly text: string
}

/**
 * What a client is told of an exchange that failed: the operator's page, or a line that names the request for
 * whoever looks for it in the log.
 */
export function errorAnswer(
  status: number,
  record: ExchangeRecord,
  policy: AnswerPolicy | undefined,
): ErrorAnswer {
  const { requestId } = record
  const page = pageFor(policy, status)
  const text =
    page?.text.replaceAll('{request_id}', requestId) ??
    `${status} ${phraseOf(status)}\nRequest id: ${requestId}\n`
  const fields = errorFields(status, page?.type, record.retryAfterSeconds ?? policy?.retryAfterSeconds)
  return { head: { status, reason: '', fields, length: text.length }, text }
}

function errorFields(status: number, type = 'text/plain; charset=utf-8', retryAfterSeconds = 1): FieldList {
  const fields: [string, string][] = [
    ['Content-Type', type],
    ['Cache-Control', 'no-store'],
  ]
  if (status === 503) fields.push(['Retry-After', String(retryAfterSeconds)])
  return FieldList.of(fields)
}
