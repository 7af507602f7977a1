import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import type { Address, EndpointConfig, RunConfig, Snapshot, UpstreamConfig } from '../../config/model.ts'
import { within } from '../shared/alarm.ts'
import { OrphanGuard } from './orphan-guard.ts'
import type { OutputStream } from './worker-output.ts'
import { type WorkerObserver, WorkerProcess } from './worker-process.ts'

/**
 * How long workers of a changed `run` may take until they accept connections; until then the old ones go on.
 */
const START_MS = 30_000
/** How long a worker may take to end by itself. */
const STOP_MS = 10_000
/** Deaths of a new worker after which a reload no longer waits for it. */
const MAX_EARLY_DEATHS = 3

/** What the control thread is told. */
export interface ManagedObserver {
  workerUp(upstream: string, worker: string): void
  workerDown(upstream: string, worker: string, reason: string, againInMs: number): void
  workerLine(upstream: string, worker: string, stream: OutputStream, text: string): void
  /** Its output was a flood: so many lines of it are lost. */
  workerDropped(upstream: string, worker: string, lines: number): void
}

/** What managed workers are given. */
export interface ManagedOptions {
  /** Environment that the workers inherit. */
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly timers: Timers
  readonly observer: ManagedObserver
}

/** One worker as the status page shows it. */
export interface WorkerStatus {
  readonly upstream: string
  readonly worker: string
  readonly pid: number | undefined
  readonly starts: number
  readonly reachable: boolean
}

/** The processes of one `run` table. */
interface Group {
  readonly upstream: string
  readonly run: RunConfig
  readonly workers: readonly WorkerProcess[]
}

/**
 * App processes that we start ourselves. A configuration is taken in two steps, so that a reload never loses
 * a worker before its successor answers: `prepare` starts what is new, then either `adopt` makes it the
 * present and `stopLeaving` stops the past, or `abandon` stops what was started for nothing.
 */
export class ManagedWorkers implements WorkerObserver {
  readonly #options: ManagedOptions
  #groups: readonly Group[] = []
  #prepared: readonly Group[] = []
  #leaving: readonly Group[] = []
  /** Resolves waits of `prepare` when anything happens to a worker. */
  #changed = Promise.withResolvers<void>()
  #folder: string | undefined
  readonly #guard = new OrphanGuard()

  constructor(options: ManagedOptions) {
    this.#options = options
  }

  /**
   * Starts the workers that the snapshot asks for and that do not run yet; the same snapshot with their
   * endpoints.
   */
  async prepare(snapshot: Snapshot): Promise<Snapshot> {
    const groups: Group[] = []
    for (const { name, run } of snapshot.upstreams) {
      if (run !== undefined) groups.push(this.#running(name, run) ?? (await this.#newGroup(name, run)))
    }
    this.#prepared = groups
    for (const group of this.#fresh()) for (const worker of group.workers) worker.start()
    return { ...snapshot, upstreams: snapshot.upstreams.map(it => withEndpoints(it, groups)) }
  }

  /** Waits until all new workers accept connections; the reason if one does not get there. */
  async whenReachable(): Promise<string | undefined> {
    const { clock, timers } = this.#options
    const deadlineMs = clock.now() + START_MS
    for (;;) {
      const waiting = this.#fresh().flatMap(group => group.workers.filter(worker => !worker.reachable))
      const first = waiting[0]
      if (first === undefined) return undefined
      const hopeless = waiting.find(worker => worker.starts > MAX_EARLY_DEATHS)
      if (hopeless !== undefined) return `${nameOf(hopeless)} keeps exiting: ${hopeless.endedBecause}`
      const leftMs = deadlineMs - clock.now()
      if (leftMs <= 0) return `${nameOf(first)} accepts no connection after ${START_MS / 1000} s`
      await within(timers, leftMs, this.#changed.promise, undefined)
    }
  }

  /** The prepared configuration is taken: from now on its workers are the ones that are reported. */
  adopt(): void {
    this.#leaving = [...this.#leaving, ...this.#groups.filter(group => !this.#prepared.includes(group))]
    this.#groups = this.#prepared
    this.#prepared = []
    for (const group of this.#groups) {
      for (const worker of group.workers) if (worker.reachable) this.#tellUp(worker)
    }
  }

  /**
   * Stops the workers that the adopted configuration does not have. To be called once nothing runs on them
   * any more.
   */
  async stopLeaving(): Promise<void> {
    const leaving = this.#leaving
    await stopAll(leaving)
    this.#leaving = this.#leaving.filter(group => !leaving.includes(group))
  }

  /** The prepared configuration was refused. */
  async abandon(): Promise<void> {
    const fresh = this.#fresh()
    this.#prepared = []
    await stopAll(fresh)
  }

  /** Stops every worker and removes what was made for them. */
  async stop(): Promise<void> {
    await stopAll([...this.#groups, ...this.#fresh(), ...this.#leaving])
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  /** The last resort when the process must end now. */
  kill(): void {
    for (const group of [...this.#groups, ...this.#prepared, ...this.#leaving])
      for (const worker of group.workers) worker.kill()
  }

  status(): WorkerStatus[] {
    return this.#groups.flatMap(group =>
      group.workers.map(({ options, pid, starts, reachable }) => {
        return { upstream: options.upstream, worker: options.name, pid, starts, reachable }
      }),
    )
  }

  // WorkerObserver.

  reachable(worker: WorkerProcess): void {
    this.#wake()
    if (this.#isCurrent(worker)) this.#tellUp(worker)
  }

  ended(worker: WorkerProcess, reason: string, againInMs: number): void {
    this.#wake()
    const { upstream, name } = worker.options
    if (this.#isCurrent(worker)) this.#options.observer.workerDown(upstream, name, reason, againInMs)
    else this.line(worker, 'stderr', reason)
  }

  line(worker: WorkerProcess, stream: OutputStream, text: string): void {
    const { upstream, name } = worker.options
    this.#options.observer.workerLine(upstream, name, stream, text)
  }

  dropped(worker: WorkerProcess, lines: number): void {
    const { upstream, name } = worker.options
    this.#options.observer.workerDropped(upstream, name, lines)
  }

  #tellUp(worker: WorkerProcess): void {
    this.#options.observer.workerUp(worker.options.upstream, worker.options.name)
  }

  #isCurrent(worker: WorkerProcess): boolean {
    return this.#groups.some(group => group.workers.includes(worker))
  }

  #fresh(): Group[] {
    return this.#prepared.filter(group => !this.#groups.includes(group))
  }

  #running(upstream: string, run: RunConfig): Group | undefined {
    return this.#groups.find(group => group.upstream === upstream && sameRun(group.run, run))
  }

  async #newGroup(upstream: string, run: RunConfig): Promise<Group> {
    const addresses =
      run.transport === 'socket' ? await this.#socketPaths(run.count) : await freePorts(run.count)
    const { env, clock, timers } = this.#options
    const workers = addresses.map((address, i) => {
      const name = `worker-${i + 1}`
      return new WorkerProcess({
        upstream,
        name,
        run,
        address,
        env,
        clock,
        timers,
        observer: this,
        guard: this.#guard,
      })
    })
    return { upstream, run, workers }
  }

  /** Paths in a folder that only we may enter; short, because a socket's path holds 107 bytes (unix(7)). */
  async #socketPaths(count: number): Promise<Address[]> {
    this.#folder ??= await mkdtemp(join(tmpdir(), 'causeway-'))
    const folder = await mkdtemp(join(this.#folder, 'w'))
    return Array.from({ length: count }, (_, i) => ({ kind: 'unix', path: join(folder, `${i + 1}.sock`) }))
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

function nameOf({ options }: WorkerProcess): string {
  return `${options.name} of upstream "${options.upstream}"`
}

function sameRun(a: RunConfig, b: RunConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function withEndpoints(upstream: UpstreamConfig, groups: readonly Group[]): UpstreamConfig {
  const group = groups.find(it => it.upstream === upstream.name)
  if (group === undefined) return upstream
  const protocol = upstream.run?.protocol ?? 'http1'
  const workers: EndpointConfig[] = group.workers.map(({ options }) => {
    return { name: options.name, address: options.address, protocol, weight: 1, backup: false }
  })
  return { ...upstream, endpoints: [...upstream.endpoints, ...workers] }
}

async function stopAll(groups: readonly Group[]): Promise<void> {
  await Promise.all(groups.flatMap(group => group.workers.map(worker => worker.stop(STOP_MS))))
}

/** Free loopback ports. All are held before any is let go, so that they differ. */
async function freePorts(count: number): Promise<Address[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => holdPort()))
  const ports = servers.map(portOf)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports.map(port => ({ kind: 'tcp', host: '127.0.0.1', port }))
}

function holdPort(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

function portOf(server: Server): number {
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : 0
}
