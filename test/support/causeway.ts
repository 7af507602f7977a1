import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Test } from 'tap'
import { boundCommand } from './bound-command.ts'
import { Metrics } from './metrics.ts'
import type { RecordingUpstream } from './recording-upstream.ts'
import { patience, until, within } from './until.ts'

/** One line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** Something else than text in a file's place. */
export interface PlacedFile {
  put(path: string): void
}

export interface StartOptions {
  /** One file's TOML, or several by their names. Listeners and admin use port 0. */
  readonly config: string | Readonly<Record<string, string | PlacedFile>>
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** Folder that it is started in; this checkout unless said. */
  readonly cwd?: string
  /**
   * A module of this folder that Node loads into every thread before anything of ours; `send` speaks to it.
   */
  readonly preload?: string
  /** The limit of open files that the process gets. */
  readonly openFiles?: number
}

/** A Causeway process under test. */
export class Running {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #exit: Promise<number | string>
  /** Everything it wrote to stdout, and to stderr. */
  stdout = ''
  stderr = ''
  readonly #lines: LogLine[] = []
  /** Lines of stdout that are no JSON objects: always a mistake. */
  readonly unreadable: string[] = []
  #rest = ''
  #ready: LogLine | undefined
  #exited = false

  constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#exit = new Promise(done => {
      child.once('close', (code, signal) => {
        this.#exited = true
        done(code ?? signal ?? 'unknown')
      })
    })
  }

  /** Where its configuration lies, for those who change a file of it by themselves. */
  get configFolder(): string {
    return join(this.#folder, 'conf.d')
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get exited(): boolean {
    return this.#exited
  }

  /** All log lines so far, access lines among them. */
  get lines(): readonly LogLine[] {
    return this.#lines
  }

  get access(): LogLine[] {
    return this.#lines.filter(({ msg }) => msg === 'access')
  }

  /** The port that a listener was given. */
  port(listener = 'web'): number {
    const { listeners } = this.#ready ?? {}
    const address = (listeners as Readonly<Record<string, string>> | undefined)?.[listener]
    if (address === undefined) throw new Error(`no listener ${listener} in ${JSON.stringify(this.#ready)}`)
    return Number(address.slice(address.lastIndexOf(':') + 1))
  }

  get adminUrl(): string {
    const { admin } = this.#ready ?? {}
    return `http://${String(admin)}`
  }

  async metrics(): Promise<Metrics> {
    const answer = await fetch(`${this.adminUrl}/metrics`, { signal: AbortSignal.timeout(patience()) })
    return new Metrics(await answer.text())
  }

  /** Waits until the sum of a metric's series with these labels passes `test`. */
  async metric(
    name: string,
    labels: Record<string, string>,
    test: (value: number) => boolean,
  ): Promise<number> {
    let value = Number.NaN
    await until(
      () => `metric ${name} ${JSON.stringify(labels)}, last seen as ${value}`,
      async () => {
        value = (await this.metrics()).sum(name, labels)
        return test(value)
      },
    )
    return value
  }

  /** Waits for the access line of this path. */
  async accessOf(path: string): Promise<LogLine> {
    return until(`the access line of ${path}`, () => this.access.find(({ path: found }) => found === path))
  }

  /** Waits for a log line. */
  async line(what: string, test: (line: LogLine) => boolean, patienceMs?: number): Promise<LogLine> {
    return until(`log line: ${what}`, () => this.#lines.find(test), patienceMs)
  }

  /** Writes a new configuration and sends SIGHUP; resolves once it was taken or refused. */
  async reload(config: StartOptions['config']): Promise<'success' | 'failure'> {
    const before = await this.metrics()
    const count = (metrics: Metrics, result: string) =>
      metrics.sum('causeway_config_reloads_total', { result })
    writeConfig(this.#folder, config)
    this.signal('SIGHUP')
    return until('the reload', async () => {
      const now = await this.metrics()
      if (count(now, 'success') > count(before, 'success')) return 'success'
      return count(now, 'failure') > count(before, 'failure') ? 'failure' : undefined
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** To the preloaded module. */
  send(message: object): void {
    this.#child.send(message)
  }

  /** The next message of the preloaded module. */
  async told(): Promise<unknown> {
    const [message] = await within('the preloaded module', once(this.#child, 'message'))
    return message
  }

  /** Resident memory of the process, in bytes. */
  rssBytes(): number {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(match?.[1]) * 1024
  }

  /** The exit code, or the signal's name. */
  async exitCode(): Promise<number | string> {
    return within('the process to exit', this.#exit, 20_000)
  }

  /** SIGTERM and, where that does not help, SIGKILL. Safe to call twice. */
  async stop(): Promise<number | string> {
    if (!this.#exited) this.signal('SIGTERM')
    try {
      return await this.exitCode()
    } catch {
      this.signal('SIGKILL')
      return await this.#exit
    } finally {
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  /** Resolves when it listens; throws with its output if it ends before. */
  async untilReady(): Promise<void> {
    await until(
      'the line "ready"',
      () => {
        this.#ready = this.#lines.find(({ msg }) => msg === 'ready')
        return this.#ready !== undefined || this.#exited
      },
      30_000,
    )
    if (this.#ready === undefined) throw new Error(`Causeway did not start:\n${this.stdout}\n${this.stderr}`)
  }

  #read(text: string): void {
    this.stdout += text
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#parse(line)
  }

  #parse(line: string): void {
    try {
      this.#lines.push(JSON.parse(line) as LogLine)
    } catch {
      this.unreadable.push(line)
    }
  }
}

/** Starts Causeway on this configuration and waits until it listens. */
export async function startCauseway(t: Pick<Test, 'teardown'>, options: StartOptions): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-test-'))
  const path = writeConfig(folder, options.config)
  const child = spawn(...commandFor(options, path), {
    cwd: options.cwd ?? process.cwd(),
    env: { ...cleanEnv(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.preload === undefined ? [] : ['ipc' as const])],
  })
  const running = new Running(child, folder)
  t.teardown(async () => {
    await running.stop()
  })
  await running.untilReady()
  return running
}

/**
 * The last words of every file: nothing ambiguous reached the app, nothing threw where nobody caught, all
 * gauges are back at nought, every line of the log can be read, and the process ends cleanly.
 */
export async function assertClean(
  t: Test,
  running: Running,
  upstreams: readonly RecordingUpstream[] = [],
): Promise<void> {
  for (const upstream of upstreams) t.same(upstream.dirty, [], 'nothing ambiguous reached the app')
  for (const name of [
    'causeway_requests_in_flight',
    'causeway_upstream_in_flight',
    'causeway_upstream_queue_depth',
  ]) {
    await running.metric(name, {}, value => value === 0)
  }
  const metrics = await running.metrics()
  t.equal(metrics.sum('causeway_uncaught_errors_total'), 0, 'nothing was thrown past everybody')
  t.equal(await running.stop(), 0, 'exit code')
  t.same(running.lines.filter(isCrash), [], 'no crash in the log')
  t.same(running.unreadable, [], 'every line of the log is JSON')
  t.equal(running.stderr, '', 'nothing on stderr')
}

function commandFor({ preload, openFiles, args = [] }: StartOptions, path: string): [string, string[]] {
  const imports = preload === undefined ? [] : ['--import', new URL(preload, import.meta.url).href]
  const run = [...imports, resolve('cmd/causeway.ts'), 'run', '--config', path, ...args]
  if (openFiles === undefined) return boundCommand(process.execPath, run)
  return boundCommand('sh', ['-c', `ulimit -n ${openFiles} && exec "$0" "$@"`, process.execPath, ...run])
}

function isCrash(line: LogLine): boolean {
  const text = JSON.stringify(line)
  const { level } = line
  return text.includes('uncaughtException') || text.includes('unhandledRejection') || level === 'fatal'
}

function writeConfig(folder: string, config: StartOptions['config']): string {
  const files = typeof config === 'string' ? { 'causeway.toml': config } : config
  // The default is one fixed port, where another process of this machine may listen.
  if (!Object.values(files).some(text => typeof text === 'string' && text.includes('[admin]')))
    throw new Error('a configuration under test names its own admin address')
  const path = join(folder, 'conf.d')
  rmSync(path, { recursive: true, force: true })
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    if (typeof text === 'string') writeFileSync(join(path, name), text)
    else text.put(join(path, name))
  }
  return path
}

/** Without what a test runner or coverage puts into its children. */
function cleanEnv(): NodeJS.ProcessEnv {
  const env = { ...process.env }
  for (const name of ['NODE_OPTIONS', 'NODE_V8_COVERAGE', 'TAP', 'NODE_TEST_CONTEXT']) delete env[name]
  return env
}
