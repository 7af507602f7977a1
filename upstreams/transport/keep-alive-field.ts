import { FIELD } from '../../lib/http/field-ids.ts'
import type { ResponseHead } from '../../lib/http/message.ts'

/** How long an app says it keeps an idle connection, in milliseconds: Keep-Alive: timeout=5. */
export function keepAliveTimeout(head: ResponseHead): number | undefined {
  const index = head.fields.rawIndexOf(FIELD['keep-alive'])
  if (index < 0) return undefined
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(head.fields.value(index))?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
