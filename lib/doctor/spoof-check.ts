import { type Answer, fieldOf, targetOf } from './answer.ts'
import { type Finding, ok, problem } from './finding.ts'
import type { Names } from './names.ts'
import { type Spoof, STRANGER } from './survey.ts'

const CHECK = 'forwarded'

/** Is what a client claims about itself in X-Forwarded-* and Forwarded believed? */
export function checkSpoofing(spoofs: readonly Spoof[], { listener }: Names): Finding[] {
  const fix = `Causeway: listeners.${listener}.trusted_proxies = ["<address of your load balancer>"], and nothing else (in another proxy: overwrite these fields)`
  for (const { claimed, honest, spoofed } of spoofs) {
    // An app that fails in between changes more than what is claimed.
    if (honest.kind === 'failure' || spoofed.kind === 'failure' || spoofed.status >= 500) continue
    const text = `${fieldOf(spoofed, 'location') ?? ''}${spoofed.text}`
    if (text.includes(STRANGER)) {
      const what = `the client's X-Forwarded-Host: ${STRANGER} is reflected in the response`
      return [problem(CHECK, honest.url, what, `${fix}; Django: USE_X_FORWARDED_HOST = False`)]
    }
    if (schemeBelieved(honest, spoofed)) {
      const what = `the client's X-Forwarded-Proto: ${claimed} is trusted`
      return [problem(CHECK, honest.url, what, fix)]
    }
  }
  const where = spoofs[0]?.honest.url
  return where === undefined
    ? []
    : [ok(CHECK, where, 'X-Forwarded-* fields from clients have no visible effect')]
}

/** Redirects to https and Strict-Transport-Security come and go with the scheme that the app believes. */
function schemeBelieved(honest: Answer, spoofed: Answer): boolean {
  const secured = (answer: Answer) => fieldOf(answer, 'strict-transport-security') !== undefined
  const sent = (answer: Answer) => targetOf(answer)?.startsWith('https:') === true
  return secured(honest) !== secured(spoofed) || sent(honest) !== sent(spoofed)
}
