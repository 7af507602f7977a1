import { FIELD } from './field-ids.ts'
import type { AnswerHead } from './message.ts'

/** What a route has to say about every answer that goes out for it, whoever made it. */
export interface AnswerPolicy {
  /** Value of Strict-Transport-Security for answers over https that have none. */
  readonly hsts: string | undefined
  /** Bodies of the error answers that Causeway makes itself; the first that fits counts. */
  readonly pages: readonly ErrorPage[]
  /** Retry-After of our own 503, in seconds. */
  readonly retryAfterSeconds: number
}

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

/** Value of Strict-Transport-Security that the policy adds. RFC 6797 7.2: never over plain http; the app's own word goes before ours. */
export function addedHsts(
  { hsts }: AnswerPolicy,
  scheme: 'http' | 'https',
  head: AnswerHead,
): string | undefined {
  if (hsts === undefined || scheme !== 'https') return undefined
  return head.fields.has(FIELD['strict-transport-security']) ? undefined : hsts
}

/** The lines that the policy adds to a head of HTTP/1. */
export function policyText(policy: AnswerPolicy, scheme: 'http' | 'https', head: AnswerHead): string {
  const hsts = addedHsts(policy, scheme, head)
  return hsts === undefined ? '' : `Strict-Transport-Security: ${hsts}\r\n`
}
