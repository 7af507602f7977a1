import type { StatusDocument } from '../../lib/server/admin/status.ts'

/** A spool that nothing waits in. */
export const SPOOL: StatusDocument['spool'] = {
  folder: '/tmp',
  problem: null,
  memory_bytes: 0,
  memory_limit_bytes: 1,
  file_bytes: 0,
  file_limit_bytes: 1,
}

/** The status of a process that has nothing to do, with changes. */
export function statusOf(changes: Partial<StatusDocument>): StatusDocument {
  return {
    version: '0.0.0',
    pid: 1,
    phase: 'ready',
    started_at: '2026-01-01T00:00:00.000Z',
    uptime_s: 1,
    generation: 1,
    hash: '',
    admin: '127.0.0.1:9180',
    listeners: [],
    threads: [],
    thread_restarts: { exit: 0, stuck: 0 },
    upstreams: [],
    routes: [],
    tunnels: [],
    spool: SPOOL,
    certificates: [],
    certificate_problems: [],
    log_problems: [],
    endpoint_problem: null,
    workers: [],
    warnings: [],
    last_reload: null,
    ...changes,
  }
}
