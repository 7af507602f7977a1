import { readdirSync, readFileSync } from 'node:fs'
import type { Snapshot } from '../config/model.ts'

/** Kept for upstream connections, static and log files, probes, the admin listener: at least so many, and this share. */
const RESERVE = 32
const RESERVE_SHARE = 0.1
/** Whatever the limit, some clients are served. */
const LEAST = 8

/**
 * Client connections that the process's limit of open files allows: with no descriptor left neither an app nor a file nor
 * the admin listener could be reached. Infinity where the system does not tell.
 */
export function maxConnections(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    if (soft === undefined) return Number.POSITIVE_INFINITY
    const free = Number(soft) - readdirSync('/proc/self/fd').length
    return Math.max(LEAST, Math.floor(free - Math.max(RESERVE, free * RESERVE_SHARE)))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** A warning for each listener that is promised more connections than there can be. */
export function scarceDescriptors({ listeners }: Snapshot, most: number): string[] {
  return listeners
    .filter(({ limits }) => limits.connections > most)
    .map(
      ({ name, limits }) =>
        `listeners.${name}.limits.connections is ${limits.connections}, but the limit of open files allows ${most}: raise it (ulimit -n, LimitNOFILE=)`,
    )
}
