import { readdirSync, readFileSync } from 'node:fs'
import { acceptSockets } from '../../base/accept-sockets.ts'
import type { DescriptorLimits } from '../../base/descriptors.ts'
import type { Snapshot } from '../../config/model.ts'

/**
 * Clients leave at least so many, and this share. Half of them at most are for what is opened for clients
 * (connections to apps, files), so that those who hold all connections do not stop the others' requests; the
 * rest is the admin listener's, and for probes, logs and names.
 */
const RESERVE = 32
const RESERVE_SHARE = 0.1
/**
 * What a data thread opens for itself: its event loop and its channel (Node 24 on Linux). Its listeners come
 * on top.
 */
const THREAD_OWN = 6
/** Whatever the limit, some clients are served. */
const LEAST = 8
/**
 * Connections of the admin listener: as few as that where descriptors are scarce, and never more than that.
 */
const LEAST_ADMIN = 8
const MOST_ADMIN = 256
/** Its share of what clients leave. */
const ADMIN_SHARE = 0.25

/** What is still to be opened when `maxConnections` counts what is open. */
export interface ToBeOpened {
  readonly threads: number
  /** Each is opened by every thread, once or on several sockets. */
  readonly listeners: number
}

/**
 * Client connections that the process's limit of open files allows: with no descriptor left neither an app
 * nor a file nor the admin listener could be reached. Infinity where the system does not tell.
 */
export function maxConnections({ threads, listeners }: ToBeOpened): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    if (soft === undefined) return Number.POSITIVE_INFINITY
    const open = readdirSync('/proc/self/fd').length + threads * THREAD_OWN
    const clients = (sockets: number) => clientsAmong(Number(soft) - open - threads * listeners * sockets)
    const most = clients(1)
    const sockets = acceptSockets(most)
    return sockets === 1 ? most : clients(sockets)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

function clientsAmong(free: number): number {
  return Math.max(LEAST, Math.floor(free - Math.max(RESERVE, free * RESERVE_SHARE)))
}

/** What the process may have open for its traffic; `clients`: what `maxConnections` allows. */
export function descriptorLimits(clients: number): DescriptorLimits {
  return { clients, all: maxWithFiles(clients) }
}

/** Connections that the admin listener may have beside so many clients. */
export function adminPlaces(clients: number): number {
  const left = Math.max(RESERVE, clients * RESERVE_SHARE)
  return Math.min(MOST_ADMIN, Math.max(LEAST_ADMIN, Math.floor(left * ADMIN_SHARE)))
}

/**
 * Clients and what is opened for them together. Never more than half of the reserve beyond the clients, or
 * the admin listener could not be reached.
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
