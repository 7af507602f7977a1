import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { processTree } from './proc-stat.ts'

/** The core that the proxy under test has for itself; load and upstream share the other. */
export const PROXY_CORE = 0
export const LOAD_CORE = 1

const STOP_MS = 5_000

export interface StartOptions {
  readonly core: number
  /** File that takes stdout and stderr. */
  readonly output: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Raises the limit of open files, then becomes the command on one core: the pid stays the same. */
const onCore = (core: number, command: readonly string[]) => [
  ...['sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh'],
  ...['taskset', '-c', String(core)],
  ...command,
]

/** Every process of a run, each ended by its own pid: in order by `stop`, at once by `killNow`. */
export class Processes {
  readonly #running = new Set<ChildProcess>()

  start(command: readonly string[], { core, output, env, cwd }: StartOptions): ChildProcess {
    const fd = openSync(output, 'a')
    const [file = '', ...args] = onCore(core, command)
    const child = spawn(file, args, {
      stdio: ['pipe', fd, fd],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    })
    closeSync(fd)
    return this.own(child)
  }

  /** A process started elsewhere that is to end with the run. */
  own(child: ChildProcess): ChildProcess {
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    child.once('error', () => this.#running.delete(child))
    return child
  }

  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const deadline = new AbortController()
    await Promise.race([ended, delay(STOP_MS, undefined, { signal: deadline.signal })])
    deadline.abort()
    if (child.exitCode === null && child.signalCode === null) killTree(child)
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map(child => this.stop(child)))
  }

  killNow(): void {
    for (const child of this.#running) killTree(child)
  }
}

// A master that is killed leaves its workers behind, so the tree is read first and ended whole.
function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return
  for (const pid of processTree(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself between the two calls.
    }
  }
}
