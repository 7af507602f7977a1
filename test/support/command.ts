import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Running } from './causeway.ts'

/** How a command ended. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs commands against a running process, as an operator on its machine would. */
export function commandsFor(t: Test, { adminUrl }: Running): (...args: readonly string[]) => Promise<Ran> {
  const config = join(t.testdir(), 'causeway.toml')
  const admin = `[admin]\naddress = "${adminUrl.replace('http://', '')}"\n`
  writeFileSync(config, `${admin}[listeners.web]\naddress = "127.0.0.1:0"\n`)
  return (command = '', ...args) => {
    return new Promise(resolve => {
      const argv = ['cmd/causeway.ts', command, '--config', config, ...args]
      execFile(process.execPath, argv, (error, stdout, stderr) => {
        resolve({
          code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        })
      })
    })
  }
}
