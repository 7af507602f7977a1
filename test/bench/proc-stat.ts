import { readdirSync, readFileSync } from 'node:fs'

// USER_HZ: the unit of utime and stime in /proc/PID/stat (proc(5)); 100 on every Linux that Node runs on.
const TICKS_A_SECOND = 100

interface ProcessStat {
  readonly parent: number
  readonly cpuTicks: number
}

function statOf(pid: number): ProcessStat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined // ended meanwhile
  }
  // The second field is the name in parentheses and may hold spaces; fields are counted behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { parent: Number(fields[1]), cpuTicks: Number(fields[11]) + Number(fields[12]) }
}

/** The process and all that descend from it. */
export function processTree(root: number): readonly number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const stat = Number.isInteger(pid) ? statOf(pid) : undefined
    if (stat !== undefined) parents.set(pid, stat.parent)
  }
  const tree = parents.has(root) ? [root] : []
  for (const parent of tree) {
    for (const [pid, of] of parents) if (of === parent) tree.push(pid)
  }
  return tree
}

/** CPU time of a process tree so far, user and system, all threads, in microseconds. */
export function cpuMicros(root: number): number {
  const ticks = processTree(root).reduce((sum, pid) => sum + (statOf(pid)?.cpuTicks ?? 0), 0)
  return (ticks * 1e6) / TICKS_A_SECOND
}

function residentKiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Resident memory of a process tree; pages that processes share count once for each. */
export function treeResidentKiB(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + residentKiB(pid), 0)
}
