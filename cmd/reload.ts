import type { ReloadResult } from '../lib/server/rollout/reloads.ts'
import { askAdmin, orFail, unexpected } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

/** New managed workers may take half a minute until they answer. */
const TIMEOUT_MS = 60_000
const TAKEN = 200
const REFUSED = 422

/** `causeway reload`: like SIGHUP, but says how it went. */
export function reload({ config, json }: CommandArgs): Promise<number> {
  return orFail(json, async () => {
    const answer = await askAdmin(config, 'POST', '/reload', TIMEOUT_MS)
    const { status, body } = answer
    if (status !== TAKEN && status !== REFUSED) throw unexpected(answer)
    const result = JSON.parse(body) as ReloadResult
    process.stdout.write(json ? body : describe(result))
    if (!result.ok) return EXIT.config
    return result.problems.length === 0 ? EXIT.fine : EXIT.failed
  })
}

function describe({ ok, generation, hash, problems, warnings }: ReloadResult): string {
  const head = ok
    ? `generation ${generation} is running (${hash})`
    : `rejected: generation ${generation} stays in use (${hash})`
  // A warning about a file says so behind the place.
  const notes = warnings.map(text => (text.includes(': warning: ') ? text : `warning: ${text}`))
  return `${[head, ...problems, ...notes].join('\n')}\n`
}
