import type { ExchangeRecord } from '../../http/record.ts'
import { errorAnswer } from '../connection/error-answer.ts'
import { answerPairs } from './answer-pairs.ts'
import type { Http2Stream } from './http2-stream.ts'

/** What an answer to a refused head depends on. */
export interface RefusalTerms {
  /** It was a HEAD: content would break the stream. */
  readonly isHead: boolean
  readonly dateText: string
}

/**
 * Answers a head that will not be acted on. Nobody owns its stream: it is watched like every other until the
 * client has taken the answer.
 */
export function answerRefused(stream: Http2Stream, record: ExchangeRecord, terms: RefusalTerms): void {
  const { head, text } = errorAnswer(record.status, record, undefined)
  stream.begin(answerPairs(head, terms.dateText))
  if (!terms.isHead) stream.put(Buffer.from(text, 'latin1'))
  stream.end()
}

/** Is this header list, whatever else it is, that of a HEAD request? */
export function isHead(pairs: readonly string[]): boolean {
  for (let i = 0; i + 1 < pairs.length; i += 2) if (pairs[i] === ':method') return pairs[i + 1] === 'HEAD'
  return false
}
