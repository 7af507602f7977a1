import type { UncaughtKind } from '../../metrics/facts.ts'
import { systemClock } from '../base/clock.ts'
import { Timers } from '../base/timers.ts'
import type { Snapshot } from '../config/model.ts'
import type { UncaughtCounts } from './admin/control-facts.ts'
import { type ControlOwner, ControlParts } from './control-parts.ts'
import { failureText, type LoadedWell, problemText } from './rollout/reloader.ts'
import type { ReloadResult } from './rollout/reloads.ts'
import { addressText } from './shared/address-text.ts'
import { within } from './shared/alarm.ts'
import { scarceDescriptors } from './shared/descriptors.ts'
import { type ControlOptions, type Started, StartFailed } from './start.ts'
import { orphanWarnings } from './workers/orphan-warning.ts'
import type { OutputStream } from './workers/worker-output.ts'

/** How long a shutdown goes on accepting after /readyz has failed, for whoever looks at it. */
const LINGER_MS = 250
/** A Ctrl-C under `npm start` arrives twice: from the terminal, and passed on by npm. That is one signal. */
const SAME_SIGNAL_MS = 200

type Phase = 'starting' | 'ready' | 'draining' | 'stopped'

/**
 * Owns the running configuration: takes it into all threads, checks health, keeps threads and workers alive,
 * writes the logs and answers operators. No client's traffic comes through here, so nothing here is hot.
 */
export class ControlThread implements ControlOwner {
  readonly uncaughtCounts: UncaughtCounts = {
    control: { exception: 0, rejection: 0 },
    data: { exception: 0, rejection: 0 },
  }
  readonly #timers = new Timers(systemClock, error => this.#deadlineFailed(error))
  readonly #parts: ControlParts
  /** Resolved once the start is over, well or not. */
  readonly #startup = Promise.withResolvers<void>()
  readonly #cutNow = Promise.withResolvers<false>()
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
    this.#parts = new ControlParts(options, snapshot, this.#timers, this)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** True once `stop` was called. */
  get stopping(): boolean {
    return this.#stopAtMs !== undefined
  }

  /** Resolves once every listener accepts. Throws StartFailed, and then everything has been stopped again. */
  async start(): Promise<Started> {
    try {
      await this.#begin()
    } catch (error) {
      if (!this.stopping) await this.#stopAll()
      throw new StartFailed(error instanceof Error ? error.message : String(error), { cause: error })
    }
    this.#phase = 'ready'
    this.#startup.resolve()
    const started = this.#started()
    const { logs, spool, load, certificates, reloader, maxConnections } = this.#parts
    this.#logReady(started)
    spool.look()
    load.start()
    certificates.start()
    reloader.takeWarnings([...this.#firstWarnings, ...scarceDescriptors(started.snapshot, maxConnections)])
    logs.flush()
    return started
  }

  async #begin(): Promise<void> {
    const { admin, rollout, certificates } = this.#parts
    await admin.listen()
    const [failed] = await rollout.take(this.#first)
    if (failed !== undefined) throw new StartFailed(failureText(failed))
    if (this.stopping) throw new StartFailed('stopped by a signal during start')
    if (certificates.folderTrouble !== undefined) throw new StartFailed(certificates.folderTrouble)
  }

  #logReady({ snapshot: { hash }, listeners, admin }: Started): void {
    const { logs, version, rollout, threads } = this.#parts
    const { generation } = rollout
    logs.logger.info({ version, generation, hash, threads, listeners, admin }, 'ready')
  }

  /** Takes the configuration as it stands in the files now. Never rejects. */
  async reload(): Promise<ReloadResult> {
    await this.#startup.promise
    if (this.stopping) return this.#parts.reloader.refuse(['the process is shutting down'])
    const result = await this.#parts.reloader.request()
    this.#parts.spool.look()
    return result
  }

  reopenLogs(): void {
    this.#parts.logs.reopen()
  }

  /** Drains, then ends everything; true once that is done. A second call cuts at once, and gives false. */
  async stop(): Promise<boolean> {
    const nowMs = this.#parts.clock.now()
    if (this.#stopAtMs !== undefined) {
      if (nowMs - this.#stopAtMs < SAME_SIGNAL_MS) return false
      this.#cutNow.resolve(false)
      this.#cutting = true
      if (this.#phase === 'stopped') this.#parts.managed.kill()
      return false
    }
    this.#stopAtMs = nowMs
    this.#phase = 'draining'
    const drainMs = this.#parts.snapshot.server.drainMs
    this.#parts.logs.logger.info({ drain_ms: drainMs }, 'draining')
    await within(this.#timers, LINGER_MS, this.#cutNow.promise, true)
    const drained = this.#parts.pool.drain().then(() => true)
    await within(this.#timers, drainMs, Promise.race([drained, this.#cutNow.promise]), false)
    await this.#stopAll()
    return true
  }

  /** An error that nobody caught. Traffic does not depend on this thread, so it goes on. */
  uncaught(kind: UncaughtKind, error: unknown): void {
    this.uncaughtCounts.control[kind] += 1
    this.#parts.logs.logger.fatal({ err: error, thread: 'control', kind }, 'uncaught error')
    this.#parts.logs.flush()
  }

  /** The others that were due have had their turn, and what is done again and again goes on. */
  #deadlineFailed(error: unknown): void {
    this.uncaughtCounts.control.exception += 1
    this.#parts.logs.logger.error({ err: error, thread: 'control', kind: 'deadline' }, 'a deadline failed')
  }

  /** The very last resort: workers are not left behind, and the log is written. */
  abandon(): void {
    this.#parts.managed.kill()
    this.#parts.access.collect()
    this.#parts.logs.flushSync()
  }

  // ManagedObserver.

  workerUp(upstream: string, worker: string): void {
    this.#parts.health.board.processFlipped(upstream, worker, undefined)
  }

  workerDown(upstream: string, worker: string, reason: string, againInMs: number): void {
    if (this.#phase === 'stopped') return
    this.#parts.logs.logger.warn(
      { upstream, endpoint: worker, reason, again_in_ms: againInMs },
      'worker ended',
    )
    this.#parts.health.board.processFlipped(upstream, worker, reason)
  }

  workerLine(upstream: string, worker: string, stream: OutputStream, text: string): void {
    this.#parts.logs.workers.info({ upstream, endpoint: worker, stream, line: text }, 'worker output')
  }

  workerDropped(upstream: string, worker: string, lines: number): void {
    this.#parts.logs.dropOutput(upstream, worker, lines)
  }

  async #stopAll(): Promise<void> {
    const { membership, pool, access, spool, load, certificates, health, managed, admin, logs } = this.#parts
    const started = this.#phase !== 'starting'
    membership.stop()
    const cut = await pool.stop()
    access.stop()
    spool.stop()
    load.stop()
    await certificates.stop()
    if (cut.exchanges > 0) logs.logger.warn(cut, 'requests cut')
    this.#phase = 'stopped'
    await health.stop()
    const ended = managed.stop()
    if (this.#cutting) managed.kill()
    await ended
    admin.close()
    if (started) logs.logger.info('stopped')
    this.#timers.stop()
    await logs.close()
  }

  #started(): Started {
    const snapshot = this.#parts.snapshot
    const listeners = snapshot.listeners.map(({ name, address }) => [name, addressText(address)])
    const adminAddress = this.#parts.admin.address
    return {
      listeners: Object.fromEntries(listeners),
      admin: addressText(adminAddress),
      adminAddress,
      snapshot,
    }
  }
}
