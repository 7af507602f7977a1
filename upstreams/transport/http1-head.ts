import { latin1Slice } from '../../lib/base/latin1.ts'
import { FIELD } from '../../lib/http/field-ids.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import type { HeadLimits } from '../../lib/wire/refusal.ts'
import { parseResponseHead } from '../../lib/wire/response-head.ts'

/** What an app may send as a head: more than we take from clients, since apps set many cookies. */
const LIMITS: HeadLimits = { headersBytes: 64 * 1024, headerCount: 256, targetBytes: 8 * 1024 }
const USUAL_BYTES = 2048

/** The response head at bytes[at, end). Most are short: the bytes of a body behind it need not become text to be looked at. */
export function parseHeadAt(
  bytes: Buffer,
  at: number,
  end: number,
  method: string,
): ReturnType<typeof parseResponseHead> {
  const near = Math.min(end, at + USUAL_BYTES)
  const head = parseResponseHead(latin1Slice(bytes, at, near), method, LIMITS)
  return head === undefined && near < end
    ? parseResponseHead(latin1Slice(bytes, at, end), method, LIMITS)
    : head
}

/** Keep-Alive: timeout=5, in milliseconds. */
export function keepAliveTimeout(head: ResponseHead): number | undefined {
  const index = head.fields.indexOf(FIELD['keep-alive'])
  if (index < 0) return undefined
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(head.fields.value(index))?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
