import t from 'tap'
import type { ErrorCode } from '../lib/base/errors.ts'
import type { BodyReader } from '../lib/http/exchange.ts'
import { BodyCollecting } from '../lib/proxy/body-collecting.ts'
import type { BodySource } from '../lib/proxy/body-source.ts'
import { BodyStream } from '../lib/proxy/body-stream.ts'
import { Forwarding } from '../lib/proxy/forwarding.ts'
import { MirrorJob } from '../lib/proxy/mirror-job.ts'
import { Tunnel, type TunnelClient } from '../lib/proxy/tunnel.ts'
import { UpstreamLink } from '../lib/proxy/upstream-link.ts'
import { WebSocketRequest } from '../lib/proxy/websocket-request.ts'
import { jobContract } from './contract/job.ts'
import type { Asked, JobBench, JobClient, JobEnd, JobWorld } from './contract/job-bench.ts'
import { RecordingExchange } from './support/recording-exchange.ts'
import { KEY } from './support/websocket-app.ts'

const PIECE_BYTES = 64 * 1024
const NO_BYTES = Buffer.alloc(0)

/** Bytes that a client sends in pieces, as long as it may. */
class Sending {
  readonly #bytes: Buffer
  readonly #take: (bytes: Buffer, start: number, end: number) => void
  readonly #end: () => void
  #at = 0
  #paused = false
  #ended = false

  constructor(bytes: Buffer, take: (bytes: Buffer, start: number, end: number) => void, end = () => {}) {
    this.#bytes = bytes
    this.#take = take
    this.#end = end
  }

  pump(): void {
    while (!this.#paused && this.#at < this.#bytes.length) {
      const start = this.#at
      this.#at = Math.min(this.#bytes.length, start + PIECE_BYTES)
      this.#take(this.#bytes, start, this.#at)
    }
    if (this.#paused || this.#ended) return
    this.#ended = true
    this.#end()
  }

  pause(): void {
    this.#paused = true
  }

  /** As a socket does, in a later turn. */
  resume(): void {
    this.#paused = false
    setImmediate(() => this.pump())
  }
}

/** An exchange whose client may be slow and has a body to send. */
class ClientExchange extends RecordingExchange {
  readonly ends: JobEnd[] = []
  readonly #body: Buffer
  #sending: Sending | undefined = undefined
  #takes = true

  constructor({ target = '/x', host = 'example.test', fields = [], body }: Asked) {
    super({ method: body === undefined ? 'GET' : 'PUT', target, host, fields })
    this.#body = body ?? NO_BYTES
    if (body !== undefined) Object.assign(this.request, { framing: 'length', contentLength: body.length })
  }

  override receiveBody(reader: BodyReader): void {
    const take = (bytes: Buffer, start: number, end: number) => reader.bodyBytes(bytes, start, end)
    this.#sending = new Sending(this.#body, take, () => reader.bodyEnd())
    this.#sending.pump()
    reader.bodyFlush()
  }

  override pauseBody(): void {
    this.#sending?.pause()
  }

  override resumeBody(): void {
    this.#sending?.resume()
  }

  override write(bytes: Uint8Array, start: number, end: number): boolean {
    return super.write(bytes, start, end) && this.#takes
  }

  override offer(bytes: Uint8Array, start: number, end: number): number {
    return this.#takes ? super.offer(bytes, start, end) : start
  }

  override end(): void {
    this.ends.push('whole')
    super.end()
  }

  override fail(code: ErrorCode, detail?: string): void {
    this.ends.push(code)
    super.fail(code, detail)
  }

  holdAnswer(): void {
    this.#takes = false
  }

  takeAnswer(): void {
    this.#takes = true
    this.drain()
  }
}

/** The client of a job that is made for an exchange. */
class ExchangeClient implements JobClient {
  readonly job: JobClient['job']
  readonly #exchange: ClientExchange
  readonly #world: JobWorld

  constructor(exchange: ClientExchange, job: JobClient['job'], world: JobWorld) {
    this.#exchange = exchange
    this.job = job
    this.#world = world
  }

  get ends(): readonly JobEnd[] {
    return this.#exchange.ends
  }

  get received(): Buffer {
    return this.#exchange.body
  }

  start(): void {
    this.#world.upstream.submit(this.job)
  }

  leave(): void {
    this.#exchange.leave()
  }

  holdAnswer(): void {
    this.#exchange.holdAnswer()
  }

  takeAnswer(): void {
    this.#exchange.takeAnswer()
  }
}

/** It has no client: what becomes of it is counted. */
class MirrorClient extends ExchangeClient {
  override readonly job: MirrorJob
  readonly #results: readonly JobEnd[]

  constructor(asked: Asked, world: JobWorld) {
    const results: JobEnd[] = []
    const exchange = new ClientExchange(asked)
    const body = asked.body === undefined ? undefined : new BodyStream(exchange)
    const original = new Forwarding(exchange, 0, body, world.site(asked.mount))
    const { env, spool, traffic, upstream } = world
    const job = new MirrorJob(exchange, original, asked.body, 0, {
      upstream: new UpstreamLink(upstream),
      share: 1,
      traffic,
      spool,
      env,
      mount: asked.mount,
      count: (_, result) => {
        results.push(result)
      },
    })
    super(exchange, job, world)
    this.job = job
    this.#results = results
  }

  override get ends(): readonly JobEnd[] {
    return this.#results
  }

  override start(): void {
    this.job.start()
  }
}

/** Sends a request of HTTP, which is no more than bytes to its tunnel. */
class TunnelEnd implements JobClient, TunnelClient {
  readonly job: Tunnel
  readonly ends: JobEnd[] = []
  readonly client
  readonly record
  readonly #sending: Sending
  readonly #received: Buffer[] = []
  #takes = true

  constructor({ body }: Asked, { upstream, env }: JobWorld) {
    const { client, record } = new RecordingExchange({ target: '/' })
    this.client = client
    this.record = record
    const job = new Tunnel(this, upstream, env)
    this.job = job
    const start = `${body === undefined ? 'GET' : 'PUT'} /x HTTP/1.1\r\nHost: example.test\r\n`
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
    const bytes = Buffer.concat([Buffer.from(`${start}${length}\r\n`), body ?? NO_BYTES])
    this.#sending = new Sending(bytes, (...piece) => job.take(...piece))
    this.#sending.pump()
  }

  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  start(): void {
    this.job.start()
  }

  leave(): void {
    this.job.clientGone()
  }

  holdAnswer(): void {
    this.#takes = false
  }

  takeAnswer(): void {
    this.#takes = true
    this.job.clientDrained()
  }

  // TunnelClient.

  resume(): void {
    this.#sending.resume()
  }

  pause(): void {
    this.#sending.pause()
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.#received.push(Buffer.from(bytes.subarray(start, end)))
    return this.#takes
  }

  /** It ends as well. */
  endOutput(): void {
    this.job.inputEnded()
  }

  end(): void {
    this.ends.push('whole')
  }

  fail(code: ErrorCode): void {
    this.ends.push(code)
  }
}

type BodyOf = (exchange: ClientExchange, world: JobWorld) => BodySource

/** The body flows as it comes. */
const streamed: BodyOf = exchange => new BodyStream(exchange)

/** The body is here whole before the job is made. */
const spooled: BodyOf = (exchange, { spool, env }) => {
  let body: BodySource | undefined
  const collected = (_: unknown, whole: BodySource) => {
    body = whole
  }
  new BodyCollecting(exchange, spool, env.clock, { collected }).start()
  if (body === undefined) throw new Error('the body did not come in one turn')
  return body
}

const forwarding =
  (bodyOf: BodyOf): JobBench['client'] =>
  (world, asked) => {
    const exchange = new ClientExchange(asked)
    const body = asked.body === undefined ? undefined : bodyOf(exchange, world)
    return new ExchangeClient(exchange, new Forwarding(exchange, 0, body, world.site(asked.mount)), world)
  }

const webSocket: JobBench['client'] = (world, asked) => {
  const opening = [
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', KEY],
  ] as const
  const exchange = new ClientExchange({ ...asked, fields: [...opening, ...(asked.fields ?? [])] })
  const job = new WebSocketRequest(KEY, world.env, exchange, 0, undefined, world.site(asked.mount))
  return new ExchangeClient(exchange, job, world)
}

const UNTIL_IT_FLOWS = { first: true, flowing: false }
const ALWAYS = { first: true, flowing: true }
const NEVER = { first: false, flowing: false }
const itself: JobBench['endOf'] = end => end

jobContract(t, 'Forwarding, its body streamed', {
  client: forwarding(streamed),
  repeatable: UNTIL_IT_FLOWS,
  cut: 'UPSTREAM_TRUNCATED',
  endOf: itself,
})

jobContract(t, 'Forwarding, its body spooled', {
  client: forwarding(spooled),
  repeatable: ALWAYS,
  cut: 'UPSTREAM_TRUNCATED',
  endOf: itself,
})

jobContract(
  t,
  'WebSocketRequest',
  { client: webSocket, repeatable: ALWAYS, cut: 'UPSTREAM_TRUNCATED', endOf: itself },
  { body: true },
)

jobContract(
  t,
  'MirrorJob',
  {
    client: (world, asked) => new MirrorClient(asked, world),
    repeatable: NEVER,
    cut: 'UPSTREAM_TRUNCATED',
    endOf: end => (end === 'whole' ? 'ok' : 'failed'),
  },
  { client: true },
)

jobContract(
  t,
  'Tunnel',
  {
    client: (world, asked) => new TunnelEnd(asked, world),
    repeatable: UNTIL_IT_FLOWS,
    cut: 'UPSTREAM_CLOSED',
    endOf: itself,
  },
  { head: true },
)
