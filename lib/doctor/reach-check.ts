import type { Outcome } from './answer.ts'
import { type Finding, ok, problem } from './finding.ts'

const CHECK = 'reachable'

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no process listens there: start it, or correct the port',
  ENOTFOUND: 'the name does not resolve: correct it, or its DNS record',
  EAI_AGAIN: 'the name server does not respond',
  ETIMEDOUT: 'check firewalls, and whether the app hangs',
  EPROTO: 'the port does not use TLS: use http://, or another port',
}

/** Does the site answer, with a certificate that is right, and with a page? */
export function checkReach(chain: readonly Outcome[], certificateProblem: string | undefined): Finding[] {
  const findings: Finding[] = []
  if (certificateProblem !== undefined) {
    const fix = 'install a certificate for this name, with its chain'
    findings.push(problem('certificate', chain[0]?.url ?? '', `invalid: ${certificateProblem}`, fix))
  }
  const last = chain.at(-1) as Outcome
  if (last.kind === 'failure') {
    const where = chain.length > 1 ? `${last.url} (redirected from ${chain.at(-2)?.url})` : last.url
    findings.push(
      problem(CHECK, where, last.reason, REASONS[last.code] ?? 'check the log of the server there'),
    )
  } else if (last.status >= 500) {
    findings.push(problem(CHECK, last.url, `returns ${last.status}`, adviceOn(last.status)))
  } else {
    findings.push(ok(CHECK, last.url, `returns ${last.status}`))
  }
  return findings
}

function adviceOn(status: number): string {
  switch (status) {
    case 502:
      return 'the app does not respond: correct upstreams.NAME.endpoints, or start it'
    case 503:
      return 'no endpoint is ready, or the queue is full: causeway status shows which'
    case 504:
      return 'the app takes longer than upstreams.NAME.timeouts.response'
    default:
      return 'the app failed: its log has the traceback'
  }
}
