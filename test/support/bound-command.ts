import { existsSync } from 'node:fs'

const SETPRIV = '/usr/bin/setpriv'

/**
 * The command line that makes a program end with the process that starts it: a test that is killed has no
 * teardown. The program keeps the process ID that it would have had. Where the machine has no setpriv
 * (util-linux), the command line as it is.
 */
export function boundCommand(program: string, args: readonly string[]): [string, string[]] {
  if (!existsSync(SETPRIV)) return [program, [...args]]
  return [SETPRIV, ['--pdeathsig', 'KILL', program, ...args]]
}
