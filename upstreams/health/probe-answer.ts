import { hintOfStatus } from './failure-reason.ts'
import type { Probe } from './health.ts'
import type { ProbeTarget } from './probe-target.ts'

/** Of a health page's body; what is longer is cut off, and counts as read. */
export const MAX_BODY_BYTES = 64 * 1024

/** What the status of a complete answer says of the endpoint. */
export function judgeStatus(
  { health, host }: ProbeTarget,
  status: number,
  location: string | undefined,
): Probe {
  if (health.expect.includes(status)) return { ok: true }
  const hint = hintOfStatus(status, location, host, health.path)
  return { ok: false, reason: `status ${status}, expected ${health.expect.join(' or ')}${hint}` }
}
