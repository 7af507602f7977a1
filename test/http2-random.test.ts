import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:http2'
import { createServer } from 'node:net'
import t from 'tap'
import { HttpDate } from '../lib/base/clock.ts'
import type { ListenerConfig } from '../lib/config/model.ts'
import { ClientMemory } from '../lib/front/connection/client-memory.ts'
import type { ConnectionHost } from '../lib/front/connection/connection-host.ts'
import { IdleList } from '../lib/front/connection/idle-list.ts'
import { ResetTable } from '../lib/front/connection/reset-table.ts'
import { Http2Connection } from '../lib/front/http2/http2-connection.ts'
import { parseCidrs } from '../lib/http/cidr.ts'
import type { BodyReader, Exchange, ExchangeOwner } from '../lib/http/exchange.ts'
import { FieldList } from '../lib/http/field-list.ts'
import { RequestIds } from '../lib/http/request-ids.ts'
import { HandClock, threadEnv } from './support/static-site.ts'
import { until, within } from './support/until.ts'

// Our side of HTTP/2 against Node's as a client: bodies both ways in all sizes, windows that change, streams
// that are reset.

const BODY_LIMIT = 10_000_000

/** Gives back what it gets, as slow as the slower of the two sides. */
class Echo implements BodyReader, ExchangeOwner {
  readonly #exchange: Exchange
  #paused = false

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    exchange.attach(this)
    exchange.begin({ status: 200, reason: '', fields: FieldList.of([]), length: undefined })
    exchange.receiveBody(this)
  }

  bodyBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.#exchange.write(bytes, start, end) || this.#paused) return
    this.#paused = true
    this.#exchange.pauseBody()
  }

  bodyFlush(): void {
    this.#exchange.flush()
  }

  bodyEnd(): void {
    this.#exchange.end()
  }

  answerDrained(): void {
    this.#paused = false
    this.#exchange.resumeBody()
  }

  clientGone(): void {}
}

const clock = new HandClock()
const open = new Set<unknown>()
let running = 0
const env = threadEnv(clock)
const host: ConnectionHost = {
  env,
  config: {
    limits: { streams: 100, headersBytes: 32_768, headerCount: 100, bodyBytes: BODY_LIMIT },
    timeouts: { bodyMs: 30_000, headerMs: 10_000, keepaliveMs: 60_000, writeMs: 60_000, minRateBytes: 0 },
  } as ListenerConfig,
  headLimits: { headersBytes: 32_768, headerCount: 100, targetBytes: 8192 },
  trusted: parseCidrs([]),
  date: new HttpDate(clock),
  requestIds: new RequestIds(),
  memory: new ClientMemory(),
  idle: new IdleList(env.cells, 0),
  resets: new ResetTable(),
  draining: false,
  route: exchange => void new Echo(exchange),
  exchangeBegan: () => {
    running += 1
  },
  exchangeEnded: () => {
    running -= 1
  },
  refused: ({ record }) => t.fail(`refused: ${record.detail}`),
  tunnelEnded: () => {},
  closed: connection => open.delete(connection),
}
const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => {
  const client = {
    peerAddress: '127.0.0.1',
    peerPort: 1,
    trusted: false,
    listener: 'web',
    scheme: 'http',
    localAddress: '127.0.0.1',
    localPort: 1,
    tls: undefined,
  } as const
  open.add(new Http2Connection(socket, client, host))
})
await new Promise<void>(done => server.listen(0, '127.0.0.1', () => done()))
t.teardown(() => server.close())
const address = server.address()
const port = typeof address === 'object' && address !== null ? address.port : 0

const upTo = (most: number) => Math.floor(Math.random() * most)
const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

for (const window of [1, 1_000, 65_535, 1_000_000]) {
  t.test(`bodies come back whole, whatever their sizes and resets: windows of ${window}`, async t => {
    // All bodies may wait here: beyond its 10 MB Node's client resets streams that are answered.
    const session = connect(`http://127.0.0.1:${port}`, {
      settings: { initialWindowSize: window },
      maxSessionMemory: 64,
    })
    const ask = (size: number, cut: boolean) =>
      new Promise<void>(done => {
        const stream = session.request({ ':method': 'POST', ':path': '/' })
        const sent = randomBytes(size)
        const got: Buffer[] = []
        stream.on('error', () => undefined)
        stream.on('data', (bytes: Buffer) => {
          got.push(bytes)
          if (cut) stream.close(8)
        })
        stream.on('close', () => {
          if (!cut) t.equal(hashOf(Buffer.concat(got)), hashOf(sent), `${size} bytes`)
          done()
        })
        for (let at = 0; at < size; ) {
          const end = Math.min(size, at + 1 + upTo(50_000))
          stream.write(sent.subarray(at, end))
          at = end
        }
        stream.end()
      })
    // A window of one byte is a frame for each: a flood, were it for more than this.
    const most = window === 1 ? 200 : 600_000
    const all = Array.from({ length: 30 }, (_, n) => ask(n === 0 ? 0 : upTo(most), n % 7 === 6))
    if (window > 1) {
      session.settings({ initialWindowSize: 10 * window })
      session.settings({ initialWindowSize: 2 * window })
    }
    await within('all streams', Promise.all(all))
    await until('every exchange to end', () => running === 0)
    session.close()
    await until('the connection to end', () => open.size === 0)
  })
}
