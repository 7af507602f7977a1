import type { Outcome } from './answer.ts'
import { type Finding, hint, ok } from './finding.ts'

/** Does a second request find its connection still open? */
export function checkKeepAlive(again: Outcome | undefined): Finding[] {
  const check = 'keep-alive'
  if (again?.kind !== 'answer') return []
  if (again.reused) return [ok(check, again.url, 'a second request reused the connection')]
  const fix =
    'Causeway: listeners.NAME.timeouts.keepalive = "75s" (in another proxy: do not send Connection: close)'
  return [hint(check, again.url, 'every request needs a new connection', fix)]
}
