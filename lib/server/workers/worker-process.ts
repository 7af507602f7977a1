import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import type { Address, RunConfig } from '../../config/model.ts'
import { Alarm, within } from '../shared/alarm.ts'
import { Backoff } from '../shared/backoff.ts'
import type { OrphanGuard } from './orphan-guard.ts'
import { inheritedBy } from './worker-environment.ts'
import { type OutputStream, WorkerOutput } from './worker-output.ts'

const RESTART = { firstMs: 250, maxMs: 10_000, resetAfterMs: 10_000 } as const
/** Time between two looks whether a starting worker accepts connections. */
const LOOK_MS = 50

/** What a worker's process tells its supervisor. */
export interface WorkerObserver {
  /** It accepts connections. */
  reachable(worker: WorkerProcess): void
  /** It has ended, or could not be started; it is started again after `againInMs`. */
  ended(worker: WorkerProcess, reason: string, againInMs: number): void
  line(worker: WorkerProcess, stream: OutputStream, text: string): void
  /** It said more than the log takes of one worker. */
  dropped(worker: WorkerProcess, lines: number): void
}

/** What a worker's process is made of. */
export interface WorkerOptions {
  readonly upstream: string
  readonly name: string
  readonly run: RunConfig
  /** Where it shall listen. */
  readonly address: Address
  /**
   * Our own environment. What of it is not the worker's is taken out; `run.env`, PORT or SOCKET, and
   * CAUSEWAY_WORKER (the name) are added.
   */
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly timers: Timers
  readonly observer: WorkerObserver
  /** Ends the process when this one is killed. */
  readonly guard: OrphanGuard
}

/**
 * One app process that is kept alive: started without a shell, in a process group of its own, and started
 * again on the same address.
 */
export class WorkerProcess {
  readonly options: WorkerOptions
  /** True while it accepts connections. */
  reachable = false
  /** Starts so far. */
  starts = 0
  /** Why it ended the last time; undefined before. */
  endedBecause: string | undefined = undefined
  readonly #backoff = new Backoff(RESTART)
  readonly #again: Alarm
  readonly #look: Alarm
  readonly #output: WorkerOutput
  #child: ChildProcess | undefined
  #probe: Socket | undefined
  #startedMs = 0
  #stopping = false
  #exited = Promise.withResolvers<void>()

  constructor(options: WorkerOptions) {
    this.options = options
    this.#again = new Alarm(options.timers, () => this.start())
    this.#look = new Alarm(options.timers, () => this.#lookOnce())
    this.#output = new WorkerOutput({
      clock: options.clock,
      timers: options.timers,
      line: (stream, text) => options.observer.line(this, stream, text),
      dropped: lines => options.observer.dropped(this, lines),
    })
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    if (this.#stopping) return
    const { clock, address } = this.options
    // Should the system refuse the process, it is asked again.
    this.#again.set(RESTART.maxMs)
    this.starts += 1
    this.#startedMs = clock.now()
    this.#exited = Promise.withResolvers<void>()
    // Most servers refuse to start over the socket file that a killed one left.
    if (address.kind === 'unix') rmSync(address.path, { force: true })
    const child = this.#spawn()
    this.#child = child
    if (child.pid !== undefined) this.options.guard.add(child.pid)
    this.#again.clear()
    if (child.stdout !== null) this.#output.follow(child.stdout, 'stdout')
    if (child.stderr !== null) this.#output.follow(child.stderr, 'stderr')
    child.once('error', error => this.#ended(child, spawnReason(error, this.options.run.command[0])))
    child.once('exit', (code, signal) => this.#ended(child, exitReason(code, signal)))
    this.#look.set(LOOK_MS)
  }

  /** Asks the process to end, and after `graceMs` ends it. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#again.clear()
    this.#stopLooking()
    if (this.#child === undefined) return
    this.#signal('SIGTERM')
    await within(this.options.timers, graceMs, this.#exited.promise, undefined)
    this.kill()
    await this.#exited.promise
  }

  /** Ends the process and all that it started, at once. */
  kill(): void {
    this.#stopping = true
    this.#signal('SIGKILL')
  }

  #spawn(): ChildProcess {
    const { run, address, env } = this.options
    const [file, ...args] = run.command.map(word => fillIn(word, address))
    return spawn(file ?? '', args, {
      // A group of its own: a Ctrl-C in the terminal is for us, and what the worker starts can be ended with
      // it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inheritedBy(run, env), ...run.env, ...ownVariables(this.options) },
    })
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return
    // Processes that it left behind would hold its port.
    this.#signal('SIGKILL')
    if (child.pid !== undefined) this.options.guard.remove(child.pid)
    this.#child = undefined
    this.reachable = false
    this.endedBecause = reason
    this.#stopLooking()
    this.#exited.resolve()
    if (this.#stopping) return
    const againInMs = this.#backoff.delayAfter(this.options.clock.now() - this.#startedMs)
    this.options.observer.ended(this, reason, againInMs)
    this.#again.set(againInMs)
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // The whole group has already gone.
    }
  }

  #lookOnce(): void {
    const { address } = this.options
    const socket = address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host)
    this.#probe = socket
    socket.once('connect', () => {
      this.#stopLooking()
      this.reachable = true
      this.options.observer.reachable(this)
    })
    socket.once('error', () => {
      if (this.#probe === socket && this.#child !== undefined) this.#look.set(LOOK_MS)
    })
  }

  #stopLooking(): void {
    this.#look.clear()
    this.#probe?.destroy()
    this.#probe = undefined
  }
}

/** `{port}` and `{socket}` of a command, filled in. */
function fillIn(word: string, address: Address): string {
  if (address.kind === 'unix') return word.replaceAll('{socket}', address.path)
  return word.replaceAll('{port}', String(address.port))
}

/** What a worker is told of itself. */
function ownVariables({ name, address }: WorkerOptions): NodeJS.ProcessEnv {
  const place = address.kind === 'unix' ? { SOCKET: address.path } : { PORT: String(address.port) }
  return { ...place, CAUSEWAY_WORKER: name }
}

/** Why the system did not start a program at all. */
function spawnReason({ code, message }: NodeJS.ErrnoException, program: string): string {
  switch (code) {
    case 'ENOENT':
      return `program ${JSON.stringify(program)} not found: specify its path, or add its folder to PATH`
    case 'EACCES':
      return `${JSON.stringify(program)} cannot be executed by this user`
    default:
      return message
  }
}

function exitReason(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exited with status ${code}` : `terminated by ${signal}`
}
