import { FIELD } from './field-ids.ts'
import type { AnswerHead } from './message.ts'
import { withField } from './one-field.ts'

/** What a route has to say about every answer that goes out for it, whoever made it. */
export interface AnswerPolicy {
  /** Value of Strict-Transport-Security for answers over https that have none. */
  readonly hsts: string | undefined
  /** Bodies of the error answers that Causeway makes itself; the first that fits counts. */
  readonly pages: readonly ErrorPage[]
  /** Retry-After of our own 503, in seconds. */
  readonly retryAfterSeconds: number
}

/** Changes nothing. */
export const NO_POLICY: AnswerPolicy = { hsts: undefined, pages: [], retryAfterSeconds: 1 }

/** A page for statuses from `from` to `to`. `{request_id}` in its text stands for the request's id. */
export interface ErrorPage {
  readonly from: number
  readonly to: number
  /** Value of Content-Type. */
  readonly type: string
  /** The file's bytes, one character each. */
  readonly text: string
}

export function pageFor(policy: AnswerPolicy | undefined, status: number): ErrorPage | undefined {
  return policy?.pages.find(page => status >= page.from && status <= page.to)
}

/**
 * The policy, if it may change the fields of an answer over `scheme`; undefined if every answer goes out as
 * it was made. Hot.
 */
export function fieldPolicy(
  policy: AnswerPolicy | undefined,
  scheme: 'http' | 'https',
): AnswerPolicy | undefined {
  // RFC 6797 7.2: never over plain http.
  return policy?.hsts !== undefined && scheme === 'https' ? policy : undefined
}

/**
 * The head as the route's policy wants it: the last thing that happens to every final answer, in every
 * protocol and whoever made it. The same object where nothing changes. What the app has said itself goes
 * before the policy.
 */
export function finished(
  policy: AnswerPolicy | undefined,
  scheme: 'http' | 'https',
  head: AnswerHead,
): AnswerHead {
  const hsts = fieldPolicy(policy, scheme)?.hsts
  if (hsts === undefined || head.fields.has(FIELD['strict-transport-security'])) return head
  return { ...head, fields: withField(head.fields, 'Strict-Transport-Security', hsts) }
}
