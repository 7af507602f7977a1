import { releaseVersion } from '../lib/server/shared/release.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

/** `causeway version`. */
export async function version({ json }: Pick<CommandArgs, 'json'>): Promise<number> {
  const facts = { version: releaseVersion(), node: process.version }
  process.stdout.write(
    json ? `${JSON.stringify(facts)}\n` : `causeway ${facts.version} (Node.js ${facts.node})\n`,
  )
  return EXIT.fine
}
