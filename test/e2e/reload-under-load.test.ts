import t, { type Test } from 'tap'
import { BALANCE_POLICIES } from '../../lib/config/balance-policies.ts'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { CounterWatch } from '../support/counters.ts'
import { answerLoad, Load } from '../support/load.ts'
import { fieldOf, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const ROUNDS = 20
const CLIENTS = 8
/** Every so many rounds a configuration comes that cannot be taken. */
const BROKEN_EVERY = 5
const IDLE_CLIENTS = 4
const PIECE = 'piece '.repeat(100)

/**
 * The configuration of a round: all of it but the ports and the managed app differs from the round before.
 */
function configOf(round: number, ports: readonly number[]): string {
  const balance = BALANCE_POLICIES[round % BALANCE_POLICIES.length] as string
  const endpoints = ports.map((port, i) => {
    return `{ address = "127.0.0.1:${port}", weight = ${1 + ((round + i) % 5)} }`
  })
  return `
[server]
workers = 2
drain = "${20 + round}s"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
limits = { headers = "${8 + round}KiB", header_count = ${50 + round}, body = "${1 + round}MiB", connections = ${1000 + round} }
timeouts = { header = "${60 + round}s", body = "${30 + round}s", keepalive = "${75 + round}s", write = "${60 + round}s" }
[upstreams.app]
endpoints = [${endpoints.join(', ')}]
balance = "${balance}"
${balance === 'hash' ? 'hash_on = "uri"' : ''}
max_inflight = ${[0, 64, 2][round % 3]}
queue = { length = ${100 + round}, timeout = "${30 + round}s" }
timeouts = { connect = "${5 + round}s", response = "${30 + round}s", idle = "${30 + round}s" }
keepalive = { idle = "${1 + round}s", max = ${1 + (round % 8)} }
retry = { attempts = ${round % 3} }
[upstreams.managed]
run = { command = ["${process.execPath}", "test/support/load-app.ts"], count = 2 }
[routes.app]
path = "/"
upstream = "app"
[routes.managed]
path = "/managed/"
upstream = "managed"
${hasSecond(round) ? secondOf(ports[0] as number) : ''}
`
}

/** Every other round has a second listener, and a route and an upstream of its own for part of the load. */
function hasSecond(round: number): boolean {
  return round % 2 === 1
}

function secondOf(port: number): string {
  return `
[listeners.second]
address = "127.0.0.1:0"
[upstreams.other]
endpoints = ["127.0.0.1:${port}"]
[routes.other]
path = "/load/other/"
upstream = "other"
`
}

/** What of /status this test looks at. */
interface Status {
  readonly listeners: readonly { readonly name: string; readonly address: string }[]
  readonly upstreams: readonly { readonly name: string; readonly endpoints: readonly { name: string }[] }[]
  readonly workers: readonly { readonly pid: number; readonly starts: number; readonly reachable: boolean }[]
}

async function statusOf(causeway: Running): Promise<Status> {
  return (await (await fetch(`${causeway.adminUrl}/status`)).json()) as Status
}

/** Connections and requests that are in the middle of something through all rounds. */
class Held {
  readonly #idle: readonly RawClient[]
  readonly #inHead: RawClient
  readonly #upload: RawClient
  readonly #stream: RawClient
  readonly #streamLine: UpstreamLine
  #pieces = 0

  static async open(port: number, apps: readonly RecordingUpstream[]): Promise<Held> {
    const line = Promise.withResolvers<UpstreamLine>()
    for (const app of apps) {
      app.on('/stream', line.resolve)
      app.on('/upload', async (own, request) => {
        await request.whole()
        await ok(String(request.bodyBytes))(own, request)
      })
    }
    const clients = await Promise.all(Array.from({ length: IDLE_CLIENTS + 3 }, () => RawClient.connect(port)))
    const [inHead, upload, stream, ...idle] = clients as [RawClient, RawClient, RawClient, ...RawClient[]]
    inHead.send('GET /head HTTP/1.1\r\nHost: exam')
    upload.send('POST /upload HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n')
    stream.send(get('/stream'))
    const streamLine = await line.promise
    streamLine.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    return new Held({ inHead, upload, stream, idle }, streamLine)
  }

  private constructor(
    clients: Record<'inHead' | 'upload' | 'stream', RawClient> & { readonly idle: readonly RawClient[] },
    streamLine: UpstreamLine,
  ) {
    this.#idle = clients.idle
    this.#inHead = clients.inHead
    this.#upload = clients.upload
    this.#stream = clients.stream
    this.#streamLine = streamLine
  }

  get connections(): number {
    return this.#idle.length + 3
  }

  /** Requests, once `finish` is done. */
  get requests(): number {
    return this.#idle.length + 3
  }

  /** A piece more of what goes up and of what comes down. */
  step(): void {
    this.#pieces += 1
    for (const way of [this.#upload, this.#streamLine])
      way.send(`${PIECE.length.toString(16)}\r\n${PIECE}\r\n`)
  }

  async finish(t: Test): Promise<void> {
    const bytes = PIECE.length * this.#pieces
    for (const way of [this.#upload, this.#streamLine]) way.send('0\r\n\r\n')
    t.match(await this.#upload.response('POST'), { status: 200, body: Buffer.from(String(bytes)) })
    const streamed = await this.#stream.response()
    t.ok(streamed.complete)
    t.equal(streamed.body.toString(), PIECE.repeat(this.#pieces))
    this.#inHead.send('ple.test\r\n\r\n')
    for (const client of this.#idle) client.send(get('/idle'))
    for (const client of [this.#inHead, ...this.#idle]) t.equal((await client.response()).status, 200)
    for (const client of [this.#inHead, this.#upload, this.#stream, ...this.#idle]) {
      t.equal(client.ended, undefined, 'an untouched connection is still open')
      client.destroy()
    }
  }
}

/** One reload: what it takes away is in use, and is let go only afterwards. */
async function reloadInUse(t: Test, causeway: Running, apps: readonly RecordingUpstream[], round: number) {
  const gate = Promise.withResolvers<void>()
  const path = `/slow/${round}`
  for (const app of apps) {
    app.on(path, async (line, request) => {
      await gate.promise
      await ok('after all')(line, request)
    })
  }
  const before = await statusOf(causeway)
  const clients = await Promise.all(before.listeners.map(it => RawClient.connect(portOf(it.address))))
  for (const client of clients) client.send(get(path))
  const seen = () => apps.flatMap(app => app.seen(path)).length
  await until('the requests to run', () => seen() === clients.length)
  const busy = apps.filter(app => app.seen(path).length > 0)
  const rest = apps.filter(app => !busy.includes(app)).map(app => app.port)
  t.equal(await causeway.reload(configOf(round, rest)), 'success')
  const status = await statusOf(causeway)
  t.same(
    namesOf(status),
    rest.map(port => `127.0.0.1:${port}`),
  )
  t.equal(status.listeners.length, hasSecond(round) ? 2 : 1)
  gate.resolve()
  for (const [i, { name }] of before.listeners.entries()) {
    await assertAnswered(
      t,
      clients[i] as RawClient,
      status.listeners.some(it => it.name === name),
    )
  }
  return { connections: clients.length, left: busy.map(app => ({ app, requests: app.requests.length })) }
}

/** A request that ran through the reload has its answer, and the connection lives on if its listener does. */
async function assertAnswered(t: Test, client: RawClient, stays: boolean): Promise<void> {
  const answer = await client.response()
  t.match(answer, { status: 200, body: Buffer.from('after all') })
  t.equal(fieldOf(answer, 'connection'), stays ? undefined : 'close')
  if (!stays) await client.untilEnded()
  t.equal(client.ended, stays ? undefined : 'fin')
  client.destroy()
}

function namesOf({ upstreams }: Status): string[] {
  return upstreams.filter(({ name }) => name === 'app').flatMap(it => it.endpoints.map(({ name }) => name))
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

t.test(
  '20 reloads under load: no request fails, no untouched connection closes, no counter falls',
  async t => {
    const apps = await Promise.all([1, 2, 3, 4].map(() => RecordingUpstream.start(t)))
    for (const app of apps) for (const path of ['/load', '/load/other']) answerLoad(app, path)
    const first = configOf(
      0,
      apps.map(app => app.port),
    )
    const causeway = await startCauseway(t, { config: first })
    const { workers } = await until('the managed app', async () => {
      const status = await statusOf(causeway)
      return status.workers.length === 2 && status.workers.every(it => it.reachable) ? status : undefined
    })
    const held = await Held.open(causeway.port(), apps)
    const load = new Load(causeway.port(), ['/load', '/load/other', '/managed/load'])
    await load.add(CLIENTS)
    const watch = new CounterWatch(causeway)
    let others = 0
    for (let round = 1; round <= ROUNDS; round += 1) {
      const { connections, left } = await reloadInUse(t, causeway, apps, round)
      others += connections
      const served = load.answered + CLIENTS
      await until('the load to go on', () => load.answered > served)
      for (const { app, requests } of left)
        t.equal(app.requests.length, requests, 'nothing new for what is gone')
      held.step()
      if (round % BROKEN_EVERY === 0)
        t.equal(await causeway.reload(`${first}\n[routes.x]\npath = 1`), 'failure')
      t.match((await statusOf(causeway)).workers, workers, 'the managed app is untouched')
    }
    await load.stop()
    await held.finish(t)
    await watch.stop()
    t.same(load.wrong, [])
    t.equal(load.lost, 0)
    t.equal(load.answered, load.sent)
    t.same(watch.fallen, [])
    t.ok(watch.scrapes > ROUNDS)
    const requests = load.sent + held.requests + others
    await causeway.metric('causeway_requests_total', { code: '200' }, count => count === requests)
    const metrics = await causeway.metrics()
    t.equal(metrics.sum('causeway_requests_total'), requests, 'nothing but 200')
    t.equal(
      metrics.sum('causeway_connections_total'),
      load.connections + held.connections + others,
      'nobody connected anew',
    )
    t.equal(metrics.sum('causeway_config_generation'), 2 * (1 + ROUNDS))
    t.equal(metrics.sum('causeway_config_reloads_total', { result: 'failure' }), ROUNDS / BROKEN_EVERY)
    await assertClean(t, causeway, apps)
  },
)
