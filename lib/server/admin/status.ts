import type { CertificateFacts, RestartReason, WorkerFacts } from '../../../metrics/facts.ts'
import { daysLeft } from '../../base/certificate-life.ts'
import type { Address, RouteConfig, Snapshot } from '../../config/model.ts'
import { hasTunnel } from '../../config/tunnel-fit.ts'
import type { EndpointStatus } from '../health/endpoint-entry.ts'
import type { HealthBoard } from '../health/health-board.ts'
import type { Membership } from '../rollout/membership.ts'
import type { ReloadResult } from '../rollout/reloads.ts'
import { addressText } from '../shared/address-text.ts'
import type { WorkerStatus } from '../workers/managed-workers.ts'
import type { QueueStatus } from './queue-status.ts'

/** What a status document is made from. */
export interface StatusFacts {
  readonly version: string
  readonly phase: 'starting' | 'ready' | 'draining' | 'stopped'
  readonly startedWallMs: number
  readonly nowWallMs: number
  readonly generation: number
  readonly snapshot: Snapshot
  readonly admin: Address
  readonly threads: readonly WorkerFacts[]
  beats(thread: number): number
  readonly restarts: Readonly<Record<RestartReason, number>>
  readonly board: Pick<HealthBoard, 'status'>
  /** What of the upstream waits. */
  queue(upstream: string): QueueStatus
  readonly managed: readonly WorkerStatus[]
  readonly membership: Pick<Membership, 'problems' | 'deployed'>
  readonly reload: ReloadResult | undefined
  /** Of the running configuration. */
  readonly warnings: readonly string[]
  /** Tunnels that are open to an endpoint. */
  tunnels(upstream: string, endpoint: string): number
  readonly spool: SpoolFacts
  readonly certificates: readonly CertificateFacts[]
  /** See Rollout. */
  readonly endpointProblem: string | undefined
  /** What is wrong with the files of certificates, one sentence each. */
  readonly certificateProblems: readonly string[]
  readonly logProblems: readonly string[]
}

/** What waits for slow clients now. */
export interface SpoolFacts {
  readonly memoryBytes: number
  readonly fileBytes: number
  /** Why files cannot be written; undefined if they can. */
  readonly problem: string | undefined
}

/** The body of /status. Keys are snake_case and only ever added to. */
export interface StatusDocument {
  readonly version: string
  readonly pid: number
  readonly phase: StatusFacts['phase']
  readonly started_at: string
  readonly uptime_s: number
  readonly generation: number
  readonly hash: string
  readonly admin: string
  readonly listeners: readonly { readonly name: string; readonly address: string }[]
  readonly threads: readonly ThreadStatus[]
  readonly thread_restarts: Readonly<Record<RestartReason, number>>
  readonly upstreams: readonly UpstreamStatus[]
  readonly routes: readonly RouteStatus[]
  readonly tunnels: readonly TunnelStatus[]
  readonly spool: SpoolStatus
  readonly certificates: readonly CertificateStatus[]
  /** Files of certificates that are not good: what they held before stays in force. */
  readonly certificate_problems: readonly string[]
  /** Logs that cannot be written, or whose lines are being lost. */
  readonly log_problems: readonly string[]
  /** Null while the endpoints are those that names and files stand for; else why the ones before stay. */
  readonly endpoint_problem: string | null
  readonly workers: readonly WorkerStatus[]
  /** Of the running configuration: taken, but somebody should look. */
  readonly warnings: readonly string[]
  /** Null before the first. */
  readonly last_reload: ReloadResult | null
}

export interface ThreadStatus {
  readonly thread: number
  readonly state: string
  readonly generation: number
  readonly beats: number
  readonly loop_lag_ms: number | undefined
  readonly loop_utilization: number | undefined
}

export interface UpstreamStatus {
  readonly name: string
  readonly balance: string
  readonly endpoints: readonly EndpointRow[]
  readonly queue: QueueStatus
  /** Names and files that endpoints come from and that cannot be had at the moment. */
  readonly problems: readonly string[]
  /** What a deploy has put in the place of the configured endpoints; null: they are as configured. */
  readonly deployed: readonly string[] | null
}

export interface EndpointRow extends EndpointStatus {
  /** Tunnels (WebSocket, or TLS passed on) open now; each is one of `inflight`. */
  readonly tunnels: number
}

export interface RouteStatus {
  readonly name: string
  /** Empty for any. */
  readonly hosts: readonly string[]
  readonly path: string
  /** `upstream app`, `static /srv/static`. */
  readonly leads_to: string
  /** Under maintenance. */
  readonly closed: boolean
}

/** TLS connections that are passed on undecrypted. */
export interface TunnelStatus {
  readonly name: string
  /** Empty for any. */
  readonly hosts: readonly string[]
  /** Those that have it. */
  readonly listeners: readonly string[]
  readonly upstream: string
}

export interface CertificateStatus {
  readonly listener: string
  readonly names: readonly string[]
  /** `ec`, `rsa`. */
  readonly key: string
  readonly not_after: string
  /** By ACME. */
  readonly renewed: boolean
  /** Negative once it has expired. */
  readonly days_left: number
}

export interface SpoolStatus {
  readonly folder: string
  /** Null while files can be written. */
  readonly problem: string | null
  readonly memory_bytes: number
  readonly memory_limit_bytes: number
  readonly file_bytes: number
  readonly file_limit_bytes: number
}

/** Everything that an operator asks first, of one moment. */
export function statusDocument(facts: StatusFacts): StatusDocument {
  const { snapshot, board } = facts
  return {
    version: facts.version,
    pid: process.pid,
    phase: facts.phase,
    started_at: new Date(facts.startedWallMs).toISOString(),
    uptime_s: Math.round((facts.nowWallMs - facts.startedWallMs) / 1000),
    generation: facts.generation,
    hash: snapshot.hash,
    admin: addressText(facts.admin),
    listeners: snapshot.listeners.map(({ name, address }) => ({ name, address: addressText(address) })),
    threads: facts.threads.map(worker => threadStatus(worker, facts.beats(worker.thread))),
    thread_restarts: facts.restarts,
    upstreams: snapshot.upstreams.map(({ name, balance }) => ({
      name,
      balance,
      endpoints: board.status(name).map(it => ({ ...it, tunnels: facts.tunnels(name, it.name) })),
      queue: facts.queue(name),
      problems: facts.membership.problems(name),
      deployed: facts.membership.deployed(name) ?? null,
    })),
    routes: snapshot.routes.map(routeStatus),
    tunnels: tunnelStatuses(snapshot),
    spool: spoolStatus(snapshot, facts.spool),
    certificates: facts.certificates.map(it => certificateStatus(it, facts.nowWallMs)),
    certificate_problems: facts.certificateProblems,
    log_problems: facts.logProblems,
    endpoint_problem: facts.endpointProblem ?? null,
    workers: facts.managed,
    warnings: facts.warnings,
    last_reload: facts.reload ?? null,
  }
}

function routeStatus({ name, hosts, path, action, maintenance }: RouteConfig): RouteStatus {
  const leadsTo = action.kind === 'static' ? `static ${action.root}` : `upstream ${action.upstream}`
  return { name, hosts, path, leads_to: leadsTo, closed: maintenance !== undefined }
}

function tunnelStatuses({ tunnels, listeners }: Snapshot): TunnelStatus[] {
  return tunnels.map(tunnel => ({
    name: tunnel.name,
    hosts: tunnel.hosts,
    listeners: listeners.filter(listener => hasTunnel(listener, tunnel)).map(({ name }) => name),
    upstream: tunnel.upstream,
  }))
}

function certificateStatus(
  { listener, names, keyType, renewed, notAfterMs }: CertificateFacts,
  nowWallMs: number,
): CertificateStatus {
  const notAfter = new Date(notAfterMs).toISOString()
  return {
    listener,
    names,
    key: keyType,
    renewed,
    not_after: notAfter,
    days_left: daysLeft(notAfterMs, nowWallMs),
  }
}

function spoolStatus({ server }: Snapshot, { memoryBytes, fileBytes, problem }: SpoolFacts): SpoolStatus {
  const { folder, memoryTotalBytes, diskBytes } = server.spool
  return {
    folder,
    problem: problem ?? null,
    memory_bytes: memoryBytes,
    memory_limit_bytes: memoryTotalBytes,
    file_bytes: fileBytes,
    file_limit_bytes: diskBytes,
  }
}

function threadStatus(worker: WorkerFacts, beats: number): ThreadStatus {
  return {
    thread: worker.thread,
    state: worker.state,
    generation: worker.generation,
    beats,
    loop_lag_ms: rounded(worker.loopLagMs, 10),
    loop_utilization: rounded(worker.loopUtilization, 1000),
  }
}

function rounded(value: number | undefined, parts: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * parts) / parts
}
