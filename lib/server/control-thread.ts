import { availableParallelism } from 'node:os'
import type { UncaughtKind } from '../../metrics/facts.ts'
import { HealthTally } from '../../metrics/health-tally.ts'
import { Scrape } from '../../metrics/scrape.ts'
import { type CellMemory, CellReader, createCellMemory } from '../base/cells.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { createSharedState, SharedState } from '../base/shared-state.ts'
import { Timers } from '../base/timers.ts'
import type { Snapshot } from '../config/model.ts'
import { AccessCollector } from './access-collector.ts'
import { addressText } from './address-text.ts'
import { Admin } from './admin.ts'
import { within } from './alarm.ts'
import { CertificateKeeping } from './certificate-keeping.ts'
import { controlFacts, type UncaughtCounts } from './control-facts.ts'
import {
  adminPlaces,
  descriptorLimits,
  maxConnections,
  maxWithFiles,
  scarceDescriptors,
} from './descriptors.ts'
import type { HealthBoard } from './health-board.ts'
import { HealthKeeping } from './health-keeping.ts'
import { LoadKeeping } from './load-keeping.ts'
import { Logs } from './logs.ts'
import { ManagedWorkers } from './managed-workers.ts'
import { Membership } from './membership.ts'
import { OperatorPages } from './operator-pages.ts'
import { orphanWarnings } from './orphan-warning.ts'
import { Overview } from './overview.ts'
import { PlaceMemory } from './place-memory.ts'
import { Placer, rowsFor } from './placement.ts'
import { releaseVersion } from './release.ts'
import { failureText, type LoadedWell, problemText, Reloader } from './reloader.ts'
import type { ReloadResult } from './reloads.ts'
import { Rollout } from './rollout.ts'
import { SpoolWatch } from './spool-watch.ts'
import { type ControlOptions, type Started, StartFailed } from './start.ts'
import { ThreadPool } from './thread-pool.ts'
import { ThreadReports } from './thread-reports.ts'
import { Verbs } from './verbs.ts'
import type { OutputStream } from './worker-output.ts'

/** Most data threads: each has its column and its share of every endpoint's slots. */
const MAX_THREADS = 64
/** How long a shutdown goes on accepting after /readyz has failed, for whoever looks at it. */
const LINGER_MS = 250
/** A Ctrl-C under `npm start` arrives twice: from the terminal, and passed on by npm. That is one signal. */
const SAME_SIGNAL_MS = 200

type Phase = 'starting' | 'ready' | 'draining' | 'stopped'

/**
 * Owns the running configuration: takes it into all threads, checks health, keeps threads and workers alive, writes the logs
 * and answers operators. No client's traffic comes through here, so nothing here is hot.
 */
export class ControlThread {
  readonly #clock: Clock = systemClock
  readonly #timers = new Timers(systemClock, error => this.#deadlineFailed(error))
  readonly #version = releaseVersion()
  readonly #threads: number
  readonly #maxConnections: number
  readonly #cells: CellMemory
  readonly #shared: SharedState
  readonly #logs: Logs
  readonly #tally = new HealthTally()
  readonly #access: AccessCollector
  readonly #health: HealthKeeping
  readonly #board: HealthBoard
  readonly #pool: ThreadPool
  readonly #managed: ManagedWorkers
  readonly #membership: Membership
  readonly #certificates: CertificateKeeping
  readonly #scrape: Scrape
  readonly #rollout: Rollout
  readonly #admin: Admin
  readonly #reloader: Reloader
  readonly #spool: SpoolWatch
  readonly #load: LoadKeeping
  readonly #overview: Overview
  readonly #uncaught: UncaughtCounts = {
    control: { exception: 0, rejection: 0 },
    data: { exception: 0, rejection: 0 },
  }
  /** Resolved once the start is over, well or not. */
  readonly #startup = Promise.withResolvers<void>()
  readonly #cutNow = Promise.withResolvers<false>()
  /** What the process was started with: some of it only a restart can change. */
  readonly #first: Snapshot
  readonly #firstWarnings: readonly string[]
  #phase: Phase = 'starting'
  #stopAtMs: number | undefined = undefined
  #cutting = false

  /** Takes what `loadConfig` gave. Throws StartFailed if a log file cannot be opened. */
  constructor(options: ControlOptions, { snapshot, warnings }: LoadedWell) {
    this.#first = snapshot
    this.#firstWarnings = [...warnings.map(problemText), ...orphanWarnings(snapshot, process.pid)]
    this.#timers.start()
    this.#threads = Math.min(snapshot.server.workers ?? availableParallelism(), MAX_THREADS)
    this.#maxConnections = maxConnections({ threads: this.#threads, listeners: snapshot.listeners.length })
    this.#cells = createCellMemory(this.#threads, rowsFor(snapshot))
    const sharedMemory = createSharedState(this.#threads)
    this.#shared = new SharedState(sharedMemory)
    this.#logs = openLogs(snapshot, this.#timers)
    const log = this.#logs.logger
    const parts = { clock: this.#clock, timers: this.#timers, shared: this.#shared, log }
    this.#access = new AccessCollector({
      threads: this.#threads,
      timers: this.#timers,
      take: (lines, dropped) => this.#logs.writeAccess(lines, dropped),
    })
    const reader = new CellReader(this.#cells)
    this.#health = new HealthKeeping({
      ...parts,
      cells: reader,
      tally: this.#tally,
      pools: () => this.#rollout.pools,
      doubt: upstream => this.#membership.doubt(upstream),
    })
    this.#board = this.#health.board
    this.#pool = new ThreadPool({
      ...parts,
      cells: this.#cells,
      shared: sharedMemory,
      descriptors: descriptorLimits(this.#maxConnections),
      lines: this.#access.rings,
      env: threadEnvironment(options),
      observer: new ThreadReports({
        log,
        board: this.#board,
        cells: this.#cells,
        uncaught: this.#uncaught.data,
        scrape: () => this.#scrape,
      }),
      ...(options.stuckMs === undefined ? {} : { stuckMs: options.stuckMs }),
    })
    this.#managed = new ManagedWorkers({ ...parts, env: options.env, observer: this })
    this.#membership = new Membership({
      ...parts,
      random: Math.random,
      changed: () => void this.#rollout.refresh(),
    })
    this.#certificates = new CertificateKeeping({
      ...parts,
      publish: () => this.#rollout.publish(),
    })
    const facts = controlFacts({
      certificates: this.#certificates,
      version: this.#version,
      hash: () => this.#snapshot.hash,
      reloader: () => this.#reloader,
      pool: this.#pool,
      logs: this.#logs,
      uncaught: this.#uncaught,
      health: this.#tally,
    })
    this.#scrape = new Scrape({ ...parts, reader, facts })
    this.#rollout = new Rollout({
      placer: new Placer(
        this.#cells.rows,
        new PlaceMemory(this.#shared, this.#cells, row => this.#scrape.forgetting(row)),
      ),
      managed: this.#managed,
      membership: this.#membership,
      board: this.#board,
      scrape: this.#scrape,
      prober: this.#health.prober,
      pool: this.#pool,
      certificates: this.#certificates,
      ...parts,
    })
    const pages = new OperatorPages({
      scrape: this.#scrape,
      verbs: new Verbs({
        ...parts,
        board: this.#board,
        membership: this.#membership,
        rollout: this.#rollout,
      }),
      overview: () => this.#overview,
      phase: () => this.#phase,
      snapshot: () => this.#snapshot,
      reload: () => this.reload(),
    })
    this.#admin = new Admin(snapshot.admin, pages, log, adminPlaces(this.#maxConnections))
    this.#reloader = new Reloader({
      path: options.path,
      env: options.env,
      first: snapshot,
      clock: this.#clock,
      logs: this.#logs,
      board: this.#board,
      rollout: this.#rollout,
      admin: this.#admin,
    })
    this.#spool = new SpoolWatch({ ...parts, folder: () => this.#snapshot.server.spool.folder })
    this.#load = new LoadKeeping({
      ...parts,
      cells: reader,
      threads: this.#threads,
      descriptors: maxWithFiles(this.#maxConnections),
      overload: () => this.#snapshot.server.overload,
      rollout: this.#rollout,
    })
    this.#overview = this.#createOverview(reader)
  }

  /** What runs, or shall. */
  get #snapshot(): Snapshot {
    return this.#rollout.snapshot ?? this.#first
  }

  /** True once `stop` was called. */
  get stopping(): boolean {
    return this.#stopAtMs !== undefined
  }

  /** Resolves once every listener accepts. Throws StartFailed, and then everything has been stopped again. */
  async start(): Promise<Started> {
    try {
      await this.#admin.listen()
      const failures = await this.#rollout.take(this.#first)
      const failed = failures[0]
      if (failed !== undefined) throw new StartFailed(failureText(failed))
      if (this.stopping) throw new StartFailed('ended by a signal while it started')
      const { folderTrouble } = this.#certificates
      if (folderTrouble !== undefined) throw new StartFailed(folderTrouble)
    } catch (error) {
      if (!this.stopping) await this.#stopAll()
      throw new StartFailed(error instanceof Error ? error.message : String(error), { cause: error })
    }
    this.#phase = 'ready'
    this.#startup.resolve()
    const started = this.#started()
    const { generation } = this.#rollout
    const { hash } = started.snapshot
    this.#logs.logger.info(
      {
        version: this.#version,
        generation,
        hash,
        threads: this.#threads,
        listeners: started.listeners,
        admin: started.admin,
      },
      'ready',
    )
    this.#spool.look()
    this.#load.start()
    this.#certificates.start()
    this.#reloader.takeWarnings([
      ...this.#firstWarnings,
      ...scarceDescriptors(started.snapshot, this.#maxConnections),
    ])
    this.#logs.flush()
    return started
  }

  /** Takes the configuration as it stands in the files now. Never rejects. */
  async reload(): Promise<ReloadResult> {
    await this.#startup.promise
    if (this.stopping) return this.#reloader.refuse(['the process is ending'])
    const result = await this.#reloader.request()
    this.#spool.look()
    return result
  }

  reopenLogs(): void {
    this.#logs.reopen()
  }

  /** Drains, then ends everything; true once that is done. A second call cuts at once, and gives false. */
  async stop(): Promise<boolean> {
    const nowMs = this.#clock.now()
    if (this.#stopAtMs !== undefined) {
      if (nowMs - this.#stopAtMs < SAME_SIGNAL_MS) return false
      this.#cutNow.resolve(false)
      this.#cutting = true
      if (this.#phase === 'stopped') this.#managed.kill()
      return false
    }
    this.#stopAtMs = nowMs
    this.#phase = 'draining'
    const drainMs = this.#snapshot.server.drainMs
    this.#logs.logger.info({ drain_ms: drainMs }, 'draining')
    await within(this.#timers, LINGER_MS, this.#cutNow.promise, true)
    const drained = this.#pool.drain().then(() => true)
    await within(this.#timers, drainMs, Promise.race([drained, this.#cutNow.promise]), false)
    await this.#stopAll()
    return true
  }

  /** An error that nobody caught. Traffic does not depend on this thread, so it goes on. */
  uncaught(kind: UncaughtKind, error: unknown): void {
    this.#uncaught.control[kind] += 1
    this.#logs.logger.fatal({ err: error, thread: 'control', kind }, 'uncaught error')
    this.#logs.flush()
  }

  /** The others that were due have had their turn, and what is done again and again goes on. */
  #deadlineFailed(error: unknown): void {
    this.#uncaught.control.exception += 1
    this.#logs.logger.error({ err: error, thread: 'control', kind: 'deadline' }, 'a deadline failed')
  }

  /** The very last resort: workers are not left behind, and the log is written. */
  abandon(): void {
    this.#managed.kill()
    this.#access.collect()
    this.#logs.flushSync()
  }

  // ManagedObserver.

  workerUp(upstream: string, worker: string): void {
    this.#board.processFlipped(upstream, worker, undefined)
  }

  workerDown(upstream: string, worker: string, reason: string, againInMs: number): void {
    if (this.#phase === 'stopped') return
    this.#logs.logger.warn({ upstream, endpoint: worker, reason, again_in_ms: againInMs }, 'worker ended')
    this.#board.processFlipped(upstream, worker, reason)
  }

  workerLine(upstream: string, worker: string, stream: OutputStream, text: string): void {
    this.#logs.workers.info({ upstream, endpoint: worker, stream, line: text }, 'worker output')
  }

  workerDropped(upstream: string, worker: string, lines: number): void {
    this.#logs.dropOutput(upstream, worker, lines)
  }

  async #stopAll(): Promise<void> {
    const { logger } = this.#logs
    const started = this.#phase !== 'starting'
    this.#membership.stop()
    const cut = await this.#pool.stop()
    this.#access.stop()
    this.#spool.stop()
    this.#load.stop()
    await this.#certificates.stop()
    if (cut.exchanges > 0) logger.warn(cut, 'requests cut')
    this.#phase = 'stopped'
    await this.#health.stop()
    const ended = this.#managed.stop()
    if (this.#cutting) this.#managed.kill()
    await ended
    this.#admin.close()
    if (started) logger.info('stopped')
    this.#timers.stop()
    await this.#logs.close()
  }

  #started(): Started {
    const snapshot = this.#snapshot
    const listeners = snapshot.listeners.map(({ name, address }) => [name, addressText(address)])
    const adminAddress = this.#admin.address
    return {
      listeners: Object.fromEntries(listeners),
      admin: addressText(adminAddress),
      adminAddress,
      snapshot,
    }
  }

  #createOverview(cells: CellReader): Overview {
    return new Overview({
      version: this.#version,
      clock: this.#clock,
      cells,
      shared: this.#shared,
      admin: this.#admin,
      board: this.#board,
      managed: this.#managed,
      membership: this.#membership,
      pool: this.#pool,
      reloader: this.#reloader,
      rollout: this.#rollout,
      spool: this.#spool,
      certificates: this.#certificates,
      logs: this.#logs,
      snapshot: () => this.#snapshot,
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

/** Data threads read no environment of their own; Node takes the place of its code cache from there. */
function threadEnvironment({ env, compileCache }: ControlOptions): NodeJS.ProcessEnv {
  return compileCache === undefined ? { ...env } : { ...env, NODE_COMPILE_CACHE: compileCache }
}
