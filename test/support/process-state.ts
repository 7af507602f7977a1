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

/** Processes that this one has started and that are still there. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
  return text
    .split(' ')
    .map(Number)
    .filter(child => child > 0)
}
