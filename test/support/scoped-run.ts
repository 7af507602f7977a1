import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RunScope, type Scope } from '../faults/scope.ts'

export interface ScopedRun {
  readonly scope: Scope
  /** Own, empty folder that goes with the run. */
  readonly folder: string
}

export interface RunOptions {
  readonly name: string
  readonly usage: string
  /** The run ends then at the latest, as failed. */
  readonly longestMs: number
}

/**
 * A script's whole life: does the work and sets the exit code that it gives. However it ends, what it has
 * opened is closed. A TypeError is a mistake on the command line (exit code 2); whatever else is thrown, a
 * failure (1).
 */
export async function runInScope(
  { name, usage, longestMs }: RunOptions,
  work: (run: ScopedRun) => Promise<number>,
): Promise<void> {
  const scope = new RunScope()
  const folder = mkdtempSync(join(tmpdir(), `causeway-${name}-`))
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const breakOff = async (why: string) => {
    say(`${name}: ${why}`)
    await scope.close()
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => breakOff(signal))
  setTimeout(() => breakOff(`not done after ${longestMs / 1000} s`), longestMs).unref()
  try {
    process.exitCode = await work({ scope, folder })
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    if (error instanceof TypeError) say(usage)
    process.exitCode = error instanceof TypeError ? 2 : 1
  } finally {
    await scope.close()
  }
}
