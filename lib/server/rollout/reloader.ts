import type { Clock } from '../../base/clock.ts'
import { type Loaded, loadConfig } from '../../config/load.ts'
import type { LogConfig, Snapshot } from '../../config/model.ts'
import { formatProblems, type Problem } from '../../config/problem.ts'
import type { HealthBoard } from '../health/health-board.ts'
import { LogRefused, type Logs } from '../logs/logs.ts'
import { addressText } from '../shared/address-text.ts'
import type { ListenFailure } from '../shared/messages.ts'
import { type ReloadResult, Reloads } from './reloads.ts'
import { type Rollout, RolloutRefused } from './rollout.ts'

/** A configuration that may run. */
export type LoadedWell = Extract<Loaded, { ok: true }>

export interface ReloaderOptions {
  /** Configuration file or folder. */
  readonly path: string
  readonly env: NodeJS.ProcessEnv
  /** What the process was started with: some of it only a restart can change. */
  readonly first: Snapshot
  readonly clock: Clock
  readonly logs: Logs
  readonly board: HealthBoard
  readonly rollout: Rollout
  /** Takes the token of a configuration that runs now; undefined: none. */
  setAdminToken(token: string | undefined): void
}

/**
 * Takes the configuration anew from its files. A bad one changes nothing: every reason is logged, and the old
 * one goes on.
 */
export class Reloader {
  readonly #options: ReloaderOptions
  readonly #reloads = new Reloads(() => this.#reload())
  /** Wall clock, milliseconds: when the running configuration was taken. */
  takenWallMs: number
  #warnings: readonly string[] = []

  constructor(options: ReloaderOptions) {
    this.#options = options
    this.takenWallMs = options.clock.wall()
  }

  get counts(): { readonly success: number; readonly failure: number } {
    return this.#reloads.counts
  }

  /** Undefined before the first. */
  get last(): ReloadResult | undefined {
    return this.#reloads.last
  }

  /** Never rejects. */
  request(): Promise<ReloadResult> {
    return this.#reloads.request()
  }

  /** Of the running configuration. */
  get warnings(): readonly string[] {
    return this.#warnings
  }

  /** Logs and keeps the warnings of a configuration that was taken. */
  takeWarnings(warnings: readonly string[]): void {
    this.#warnings = warnings
    for (const warning of warnings) this.#options.logs.logger.warn({ warning }, 'configuration warning')
  }

  async #reload(): Promise<ReloadResult> {
    const { path, env, logs } = this.#options
    try {
      const loaded = await loadConfig(path, env)
      return loaded.ok ? await this.#take(loaded) : this.refuse(loaded.problems.map(problemText))
    } catch (error) {
      const refused = error instanceof RolloutRefused || error instanceof LogRefused
      if (!refused) logs.logger.error({ err: error }, 'reload failed')
      return this.refuse([error instanceof Error ? error.message : String(error)])
    }
  }

  async #take({ snapshot, warnings }: LoadedWell): Promise<ReloadResult> {
    const { logs, board, rollout, clock } = this.#options
    const indexesBefore = board.indexes()
    const failures = await this.#rollOut(snapshot)
    this.#options.setAdminToken(snapshot.admin.token)
    this.takenWallMs = clock.wall()
    rollout.stopLeaving(indexesBefore, snapshot.server.drainMs).catch(error => {
      logs.logger.error({ err: error }, 'old workers not stopped')
    })
    const problems = failures.map(failureText)
    const result = this.#result(true, problems, [
      ...this.#restartWarnings(snapshot),
      ...warnings.map(problemText),
    ])
    for (const problem of problems) logs.logger.error({ problem }, 'listener not opened')
    this.takeWarnings(result.warnings)
    logs.logger.info({ generation: result.generation, hash: result.hash }, 'reloaded')
    return result
  }

  /** The access log is opened first, because it may refuse; should the rest refuse, it is as it was. */
  async #rollOut(snapshot: Snapshot): Promise<readonly ListenFailure[]> {
    const { logs, rollout } = this.#options
    const before: LogConfig = logs.config
    logs.apply(snapshot.log)
    try {
      return await rollout.take(snapshot)
    } catch (error) {
      logs.apply(before)
      throw error
    }
  }

  /** Says no to a reload, and why. */
  refuse(problems: readonly string[]): ReloadResult {
    for (const problem of problems) this.#options.logs.logger.warn({ problem }, 'reload refused')
    return this.#result(false, problems, [])
  }

  #result(ok: boolean, problems: readonly string[], warnings: readonly string[]): ReloadResult {
    const { rollout, first, clock } = this.#options
    const at = new Date(clock.wall()).toISOString()
    const { hash } = rollout.snapshot ?? first
    return { ok, at, generation: rollout.generation, hash, problems, warnings }
  }

  #restartWarnings({ server, admin }: Snapshot): string[] {
    const { first } = this.#options
    const warnings: string[] = []
    const note = (what: string) => warnings.push(`${what} has changed: this requires a restart`)
    if (server.workers !== first.server.workers) note('server.workers')
    if (addressText(admin.address) !== addressText(first.admin.address)) note('admin.address')
    return warnings
  }
}

/** A problem as it stands in the log and in /status. */
export function problemText(problem: Problem): string {
  return formatProblems([problem]).trim()
}

/** The same for a listener that a data thread could not open. */
export function failureText({ listener, message }: ListenFailure): string {
  return `listener "${listener}": ${message}`
}
