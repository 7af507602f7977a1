import type t from 'tap'
import type { Test } from 'tap'
import { CellColumn, createCellMemory } from '../../lib/base/cells.ts'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { UpstreamConfig } from '../../lib/config/model.ts'
import type { MirrorResult } from '../../lib/proxy/mirror-measures.ts'
import { MirrorTraffic } from '../../lib/proxy/mirror-site.ts'
import type { Mount } from '../../lib/proxy/mount.ts'
import type { ProxySite } from '../../lib/proxy/site.ts'
import { Spool } from '../../lib/proxy/spool.ts'
import { SPOOL_BLOCK } from '../../lib/proxy/spool-measures.ts'
import type { Job } from '../../upstreams/job.ts'
import { UPSTREAM_BLOCK } from '../../upstreams/measures.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import { CountingAttempt } from '../support/counting-attempt.ts'
import { never, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { configOf, Process, TestJob } from '../support/upstream-world.ts'

export type Tap = Pick<typeof t, 'test'>

/** How a job ended for its client; a mirror has a result in place of a client. */
export type JobEnd = 'whole' | ErrorCode | MirrorResult

/** A request of the bench's client. */
export interface Asked {
  /** With its query. `/x` unless said. */
  readonly target?: string
  readonly host?: string
  readonly fields?: readonly (readonly [name: string, value: string])[]
  /** GET without a body, PUT with one: both may be repeated. */
  readonly body?: Buffer
  readonly mount?: Mount
}

/** One job, and its client, which the test plays. */
export interface JobClient {
  readonly job: Job
  /** Each end that it was told of, in order. */
  readonly ends: readonly JobEnd[]
  /** What it has of the answer. */
  readonly received: Buffer
  /** Submits the job, as the part that makes it does. */
  start(): void
  leave(): void
  /** Takes no more of the answer until `takeAnswer`. */
  holdAnswer(): void
  takeAnswer(): void
}

/** One maker of jobs. */
export interface JobBench {
  client(world: JobWorld, asked: Asked): JobClient
  /** `Job.repeatable` at first, and once the body has begun to flow. */
  readonly repeatable: { readonly first: boolean; readonly flowing: boolean }
  /** The error for an app that is gone inside its answer. */
  readonly cut: ErrorCode
  /** What `ends` has of such an end. */
  endOf(end: 'whole' | ErrorCode): JobEnd
}

/** What a maker does not have. */
export interface Lacks {
  /**
   * No client waits for it: the answer is dropped, the client can neither end nor pause it, and without a
   * free slot it is dropped.
   */
  readonly client?: boolean
  /** Its request has no body. */
  readonly body?: boolean
  /** It speaks no HTTP: there is no head in any form. */
  readonly head?: boolean
}

/** An attempt whose endpoint the test plays. */
export class ScriptedAttempt extends CountingAttempt {
  /** False: the endpoint is slow. */
  takesBody = true
  bodyBytes = 0
  /** Bytes that came although `sendBody` had returned false. */
  unasked = 0
  #paused = false

  override sendBody(_bytes?: Uint8Array, start = 0, end = 0): boolean {
    this.bodyBytes += end - start
    if (this.#paused) this.unasked += end - start
    this.#paused = !this.takesBody
    return this.takesBody
  }

  /** Takes bytes again; the caller tells the job by `sendDrained`. */
  drain(): void {
    this.takesBody = true
    this.#paused = false
  }
}

/** An upstream with what its jobs need, and the app behind it. */
export class JobWorld {
  readonly process: Process
  readonly env: ThreadEnv
  readonly app: RecordingUpstream
  readonly upstream: Upstream
  readonly spool: Spool
  readonly traffic = new MirrorTraffic()
  readonly #cells = new CellColumn(createCellMemory(1, SPOOL_BLOCK.size), 0)

  private constructor(t: Test, app: RecordingUpstream, config: UpstreamConfig) {
    this.process = new Process(t)
    this.env = this.process.env(0)
    this.app = app
    this.upstream = this.process.upstream(this.env, config)
    t.teardown(() => this.upstream.retire())
    const limits = { memoryBytes: 8 * MIB, memoryTotalBytes: 64 * MIB, diskBytes: 64 * MIB }
    this.spool = new Spool(this.#cells, { folder: t.testdir(), ...limits }, 0, this.env.descriptors)
  }

  /** One slot and no second try, unless `changes` says so. `ports`: endpoints ahead of the app. */
  static async start(
    t: Test,
    script: Script,
    changes: Partial<UpstreamConfig> = {},
    ports: readonly number[] = [],
  ): Promise<JobWorld> {
    const app = await RecordingUpstream.start(t)
    app.on('/x', script)
    app.on('/hold', never)
    const patient = { maxInflight: 1, retry: NO_RETRY, timeouts: TIMEOUTS, queue: QUEUE }
    return new JobWorld(t, app, configOf([...ports, app.port], { ...patient, ...changes }))
  }

  site(mount: Mount | undefined): ProxySite {
    const { spool, env } = this
    return {
      room: { spool, env, maxBytes: 0 },
      mount,
      files: { serve: () => false },
      priority: 'normal',
    }
  }

  /** Takes the one slot; gives it back when it is called. */
  async hold(): Promise<() => void> {
    const job = new TestJob('/hold')
    this.upstream.submit(job)
    await this.app.arrival('/hold')
    return () => job.leave()
  }

  /** Jobs that wait for a slot. */
  get waiting(): number {
    return this.env.cells.get(UPSTREAM_BLOCK.at.queueDepth)
  }

  /** Slots, places, connections, descriptors and memory are free, and all that the app got was canonical. */
  async assertFree(t: Test): Promise<void> {
    this.upstream.retire()
    await until(
      () => `all to be given back: ${this.#held}`,
      () => this.#held.every(count => count === 0),
    )
    t.equal(this.process.inflight(), 0, 'slots')
    t.same(this.app.dirty, [])
  }

  get #held(): readonly number[] {
    const { memory, disk, promised, files } = SPOOL_BLOCK.at
    const spooled = [memory, disk, promised, files].map(at => this.#cells.get(at))
    const { taken } = this.env.shared.descriptors
    return [...this.process.gauges(), ...spooled, taken, this.traffic.running]
  }
}

const MIB = 1024 * 1024
/** No test waits for that; what should run out is set by the test itself. */
const NEVER_MS = 60_000
const TIMEOUTS = { connectMs: NEVER_MS, responseMs: NEVER_MS, idleMs: NEVER_MS, tunnelMs: NEVER_MS }
const QUEUE = { length: 100, timeoutMs: NEVER_MS }
const NO_RETRY = { attempts: 0, budgetShare: 0, statuses: [] }
