import type { Snapshot } from '../config/model.ts'
import type { Answer } from './answer.ts'
import { checkAssets } from './asset-check.ts'
import { checkCookies } from './cookie-check.ts'
import { checkCsrf } from './csrf-check.ts'
import { checkDebug } from './debug-check.ts'
import { checkFields, checkHsts, checkLeaks } from './field-check.ts'
import type { Finding } from './finding.ts'
import { askedHosts, checkHosts, checkProbes } from './host-check.ts'
import { checkKeepAlive } from './keep-alive-check.ts'
import { checkLinks } from './link-check.ts'
import { namesOf } from './names.ts'
import { checkReach } from './reach-check.ts'
import { checkPlain, checkRedirects } from './redirect-check.ts'
import { checkSpoofing } from './spoof-check.ts'
import { checkSpool } from './spool-check.ts'
import { checkStalls } from './stall-check.ts'
import type { Survey } from './survey.ts'
import { checkTimeouts } from './timeout-check.ts'
import { checkTrust } from './trust-check.ts'

/** All that the checks find in what a site answered and, where it is known, in its configuration. */
export function diagnose(survey: Survey, snapshot: Snapshot | undefined): Finding[] {
  const { chain, spoofs, certificateProblem, pages, probes } = survey
  const names = namesOf(snapshot)
  const [page] = pages
  return [
    ...checkReach(chain, certificateProblem),
    ...checkRedirects(chain, spoofs, names),
    ...checkProbes(probes, chain.at(-1)?.url ?? '', names),
    ...(page === undefined ? checkDebug([chain.at(-1)]) : diagnosePage(survey, page, names)),
    ...checkSpoofing(spoofs, names),
    ...checkStalls(survey.stalls),
    ...(snapshot === undefined
      ? []
      : [checkTrust, checkTimeouts, checkSpool].flatMap(check => check(snapshot))),
  ]
}

function diagnosePage(survey: Survey, page: Answer, names: ReturnType<typeof namesOf>): Finding[] {
  const { chain, plain, pages, missing, stranger, assets, again, csrf } = survey
  const forms = csrf?.form.kind === 'answer' ? [csrf.form] : []
  return [
    ...checkPlain(plain, names),
    ...checkHosts(page, stranger, askedHosts(survey.probes, names)),
    ...checkLinks(pages, names),
    ...checkDebug([missing, page, stranger]),
    ...checkCookies([...pages, ...forms], names),
    ...checkCsrf(csrf, pages, names),
    ...checkHsts(chain, page, names),
    ...checkFields(page),
    ...checkAssets(assets, names),
    ...checkLeaks(page),
    ...checkKeepAlive(again),
  ]
}
