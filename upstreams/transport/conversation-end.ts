import type { Attempt, Job } from '../job.ts'

/**
 * Nothing has moved either way in a conversation. Nobody owed anything: it says nothing about the endpoint's
 * health.
 */
export function endSilent(attempt: Attempt, job: Job, idleMs: number): void {
  attempt.cancel()
  job.failed('TUNNEL_IDLE', `nothing moved either way for ${idleMs} ms`)
}
