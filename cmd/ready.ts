import type { DrainAnswer } from '../lib/server/admin/verbs.ts'
import { askAdmin, orFail } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'
import { refused, verbPage } from './upstream-verb.ts'

const TIMEOUT_MS = 10_000

/** `causeway ready UPSTREAM [ENDPOINT]`: takes a drain back. */
export function ready({ config, json, operands }: CommandArgs): Promise<number> {
  const [upstream = '', endpoint] = operands
  return orFail(json, async () => {
    const query = endpoint === undefined ? [] : ([['endpoint', endpoint]] as const)
    const answer = await askAdmin(config, 'POST', verbPage(upstream, 'ready', query), TIMEOUT_MS)
    if (answer.status !== 200) return refused(answer)
    process.stdout.write(json ? answer.body : describe(JSON.parse(answer.body) as DrainAnswer))
    return EXIT.fine
  })
}

function describe({ endpoints }: DrainAnswer): string {
  const lines = endpoints.map(({ name, state, reason }) => {
    return `${name} is ${state}${reason === undefined ? '' : `: ${reason}`}`
  })
  return `${lines.join('\n')}\n`
}
