import type { DeployAnswer } from '../lib/server/admin/verbs.ts'
import { askAdmin, orFail } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'
import { readTimeout, refused, verbPage } from './upstream-verb.ts'

/**
 * The wait for the new endpoints has its limit in the process, and so has the drain of the old ones: this is
 * only against a hang.
 */
const TIMEOUT_MS = 3 * 3_600_000
const DONE = 200
const GIVEN_UP = 422

/**
 * `causeway deploy UPSTREAM ENDPOINT...`: exit 0 once the new endpoints have the traffic and the old ones are
 * out, 1 if nothing has changed.
 */
export async function deploy({ config, json, operands, options, flags }: CommandArgs): Promise<number> {
  const [upstream = '', ...endpoints] = operands
  const configured = flags.has('configured')
  if (configured === endpoints.length > 0) {
    process.stderr.write(
      'causeway: specify the new endpoints, or use --configured for those in the configuration\n',
    )
    return EXIT.usage
  }
  const timeout = options['timeout']
  if (Number.isNaN(readTimeout(timeout))) return EXIT.usage
  const query: (readonly [string, string])[] = endpoints.map(endpoint => ['endpoint', endpoint])
  if (configured) query.push(['configured', 'true'])
  if (timeout !== undefined) query.push(['timeout', timeout])
  return orFail(json, async () => {
    const answer = await askAdmin(config, 'POST', verbPage(upstream, 'deploy', query), TIMEOUT_MS)
    if (answer.status !== DONE && answer.status !== GIVEN_UP) return refused(answer)
    const result = JSON.parse(answer.body) as DeployAnswer
    process.stdout.write(json ? answer.body : describe(result))
    return result.ok ? EXIT.fine : EXIT.failed
  })
}

function describe({ upstream, endpoints, steps, problem }: DeployAnswer): string {
  const end =
    problem === null
      ? `upstream ${upstream}: ${endpoints.join(', ')}`
      : `deploy failed: ${problem}; upstream ${upstream} stays on ${endpoints.join(', ')}`
  return `${[...steps, end].join('\n')}\n`
}
