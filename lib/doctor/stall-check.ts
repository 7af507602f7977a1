import { isStall } from '../../upstreams/ack-stall.ts'
import { STALL_REMEDY } from '../../upstreams/stall-remedy.ts'
import { type Finding, hint, ok } from './finding.ts'
import type { StallTrial } from './stall-trial.ts'

const CHECK = 'keep-alive'

/** Do answers of endpoints wait for delayed acknowledgements where connections are kept? */
export function checkStalls(trials: readonly StallTrial[]): Finding[] {
  return trials.flatMap(({ upstream, origin, answers }) => {
    const used = answers.filter(answer => answer.used)
    if (used.length < 2) return []
    const where = `${origin} (upstream ${upstream})`
    const stalls = used.filter(({ pauseMs }) => isStall(pauseMs)).length
    const pausesItself = answers.some(answer => !answer.used && isStall(answer.pauseMs))
    if (pausesItself || stalls * 2 < used.length)
      return [ok(CHECK, where, 'responses on reused connections are as fast as on new ones')]
    const what = `${stalls} of ${used.length} responses on a reused connection were 40 ms late, so connections are not reused there under load`
    return [hint(CHECK, where, what, STALL_REMEDY)]
  })
}
