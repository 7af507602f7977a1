/** Life of a data thread as the control thread sees it. */
export const WORKER_STATES = ['starting', 'running', 'draining', 'stopped'] as const
export type WorkerState = (typeof WORKER_STATES)[number]

/** Why a data thread was replaced: it ended by itself, or it stopped beating. */
export const RESTART_REASONS = ['exit', 'stuck'] as const
export type RestartReason = (typeof RESTART_REASONS)[number]

export const THREAD_KINDS = ['control', 'data'] as const
export type ThreadKind = (typeof THREAD_KINDS)[number]

/** What nobody caught. Both stay at zero in a healthy process. */
export const UNCAUGHT_KINDS = ['exception', 'rejection'] as const
export type UncaughtKind = (typeof UNCAUGHT_KINDS)[number]

export const LOG_NAMES = ['app', 'access'] as const
export type LogName = (typeof LOG_NAMES)[number]

/**
 * What the control thread knows without any cell. It keeps this object up to date and a scrape reads it;
 * nothing here is copied, so every property may be a getter.
 */
export interface ControlFacts {
  readonly version: string
  /** Hash of the configuration that runs. */
  readonly configHash: string
  /** Reloads since the start, which does not count as one itself. */
  readonly reloads: { readonly success: number; readonly failure: number }
  /** False while the newest configuration could not be loaded and an older one runs. */
  readonly lastReloadOk: boolean
  /** Wall clock, milliseconds: when the running configuration was taken, be it at the start. */
  readonly lastReloadOkAtMs: number
  readonly workers: readonly WorkerFacts[]
  readonly workerRestarts: Readonly<Record<RestartReason, number>>
  readonly logLinesDropped: Readonly<Record<LogName, number>>
  readonly uncaught: Readonly<Record<ThreadKind, Readonly<Record<UncaughtKind, number>>>>
  readonly certificates: readonly CertificateFacts[]
  /**
   * How many things are wrong with certificates now, whatever serves meanwhile: files, orders, the folder
   * they are kept in.
   */
  readonly certificateProblems: number
  /** See HealthTally, which is all that this needs. */
  readonly health: HealthFacts
}

/** A certificate that is shown to clients. */
export interface CertificateFacts {
  readonly listener: string
  /** Its first name; '' without any. */
  readonly name: string
  /** All of them. */
  readonly names: readonly string[]
  readonly keyType: string
  /** It is renewed without anybody's doing. */
  readonly renewed: boolean
  /** Wall clock, milliseconds. */
  readonly notAfterMs: number
}

export interface WorkerFacts {
  /** Number of the data thread: label `worker`. */
  readonly thread: number
  readonly state: WorkerState
  /** Generation of the configuration that it runs; 0 before its first. */
  readonly generation: number
  /** Longest delay of its event loop since its last report; undefined before the first. */
  readonly loopLagMs: number | undefined
  /**
   * Share of time that its event loop was busy, 0 to 1 (`worker.performance.eventLoopUtilization`); undefined
   * if not known.
   */
  readonly loopUtilization: number | undefined
}

/** What an endpoint turned into. */
export const STATE_CHANGES = ['up', 'down', 'ejected', 'readmitted', 'draining', 'undrained'] as const
export type StateChange = (typeof STATE_CHANGES)[number]

/** Checks and state changes of endpoints, by name. */
export interface HealthFacts {
  endpoint(upstream: string, endpoint: string): EndpointHealth | undefined
  /**
   * A histogram block over LATENCY_BOUNDS as lib/base/cells.ts lays it out; undefined before the first check.
   */
  checkSeconds(upstream: string): ArrayLike<number> | undefined
}

/** `busy`: no answer in time, which is no failure, because the endpoint ran as many requests as it can. */
export const CHECK_RESULTS = ['pass', 'fail', 'busy'] as const
export type CheckResult = (typeof CHECK_RESULTS)[number]

export interface EndpointHealth {
  readonly checks: Readonly<Record<CheckResult, number>>
  readonly changes: Readonly<Record<StateChange, number>>
}
