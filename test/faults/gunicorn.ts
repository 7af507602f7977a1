import { once } from 'node:events'
import { connect } from 'node:net'
import { type AppServer, PYTHON, startServer } from '../real/support.ts'
import { until } from '../support/until.ts'
import type { Journal } from './journal.ts'
import type { Scope } from './scope.ts'

/** The app of this folder under a real gunicorn, at one address through all its lives. */
export class Gunicorn {
  /** `host:port` */
  readonly address: string
  readonly #scope: Scope
  readonly #journal: Journal
  readonly #args: readonly string[]
  #server: AppServer | undefined

  private constructor(scope: Scope, journal: Journal, address: string, args: readonly string[]) {
    this.#scope = scope
    this.#journal = journal
    this.address = address
    this.#args = args
  }

  /** Two sync workers, unless `args` say otherwise. */
  static async start(
    scope: Scope,
    journal: Journal,
    address: string,
    args: readonly string[] = ['--workers', '2'],
  ): Promise<Gunicorn> {
    const gunicorn = new Gunicorn(scope, journal, address, args)
    await gunicorn.startAgain()
    return gunicorn
  }

  /** Workers that were started since the last start, ended ones too. */
  get workersStarted(): number {
    return this.#running.workers.length
  }

  async startAgain(): Promise<void> {
    const command = ['-m', 'gunicorn', '--bind', this.address, '--chdir', import.meta.dirname]
    this.#server = await startServer(
      this.#scope,
      [PYTHON, ...command, ...this.#args, 'app:application'],
      { JOURNAL: this.#journal.path, ENDPOINT: this.address },
      /Listening at: http:\/\/[\d.]+:(\d+)/,
    )
  }

  /** New workers for old ones; resolves when the old ones have gone. */
  async reload(): Promise<void> {
    const old = this.#running.workers
    process.kill(this.#running.pid, 'SIGHUP')
    await until('the old workers to go', () => !old.some(isAlive))
  }

  /** SIGTERM, as an init system does; resolves when nobody listens there any more. */
  async stop(): Promise<void> {
    await this.#running.stop()
    await this.#untilRefused()
  }

  /** The whole process group at once; resolves when nobody listens there any more. */
  async kill(): Promise<void> {
    await this.#running.kill()
    await this.#untilRefused()
  }

  /** All processes stand still; the kernel goes on to take connections. */
  freeze(): void {
    this.#running.signal('SIGSTOP')
  }

  thaw(): void {
    this.#running.signal('SIGCONT')
  }

  /** Workers share the listening socket, and may outlive the master by a moment. */
  async #untilRefused(): Promise<void> {
    await until(`${this.address} to refuse connections`, () => isRefused(this.address))
  }

  get #running(): AppServer {
    if (this.#server === undefined) throw new Error(`gunicorn at ${this.address} was never started`)
    return this.#server
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function isRefused(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':')
  const socket = connect(Number(port), host)
  try {
    await once(socket, 'connect')
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
