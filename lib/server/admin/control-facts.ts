import type { ControlFacts, HealthFacts, ThreadKind, UncaughtKind } from '../../../metrics/facts.ts'
import type { Logs } from '../logs/logs.ts'
import type { CertificateKeeping } from '../rollout/certificate-keeping.ts'
import type { Reloader } from '../rollout/reloader.ts'
import type { ThreadPool } from '../threads/thread-pool.ts'

/** Errors that nobody caught, by thread and kind. */
export type UncaughtCounts = Record<ThreadKind, Record<UncaughtKind, number>>

/** Where the facts come from. */
export interface FactSources {
  readonly version: string
  hash(): string
  /** Functions, because these parts are made after the scrape that reads the facts. */
  reloader(): Reloader
  readonly pool: ThreadPool
  readonly certificates: CertificateKeeping
  readonly logs: Logs
  readonly uncaught: UncaughtCounts
  readonly health: HealthFacts
}

/**
 * What the control thread tells a scrape: nothing is copied, everything is asked for at the moment of the
 * scrape.
 */
export function controlFacts(from: FactSources): ControlFacts {
  return {
    version: from.version,
    uncaught: from.uncaught,
    health: from.health,
    workerRestarts: from.pool.restarts,
    get configHash() {
      return from.hash()
    },
    get reloads() {
      return from.reloader().counts
    },
    get lastReloadOk() {
      return from.reloader().last?.ok ?? true
    },
    get lastReloadOkAtMs() {
      return from.reloader().takenWallMs
    },
    get workers() {
      return from.pool.facts
    },
    get certificates() {
      return from.certificates.facts
    },
    get certificateProblems() {
      return from.certificates.problems.length
    },
    get logLinesDropped() {
      return from.logs.dropped
    },
  }
}
