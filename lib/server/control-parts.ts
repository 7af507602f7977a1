import { availableParallelism } from 'node:os'
import { HealthTally } from '../../metrics/health-tally.ts'
import { Scrape } from '../../metrics/scrape.ts'
import { type CellMemory, CellReader, createCellMemory } from '../base/cells.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { createSharedState, SharedState, type SharedStateMemory } from '../base/shared-state.ts'
import type { Timers } from '../base/timers.ts'
import type { Snapshot } from '../config/model.ts'
import { Admin } from './admin/admin.ts'
import { controlFacts, type UncaughtCounts } from './admin/control-facts.ts'
import { OperatorPages } from './admin/operator-pages.ts'
import { Overview } from './admin/overview.ts'
import type { StatusDocument } from './admin/status.ts'
import { Verbs } from './admin/verbs.ts'
import { HealthKeeping } from './health/health-keeping.ts'
import { LoadKeeping } from './load/load-keeping.ts'
import { SpoolWatch } from './load/spool-watch.ts'
import { Logs } from './logs/logs.ts'
import { CertificateKeeping } from './rollout/certificate-keeping.ts'
import { Membership } from './rollout/membership.ts'
import { Reloader } from './rollout/reloader.ts'
import type { ReloadResult } from './rollout/reloads.ts'
import { Rollout } from './rollout/rollout.ts'
import { adminPlaces, descriptorLimits, maxConnections, maxWithFiles } from './shared/descriptors.ts'
import { PlaceMemory } from './shared/place-memory.ts'
import { Placer, rowsFor } from './shared/placement.ts'
import { releaseVersion } from './shared/release.ts'
import { type ControlOptions, StartFailed } from './start.ts'
import { AccessCollector } from './threads/access-collector.ts'
import { ThreadPool } from './threads/thread-pool.ts'
import { ThreadReports } from './threads/thread-reports.ts'
import { type ManagedObserver, ManagedWorkers } from './workers/managed-workers.ts'

/** Most data threads: each has its column and its share of every endpoint's slots. */
const MAX_THREADS = 64

/** What the parts ask of the control thread that owns them. */
export interface ControlOwner extends ManagedObserver {
  readonly phase: StatusDocument['phase']
  /** Errors that nothing caught. */
  readonly uncaughtCounts: UncaughtCounts
  reload(): Promise<ReloadResult>
}

/**
 * Everything a control thread consists of, made and connected once, before anything runs. Where two parts
 * need each other, the one that is made first gets a function.
 */
export class ControlParts {
  readonly clock: Clock = systemClock
  readonly version = releaseVersion()
  readonly timers: Timers
  readonly maxConnections: number
  readonly logs: Logs
  readonly access: AccessCollector
  readonly health: HealthKeeping
  readonly pool: ThreadPool
  readonly managed: ManagedWorkers
  readonly membership: Membership
  readonly certificates: CertificateKeeping
  readonly rollout: Rollout
  readonly admin: Admin
  readonly reloader: Reloader
  readonly spool: SpoolWatch
  readonly load: LoadKeeping
  readonly #options: ControlOptions
  readonly #owner: ControlOwner
  /** What the process was started with: some of it only a restart can change. */
  readonly #first: Snapshot
  readonly threads: number
  readonly #cells: CellMemory
  readonly #reader: CellReader
  readonly #sharedMemory: SharedStateMemory
  readonly #shared: SharedState
  readonly #tally = new HealthTally()
  readonly #scrape: Scrape
  readonly #overview: Overview

  /** Throws StartFailed if a log file cannot be opened. */
  constructor(options: ControlOptions, first: Snapshot, timers: Timers, owner: ControlOwner) {
    this.#options = options
    this.#owner = owner
    this.#first = first
    this.timers = timers
    this.threads = Math.min(first.server.workers ?? availableParallelism(), MAX_THREADS)
    this.maxConnections = maxConnections({ threads: this.threads, listeners: first.listeners.length })
    this.#cells = createCellMemory(this.threads, rowsFor(first))
    this.#reader = new CellReader(this.#cells)
    this.#sharedMemory = createSharedState(this.threads)
    this.#shared = new SharedState(this.#sharedMemory)
    this.logs = openLogs(first, timers)
    this.access = this.#createAccess()
    this.health = this.#createHealth()
    this.pool = this.#createPool()
    this.managed = new ManagedWorkers({ ...this.#tools, env: options.env, observer: owner })
    this.membership = this.#createMembership()
    this.certificates = new CertificateKeeping({ ...this.#tools, publish: () => this.rollout.publish() })
    this.#scrape = this.#createScrape()
    this.rollout = this.#createRollout()
    this.admin = new Admin(
      first.admin,
      this.#createPages(),
      this.logs.logger,
      adminPlaces(this.maxConnections),
    )
    this.reloader = this.#createReloader()
    this.spool = new SpoolWatch({ ...this.#tools, folder: () => this.snapshot.server.spool.folder })
    this.load = this.#createLoad()
    this.#overview = this.#createOverview()
  }

  /** What runs, or shall. */
  get snapshot(): Snapshot {
    return this.rollout.snapshot ?? this.#first
  }

  /** What nearly every part needs. */
  get #tools() {
    return { clock: this.clock, timers: this.timers, shared: this.#shared, log: this.logs.logger }
  }

  #createAccess(): AccessCollector {
    return new AccessCollector({
      threads: this.threads,
      timers: this.timers,
      take: (lines, dropped) => this.logs.writeAccess(lines, dropped),
    })
  }

  #createHealth(): HealthKeeping {
    return new HealthKeeping({
      ...this.#tools,
      cells: this.#reader,
      tally: this.#tally,
      pools: () => this.rollout.pools,
      doubt: upstream => this.membership.doubt(upstream),
    })
  }

  #createPool(): ThreadPool {
    const { stuckMs } = this.#options
    return new ThreadPool({
      ...this.#tools,
      cells: this.#cells,
      shared: this.#sharedMemory,
      descriptors: descriptorLimits(this.maxConnections),
      lines: this.access.rings,
      env: threadEnvironment(this.#options),
      observer: new ThreadReports({
        log: this.logs.logger,
        board: this.health.board,
        cells: this.#cells,
        uncaught: this.#owner.uncaughtCounts.data,
        scrape: () => this.#scrape,
      }),
      ...(stuckMs === undefined ? {} : { stuckMs }),
    })
  }

  #createMembership(): Membership {
    return new Membership({
      ...this.#tools,
      random: Math.random,
      changed: () => void this.rollout.refresh(),
    })
  }

  #createScrape(): Scrape {
    const facts = controlFacts({
      certificates: this.certificates,
      version: this.version,
      hash: () => this.snapshot.hash,
      reloader: () => this.reloader,
      pool: this.pool,
      logs: this.logs,
      uncaught: this.#owner.uncaughtCounts,
      health: this.#tally,
    })
    return new Scrape({ ...this.#tools, reader: this.#reader, facts })
  }

  #createRollout(): Rollout {
    const memory = new PlaceMemory(this.#shared, this.#cells, row => this.#scrape.forgetting(row))
    return new Rollout({
      ...this.#tools,
      placer: new Placer(this.#cells.rows, memory),
      managed: this.managed,
      membership: this.membership,
      board: this.health.board,
      scrape: this.#scrape,
      prober: this.health.prober,
      pool: this.pool,
      certificates: this.certificates,
    })
  }

  #createPages(): OperatorPages {
    return new OperatorPages({
      scrape: this.#scrape,
      verbs: new Verbs({
        ...this.#tools,
        board: this.health.board,
        membership: this.membership,
        rollout: this.rollout,
      }),
      overview: () => this.#overview,
      phase: () => this.#owner.phase,
      snapshot: () => this.snapshot,
      reload: () => this.#owner.reload(),
    })
  }

  #createReloader(): Reloader {
    return new Reloader({
      path: this.#options.path,
      env: this.#options.env,
      first: this.#first,
      clock: this.clock,
      logs: this.logs,
      board: this.health.board,
      rollout: this.rollout,
      setAdminToken: token => this.admin.setToken(token),
    })
  }

  #createLoad(): LoadKeeping {
    return new LoadKeeping({
      ...this.#tools,
      cells: this.#reader,
      threads: this.threads,
      descriptors: maxWithFiles(this.maxConnections),
      overload: () => this.snapshot.server.overload,
      pools: () => this.rollout.pools,
      listeners: () => this.rollout.placement?.listeners ?? [],
    })
  }

  #createOverview(): Overview {
    return new Overview({
      version: this.version,
      clock: this.clock,
      cells: this.#reader,
      shared: this.#shared,
      admin: this.admin,
      board: this.health.board,
      managed: this.managed,
      membership: this.membership,
      pool: this.pool,
      reloader: this.reloader,
      rollout: this.rollout,
      spool: this.spool,
      certificates: this.certificates,
      logs: this.logs,
      snapshot: () => this.snapshot,
    })
  }
}

function openLogs(snapshot: Snapshot, timers: Timers): Logs {
  try {
    return new Logs(snapshot.log, timers, systemClock)
  } catch (error) {
    throw new StartFailed(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Data threads read no environment of their own; Node takes the folder of its code cache from there. */
function threadEnvironment({ env, compileCache }: ControlOptions): NodeJS.ProcessEnv {
  return compileCache === undefined ? { ...env } : { ...env, NODE_COMPILE_CACHE: compileCache }
}
