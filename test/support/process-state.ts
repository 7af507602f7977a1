import { readFileSync } from 'node:fs'

/** Whether a process runs. One that has ended and that nobody has waited for yet (a zombie) does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/\) [ZX] /.test(stat)
  } catch {
    return false
  }
}
