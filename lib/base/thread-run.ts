/** CPU time that this thread has used, milliseconds. */
export function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Less than this is the usual: a system with many threads, and no pause. */
const PAUSE_MS = 100

/**
 * For how long a thread was kept from running, of the time from one tick to the next: the machine was
 * suspended, or others had the processor. A thread that was busy itself has used CPU time meanwhile, and was
 * not kept from anything.
 */
export function keptMs(elapsedMs: number, tickMs: number, cpuMs: number): number {
  const kept = elapsedMs - tickMs - cpuMs
  return kept > PAUSE_MS ? kept : 0
}
