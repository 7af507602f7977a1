import { readdirSync, readFileSync } from 'node:fs'
import type { Snapshot } from '../config/model.ts'

/**
 * Kept for upstream connections, static and log files, probes, the admin listener: at least so many, and this share. A client whose body
 * waits in a file takes two descriptors: such files are counted with the clients, as they come, because most clients never need one.
 */
const RESERVE = 32
const RESERVE_SHARE = 0.1
/** What a data thread opens for itself: its event loop and its channel (Node 24 on Linux). Its listeners come on top. */
const THREAD_OWN = 6
/** Whatever the limit, some clients are served. */
const LEAST = 8

/** What is still to be opened when `maxConnections` counts what is open. */
export interface ToBeOpened {
  readonly threads: number
  /** Each is opened by every thread. */
  readonly listeners: number
}

/**
 * Client connections that the process's limit of open files allows: with no descriptor left neither an app nor a file nor
 * the admin listener could be reached. Infinity where the system does not tell.
 */
export function maxConnections({ threads, listeners }: ToBeOpened): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    if (soft === undefined) return Number.POSITIVE_INFINITY
    const open = readdirSync('/proc/self/fd').length + threads * (THREAD_OWN + listeners)
    const free = Number(soft) - open
    return Math.max(LEAST, Math.floor(free - Math.max(RESERVE, free * RESERVE_SHARE)))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * Clients and files of spooled bodies together; `clients`: what `maxConnections` allows. Half of the reserve is for files, so that clients
 * who hold all connections and do nothing do not stop the uploads of others; never more, or apps and the admin listener could not be reached.
 */
export function maxWithFiles(clients: number): number {
  return clients + Math.floor((clients * RESERVE_SHARE) / 2)
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
