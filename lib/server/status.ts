import type { RestartReason, WorkerFacts } from '../../metrics/facts.ts'
import type { Address, Snapshot } from '../config/model.ts'
import { addressText } from './address-text.ts'
import type { EndpointStatus, HealthBoard } from './health-board.ts'
import type { WorkerStatus } from './managed-workers.ts'
import type { ReloadResult } from './reloads.ts'

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
  readonly managed: readonly WorkerStatus[]
  readonly reload: ReloadResult | undefined
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
  readonly workers: readonly WorkerStatus[]
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
  readonly endpoints: readonly EndpointStatus[]
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
      endpoints: board.status(name),
    })),
    workers: facts.managed,
    last_reload: facts.reload ?? null,
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
