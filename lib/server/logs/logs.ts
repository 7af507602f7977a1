import type { Clock } from '../../base/clock.ts'
import { createLogger, type Logger } from '../../base/log.ts'
import { LogDestination } from '../../base/log-destination.ts'
import type { Timers } from '../../base/timers.ts'
import type { LogConfig } from '../../config/model.ts'

/** For so long after a flood of workers' output operators are told of it. */
const FLOOD_SHOWN_MS = 60_000

/** A log file cannot be opened. The message says which, and why. */
export class LogRefused extends Error {
  override readonly name = 'LogRefused'
}

/** The daemon's own log on stdout, and the access log beside it or in a file. */
export class Logs {
  readonly logger: Logger
  /** For what apps say: it may be a flood, and then leaves room for ours. */
  readonly workers: Logger
  readonly #timers: Timers
  readonly #clock: Clock
  readonly #stdout: LogDestination
  #access: LogDestination | undefined
  #config: LogConfig
  #accessDropped = 0
  /** Of those, lines that stdout dropped. */
  #accessDroppedOnStdout = 0
  /** Lines of workers that were a flood, and when there was one. */
  #outputDropped = 0
  #floodAtMs = Number.NEGATIVE_INFINITY

  /** Throws LogRefused. */
  constructor(config: LogConfig, timers: Timers, clock: Clock) {
    this.#timers = timers
    this.#clock = clock
    this.#config = config
    this.#stdout = new LogDestination({ target: { kind: 'stdout' }, timers, clock })
    this.#access = this.#openAccess(config)
    this.logger = createLogger(config.level, this.#stdout)
    this.workers = createLogger(config.level, {
      write: line => this.#stdout.writeOther(line),
    })
  }

  /** What is in force. */
  get config(): LogConfig {
    return this.#config
  }

  /** Lines that were lost, for the metrics. */
  get dropped(): { readonly app: number; readonly access: number } {
    const app = this.#stdout.dropped - this.#accessDroppedOnStdout + this.#outputDropped
    return { app, access: this.#accessDropped }
  }

  /** What is wrong with logs now, a sentence each, for operators. */
  get problems(): string[] {
    const files = [
      ['stdout', this.#stdout],
      [this.#accessName, this.#access === this.#stdout ? undefined : this.#access],
    ] as const
    const flood = this.#clock.now() - this.#floodAtMs < FLOOD_SHOWN_MS
    return [
      ...files.flatMap(([name, log]) => (log?.problem === undefined ? [] : [`log ${name}: ${log.problem}`])),
      ...(flood ? [`workers produce excessive output; ${this.#outputDropped} lines lost so far`] : []),
    ]
  }

  get #accessName(): string {
    const { access } = this.#config
    return access.kind === 'file' ? access.path : access.kind
  }

  /** Takes new settings. Throws LogRefused, and then nothing has changed. */
  apply(config: LogConfig): void {
    if (JSON.stringify(config.access) !== JSON.stringify(this.#config.access)) {
      const before = this.#access
      this.#access = this.#openAccess(config)
      if (before !== this.#stdout) void before?.close()
    }
    this.logger.level = config.level
    this.workers.level = config.level
    this.#config = config
  }

  /** Access lines of one data thread, and how many it lost. Whole lines: they never interleave. */
  writeAccess(lines: Buffer | undefined, dropped: number): void {
    const destination = this.#access ?? this.#stdout
    const before = destination.dropped
    if (dropped > 0) destination.drop(dropped)
    if (lines !== undefined) destination.writeBytes(lines)
    const lost = destination.dropped - before
    this.#accessDropped += lost
    if (destination === this.#stdout) this.#accessDroppedOnStdout += lost
  }

  /** A worker said more than the log takes of one. */
  dropOutput(upstream: string, endpoint: string, lines: number): void {
    this.#outputDropped += lines
    this.#floodAtMs = this.#clock.now()
    this.logger.warn({ upstream, endpoint, lines }, 'worker output is a flood: lines dropped')
  }

  /** SIGUSR2: the access log was moved away. */
  reopen(): void {
    try {
      this.#access?.reopen()
      this.logger.info('log files reopened')
    } catch (error) {
      const { access } = this.#config
      const problem = access.kind === 'file' ? openErrorText(access.path, error) : String(error)
      this.logger.warn({ problem }, 'log file not reopened: the old one goes on')
    }
  }

  /** Writes out now what must not wait. */
  flush(): void {
    this.#stdout.flush()
  }

  /** Before the process ends. */
  flushSync(): void {
    this.#stdout.flushSync()
    if (this.#access !== this.#stdout) this.#access?.flushSync()
  }

  async close(): Promise<void> {
    if (this.#access !== this.#stdout) await this.#access?.close()
    await this.#stdout.close()
  }

  #openFile(target: Extract<LogConfig['access'], { kind: 'file' }>): LogDestination {
    try {
      return new LogDestination({
        target,
        timers: this.#timers,
        clock: this.#clock,
        observer: { flipped: problem => this.#flipped(target.path, problem) },
      })
    } catch (error) {
      throw new LogRefused(`log.access: ${openErrorText(target.path, error)}`, { cause: error })
    }
  }

  #flipped(file: string, problem: string | undefined): void {
    if (problem === undefined)
      this.logger.info({ file, lost: this.#accessDropped }, 'log file is written again')
    else
      this.logger.warn({ file, problem }, 'log file cannot be written: lines are kept for a while, then lost')
  }

  #openAccess({ access }: LogConfig): LogDestination | undefined {
    switch (access.kind) {
      case 'off':
        return undefined
      case 'stdout':
        return this.#stdout
      case 'file':
        return this.#openFile(access)
    }
  }
}

function openErrorText(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return `the folder of ${path} does not exist: create it first`
    case 'EACCES':
      return `this user has no permission to write to ${path}`
    case 'EISDIR':
      return `${path} is a folder: specify a file in it`
    default:
      return message
  }
}
