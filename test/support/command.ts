import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Running } from './causeway.ts'

const PROGRAM = join(import.meta.dirname, '../../cmd/causeway.ts')

/** How a command ended. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** The folder it is called in; this checkout unless said. */
  readonly cwd?: string
  /** Variables besides those of the test. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs the program as a person would. */
export function runCommand(
  args: readonly string[],
  { cwd = process.cwd(), env }: RunOptions = {},
): Promise<Ran> {
  return new Promise(resolve => {
    const options = { cwd, env: { ...process.env, ...env } }
    execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      })
    })
  })
}

/** Runs commands against a running process, as an operator on its machine would. */
export function commandsFor(t: Test, { adminUrl }: Running): (...args: readonly string[]) => Promise<Ran> {
  const config = join(t.testdir(), 'causeway.toml')
  const admin = `[admin]\naddress = "${adminUrl.replace('http://', '')}"\n`
  writeFileSync(config, `${admin}[listeners.web]\naddress = "127.0.0.1:0"\n`)
  return (command = '', ...args) => runCommand([command, '--config', config, ...args])
}
