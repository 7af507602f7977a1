import type t from 'tap'
import type { Test } from 'tap'
import type { ErrorCode } from '../../lib/base/errors.ts'
import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { EndpointProtocol, UpstreamConfig } from '../../lib/config/model.ts'
import type { FieldList } from '../../lib/http/field-list.ts'
import type { ResponseHead } from '../../lib/http/message.ts'
import type {
  AttemptFailure,
  AttemptOwner,
  EndpointConnection,
  Job,
  PooledEndpoint,
} from '../../upstreams/job.ts'
import { until } from '../support/until.ts'
import { configOf, Process, TestJob } from '../support/upstream-world.ts'

export type Tap = Pick<typeof t, 'test'>

/** The app's side of one request. */
export interface AppLine {
  /** Bytes of the request's body that it has taken. */
  readonly got: number
  /** The connection, or the stream, is gone. */
  readonly gone: boolean
  /** An interim answer. */
  inform(): void
  /** Begins an answer whose body has this length; where the attempt opens a tunnel, opens it. */
  answer(length: number, status?: number): void
  /** Bytes of the body. False: the proxy's side is slow. */
  send(bytes: Buffer): boolean
  /** All is said. */
  end(): void
  /** Breaks the connection, or resets the stream. */
  cut(): void
  /** Takes no more of the request until `resume`. */
  pause(): void
  resume(): void
}

/** One maker of attempts with an app on the other side. */
export interface AttemptBench {
  readonly protocol: EndpointProtocol
  /** Status that the owner is told of a whole answer. */
  readonly status: number
  /** What it answers opens a tunnel: how that ends is no failure of the endpoint. */
  readonly tunnels: boolean
  /** The answer is one of HTTP before any tunnel: there are interim ones. */
  readonly informs: boolean
  /** It sends a body of the job's. */
  readonly sends: boolean
  /** It may decline an answer, and leave the app to finish what nobody waits for. */
  readonly exchanges: boolean
  /** Once connected, the client's bytes are gone: nothing is sent elsewhere. */
  readonly commits: boolean
  /** The port of an app that serves each request by `serve`. */
  app(t: Test, serve: (line: AppLine) => void): Promise<number>
  /** Makes the attempt, its slot taken. */
  attempt(endpoint: PooledEndpoint, owner: AttemptOwner, env: ThreadEnv, job: ContractJob): void
}

export type AttemptEnd =
  | { readonly how: 'ended'; readonly status: number }
  | { readonly how: 'declined'; readonly status: number }
  | { readonly how: 'cancelled' }
  | ({ readonly how: 'failed' } & AttemptFailure)

/** Stands for the upstream: keeps what it is told, and gives back what it has taken. */
export class Owner implements AttemptOwner {
  readonly timeouts: UpstreamConfig['timeouts']
  finishesAbandoned = false
  declinesErrors = false
  connects = 0
  readonly ends: AttemptEnd[] = []
  readonly #calls: string[]

  /** `calls`: the job's, so that the order is seen. */
  constructor(timeouts: UpstreamConfig['timeouts'], calls: string[]) {
    this.timeouts = timeouts
    this.#calls = calls
  }

  connected(): void {
    this.connects += 1
  }

  declines(): boolean {
    return this.declinesErrors
  }

  attemptEnded(endpoint: PooledEndpoint, _job: Job, status: number, reusable?: EndpointConnection): void {
    this.#end(endpoint, { how: 'ended', status })
    reusable?.leave()
  }

  attemptDeclined(endpoint: PooledEndpoint, _job: Job, status: number): void {
    this.#end(endpoint, { how: 'declined', status })
  }

  attemptFailed(endpoint: PooledEndpoint, _job: Job, failure: AttemptFailure): void {
    this.#end(endpoint, { how: 'failed', ...failure })
  }

  attemptCancelled(endpoint: PooledEndpoint): void {
    this.#end(endpoint, { how: 'cancelled' })
  }

  endpointStalls(): void {}

  /** The first gives the slot back, as it is; a second would show in the gauges as well. */
  #end(endpoint: PooledEndpoint, end: AttemptEnd): void {
    this.ends.push(end)
    this.#calls.push(end.how)
    endpoint.release()
  }
}

const PIECE_BYTES = 64 * 1024
/** No test waits for that: what should run out is set by the test itself. */
const NEVER_MS = 60_000
const TIMEOUTS = { connectMs: NEVER_MS, responseMs: NEVER_MS, idleMs: NEVER_MS, tunnelMs: NEVER_MS }

/** A request whose client the test plays. */
export class ContractJob extends TestJob {
  /** What it was told of the answer, in order, and how its attempt ended. */
  readonly calls: string[] = []
  /** False: the client is slow. */
  takesAnswer = true
  /** Bytes of the answer that came although it had said that it takes none. */
  unasked = 0
  /** Of the answer. */
  receivedBytes = 0
  informs = 0
  drains = 0
  /** Has been told that its body may flow. */
  flows = false
  /** Nothing more of the body is taken until `sendDrained`. */
  blocked = false
  /** What goes ahead of the body: where there is no head, an app knows a request by it. */
  opening = ''
  #paused = false
  #bytes: Buffer | undefined
  #at = 0

  constructor(body?: Buffer) {
    super('/x', body)
    this.#bytes = body
  }

  override bodyWanted(): void {
    this.flows = true
    const opening = Buffer.from(this.opening)
    if (opening.length > 0) this.attempt?.sendBody(opening, 0, opening.length)
    if (this.#bytes !== undefined) this.#pump(this.#bytes)
  }

  override sendDrained(): void {
    this.drains += 1
    this.blocked = false
    if (this.#bytes !== undefined) this.#pump(this.#bytes)
  }

  override informed(_head: ResponseHead): void {
    this.informs += 1
  }

  override answered(head: ResponseHead): void {
    this.calls.push('answered')
    super.answered(head)
  }

  override answerBytes(_bytes: Uint8Array, start: number, end: number): boolean {
    this.receivedBytes += end - start
    if (this.#paused) this.unasked += end - start
    this.#paused = !this.takesAnswer
    return this.takesAnswer
  }

  /** The client takes the answer again. */
  resume(): void {
    this.takesAnswer = true
    this.#paused = false
    this.attempt?.resumeAnswer()
  }

  /** Where it is a tunnel: the client ends as well. */
  endpointEnded(): void {
    this.attempt?.endBody()
  }

  override answerEnd(trailers?: FieldList): void {
    this.calls.push('answerEnd')
    super.answerEnd(trailers)
  }

  override failed(code: ErrorCode, detail: string): void {
    this.calls.push(code)
    super.failed(code, detail)
  }

  /** What the client has sent goes on, as far as the app takes it. */
  #pump(bytes: Buffer): void {
    while (this.#at < bytes.length && !this.blocked) {
      const end = Math.min(bytes.length, this.#at + PIECE_BYTES)
      this.blocked = this.attempt?.sendBody(bytes, this.#at, end) === false
      this.#at = end
    }
    if (this.#at < bytes.length) return this.attempt?.flushBody()
    this.#bytes = undefined
    this.attempt?.endBody()
  }
}

export interface Run {
  readonly job: ContractJob
  readonly owner: Owner
  /** The app's sides of the requests so far. */
  readonly lines: readonly AppLine[]
  /** Requests whose client has left and whose slot is taken now. */
  abandoned(): number
  /** Of them so far. */
  abandonedSoFar(): number
  /** Resolves to how the attempt has ended. */
  over(): Promise<AttemptEnd>
  /**
   * What a late caller may do to an attempt that is over changes nothing; slot, place and descriptor are
   * free.
   */
  assertOver(t: Test): Promise<void>
}

export interface RunParts {
  readonly job?: ContractJob
  readonly timeouts?: Partial<UpstreamConfig['timeouts']>
  readonly owner?: Partial<Pick<Owner, 'finishesAbandoned' | 'declinesErrors'>>
  /** In place of an app of the bench's. */
  readonly port?: number
}

/** Makes one attempt against an app that serves it so. */
export async function run(
  t: Test,
  bench: AttemptBench,
  serve: (line: AppLine) => void,
  { job = new ContractJob(), timeouts = {}, owner: owning = {}, port }: RunParts = {},
): Promise<Run> {
  const lines: AppLine[] = []
  const served = (line: AppLine) => {
    lines.push(line)
    serve(line)
  }
  const config = configOf([port ?? (await bench.app(t, served))], { maxInflight: 1 })
  const world = new Process(t)
  const env = world.env(0)
  const { protocol } = bench
  const endpoints = config.endpoints.map(it => ({ ...it, protocol }))
  const upstream = world.upstream(env, { ...config, endpoints })
  t.teardown(() => upstream.retire())
  const endpoint = upstream.endpointAt(0)
  if (endpoint === undefined) throw new Error('no endpoint')
  const owner = Object.assign(new Owner({ ...TIMEOUTS, ...timeouts }, job.calls), owning)
  job.record.attemptAtMs = env.clock.now()
  const takesSlot = () => endpoint.acquire(config.maxInflight, { idempotent: true })
  if (!takesSlot()) throw new Error('no slot')
  bench.attempt(endpoint, owner, env, job)
  return {
    job,
    owner,
    lines,
    abandoned: () => world.abandonedNow(),
    abandonedSoFar: () => world.abandoned(),
    async over() {
      return until(`an end, after ${job.calls}`, () => owner.ends[0])
    },
    async assertOver(t) {
      const calls = job.calls.length
      t.equal(job.attempt?.sendBody(Buffer.from('late'), 0, 4), true, 'a late body counts as taken')
      job.attempt?.endBody()
      job.attempt?.flushBody()
      job.attempt?.resumeAnswer()
      job.attempt?.pauseAnswer?.()
      job.attempt?.cancel()
      upstream.retire()
      await until(
        () => `all to be given back: ${world.gauges()}, ${env.shared.descriptors.taken}`,
        () => world.gauges().every(gauge => gauge === 0) && env.shared.descriptors.taken === 0,
      )
      t.equal(world.inflight(), 0)
      t.equal(world.abandonedNow(), 0)
      t.ok(takesSlot(), 'slot and place are free')
      t.equal(owner.ends.length, 1, 'one end')
      t.equal(job.calls.length, calls, 'the job hears nothing more')
    },
  }
}
