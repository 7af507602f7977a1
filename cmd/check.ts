import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { countText, formatProblems } from '../lib/config/problem.ts'

/** What `causeway check` was called with. */
export interface CheckArgs {
  readonly config: string
  readonly json: boolean
}

/** sysexits.h EX_CONFIG */
const BAD_CONFIG = 78

/** `causeway check`: reads the configuration as `run` would, says what is wrong with it, and starts nothing. Resolves to the exit code. */
export async function check({ config, json }: CheckArgs): Promise<number> {
  const loaded = await loadConfig(config, process.env, 'check')
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok: loaded.ok, problems }, undefined, 2)}\n`)
  } else {
    process.stderr.write(formatProblems(problems))
    if (problems.length > 0) process.stderr.write(`\n${countText(problems)}\n`)
    if (loaded.ok) process.stdout.write(`${summary(loaded.snapshot, config, loaded.files.length)}\n`)
  }
  return loaded.ok ? 0 : BAD_CONFIG
}

function summary({ listeners, upstreams, routes }: Snapshot, config: string, files: number): string {
  const parts = [
    counted(listeners.length, 'listener'),
    counted(upstreams.length, 'upstream'),
    counted(routes.length, 'route'),
  ]
  return `configuration is fine: ${parts.join(', ')} (${config}: ${counted(files, 'file')})`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
