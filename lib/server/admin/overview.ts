import { ENDPOINT_BLOCK } from '../../../upstreams/measures.ts'
import type { CellReader } from '../../base/cells.ts'
import type { Clock } from '../../base/clock.ts'
import type { SharedState } from '../../base/shared-state.ts'
import type { Snapshot } from '../../config/model.ts'
import { SPOOL_BLOCK } from '../../proxy/spool-measures.ts'
import type { HealthBoard } from '../health/health-board.ts'
import type { SpoolWatch } from '../load/spool-watch.ts'
import type { Logs } from '../logs/logs.ts'
import type { CertificateKeeping } from '../rollout/certificate-keeping.ts'
import type { Membership } from '../rollout/membership.ts'
import type { Reloader } from '../rollout/reloader.ts'
import type { Rollout } from '../rollout/rollout.ts'
import type { ThreadPool } from '../threads/thread-pool.ts'
import type { ManagedWorkers } from '../workers/managed-workers.ts'
import type { Admin } from './admin.ts'
import { type QueueStatus, queueStatus } from './queue-status.ts'
import { type SpoolFacts, type StatusDocument, type StatusFacts, statusDocument } from './status.ts'

/** Where an overview looks. */
export interface OverviewParts {
  readonly version: string
  readonly clock: Clock
  readonly cells: CellReader
  readonly shared: SharedState
  readonly admin: Admin
  readonly board: HealthBoard
  readonly managed: ManagedWorkers
  readonly membership: Membership
  readonly pool: ThreadPool
  readonly reloader: Reloader
  readonly rollout: Rollout
  readonly spool: SpoolWatch
  readonly certificates: CertificateKeeping
  readonly logs: Logs
  /** What runs, or shall. */
  snapshot(): Snapshot
}

/**
 * Brings together what an operator asks of a process. Nothing is kept: everything is read at the moment of
 * the question.
 */
export class Overview {
  readonly #parts: OverviewParts
  readonly #startedWallMs: number

  constructor(parts: OverviewParts) {
    this.#parts = parts
    this.#startedWallMs = parts.clock.wall()
  }

  document(phase: StatusFacts['phase']): StatusDocument {
    const { version, clock, shared, admin, board, managed, pool, reloader, rollout, snapshot } = this.#parts
    const tunnels = this.#tunnels()
    return statusDocument({
      version,
      phase,
      startedWallMs: this.#startedWallMs,
      nowWallMs: clock.wall(),
      generation: rollout.generation,
      snapshot: snapshot(),
      admin: admin.address,
      threads: pool.facts,
      beats: thread => shared.beats(thread),
      restarts: pool.restarts,
      board,
      queue: upstream => this.#queue(upstream),
      managed: managed.status(),
      membership: this.#parts.membership,
      reload: reloader.last,
      warnings: reloader.warnings,
      tunnels: (upstream, endpoint) => tunnels.get(`${upstream}\n${endpoint}`) ?? 0,
      spool: this.#spool(),
      certificates: this.#parts.certificates.facts,
      endpointProblem: rollout.endpointProblem,
      certificateProblems: this.#parts.certificates.problems,
      logProblems: this.#parts.logs.problems,
    })
  }

  #tunnels(): ReadonlyMap<string, number> {
    const { cells, rollout } = this.#parts
    const tunnels = new Map<string, number>()
    for (const { name, endpoints } of rollout.placement?.upstreams ?? []) {
      for (const endpoint of endpoints) {
        tunnels.set(`${name}\n${endpoint.name}`, cells.total(endpoint.row + ENDPOINT_BLOCK.at.tunnels))
      }
    }
    return tunnels
  }

  #queue(upstream: string): QueueStatus {
    const { shared, clock, rollout } = this.#parts
    const place = rollout.placement?.upstreams.find(({ name }) => name === upstream)
    return queueStatus(shared, place?.index, clock.now())
  }

  #spool(): SpoolFacts {
    const { cells, rollout, spool } = this.#parts
    const row = rollout.placement?.spool.row
    const total = (at: number) => (row === undefined ? 0 : cells.total(row + at))
    return {
      memoryBytes: total(SPOOL_BLOCK.at.memory),
      fileBytes: total(SPOOL_BLOCK.at.disk),
      problem: spool.problem,
    }
  }
}
