import type { RouteConfig } from '../config/model.ts'
import { type AnswerPolicy, NO_POLICY } from '../http/answer-policy.ts'

/** What a route says about its answers; undefined if nothing, and then nobody looks. */
export function policyOf({ hsts, errorPages }: RouteConfig): AnswerPolicy | undefined {
  if (hsts === undefined && errorPages.length === 0) return undefined
  return { ...NO_POLICY, hsts, pages: errorPages }
}
