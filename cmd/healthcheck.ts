import { askAdmin, orFail, unexpected } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

/** Docker's own default is 30 s; a process that takes 5 s to say that it is ready is not well. */
const TIMEOUT_MS = 5000
const READY = 200
const NOT_READY = 503

/** `causeway healthcheck`: 0 if the process is ready. */
export function healthcheck({ config, json }: CommandArgs): Promise<number> {
  return orFail(json, async () => {
    const answer = await askAdmin(config, 'GET', '/readyz', TIMEOUT_MS)
    const { status, body } = answer
    const ready = status === READY
    if (!ready && status !== NOT_READY) throw unexpected(answer)
    process.stdout.write(json ? `${JSON.stringify({ ready })}\n` : body)
    return ready ? EXIT.fine : EXIT.failed
  })
}
