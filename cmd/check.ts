import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { countText, formatProblems, type Problem, Report } from '../lib/config/problem.ts'
import type { StatusDocument } from '../lib/server/admin/status.ts'
import type { LoadedWell } from '../lib/server/rollout/reloader.ts'
import { checkListening, type Held } from '../lib/server/shared/address-check.ts'
import { askAdmin } from './admin-client.ts'

/** What `causeway check` was called with. */
export interface CheckArgs {
  readonly config: string
  readonly json: boolean
}

/** sysexits.h EX_CONFIG */
const BAD_CONFIG = 78
/** For a running process to say what it listens on. */
const ASK_MS = 2000

/**
 * `causeway check`: reads the configuration as `run` would, says what is wrong with it, and starts nothing.
 * Resolves to the exit code.
 */
export async function check({ config, json }: CheckArgs): Promise<number> {
  const loaded = await loadConfig(config, process.env, 'check')
  const problems = loaded.ok ? await withAddresses(config, loaded) : loaded.problems
  const ok = loaded.ok && problems.every(({ severity }) => severity === 'warning')
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok, problems }, undefined, 2)}\n`)
  } else {
    process.stderr.write(formatProblems(problems))
    if (problems.length > 0) process.stderr.write(`\n${countText(problems)}\n`)
    if (loaded.ok && ok) process.stdout.write(`${summary(loaded.snapshot, config, loaded.files.length)}\n`)
  }
  return ok ? 0 : BAD_CONFIG
}

/** What is to be said of the files, and of the addresses on this machine. */
async function withAddresses(config: string, loaded: LoadedWell): Promise<readonly Problem[]> {
  const report = new Report()
  for (const warning of loaded.warnings) report.add(warning)
  await checkListening(loaded.snapshot, loaded.root, report, () => heldBy(config))
  return report.sorted()
}

/** What a process that runs this configuration listens on; nothing if none answers. */
async function heldBy(config: string): Promise<Held> {
  try {
    const { status, body } = await askAdmin(config, 'GET', '/status', ASK_MS)
    const { admin, listeners } = JSON.parse(body) as Pick<StatusDocument, 'admin' | 'listeners'>
    return new Set(status === 200 ? [admin, ...listeners.map(({ address }) => address)] : [])
  } catch {
    // Nobody is there, or somebody else.
    return new Set()
  }
}

function summary({ listeners, upstreams, routes }: Snapshot, config: string, files: number): string {
  const parts = [
    counted(listeners.length, 'listener'),
    counted(upstreams.length, 'upstream'),
    counted(routes.length, 'route'),
  ]
  return `configuration is valid: ${parts.join(', ')} (${config}: ${counted(files, 'file')})`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
