import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import type { EndpointProtocol, UpstreamConfig } from '../lib/config/model.ts'
import { TestAuthority } from './support/certificates.ts'
import { Http2App, h2 } from './support/http2-app.ts'
import { startPlain } from './support/tls-app.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

// How a connection to an app ends that nobody needs any more: with FIN. Apps that are written to wait for one
// keep a connection whose end is a RST (uvicorn).

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const LATE = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'
/** Of a TLS record that is an alert, in TLS 1.2. */
const ALERT = 21

const authority = new TestAuthority(t.testdir())
const good = authority.issue({ names: ['app.internal', '127.0.0.1'] })

/** A connection as the app's side sees it. */
class Line {
  readonly socket: Socket
  /** Events that tell how it ends, in order. */
  readonly end: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('end', () => this.end.push('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.end.push(String(error.code)))
  }

  /** It has got FIN, and closes only then, as a careful server does. Behind a RST that would fail. */
  async endsWell(t: Test, what: string): Promise<void> {
    await until(`the end of a connection (${what})`, () => this.end.length > 0)
    this.socket.end()
    await until(`the close of a connection (${what})`, () => this.socket.destroyed)
    t.same(this.end, ['end'], `${what}: FIN, and nothing but that`)
  }
}

/** An app that answers each read with 200, and keeps every connection for as long as it may. */
interface App {
  readonly port: number
  readonly protocol: EndpointProtocol
  readonly lines: Line[]
  /** Codes of GOAWAY frames that came. */
  readonly goaways?: number[]
}

async function listen(t: Test, server: Server): Promise<number> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => open.add(socket))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

const APPS: Readonly<Record<'http1' | 'uwsgi' | 'https' | 'h2c', (t: Test) => Promise<App>>> = {
  http1: async t => plainApp(t, 'http1'),
  uwsgi: async t => plainApp(t, 'uwsgi'),
  https: async t => {
    const lines: Line[] = []
    const { certificate: cert, key } = good
    const server = createTlsServer({ cert, key, allowHalfOpen: true }, socket =>
      lines.push(answering(socket)),
    )
    return { port: await listen(t, server), protocol: 'https', lines }
  },
  h2c: async t => {
    const lines: Line[] = []
    const goaways: number[] = []
    const server = createHttp2Server()
    server.on('session', (session: ServerHttp2Session) => session.on('goaway', code => goaways.push(code)))
    server.on('connection', (socket: Socket) => lines.push(new Line(socket)))
    const app = await new Http2App(server, stream => {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }).listen(t)
    return { port: app.port, protocol: 'h2c', lines, goaways }
  },
}

async function plainApp(t: Test, protocol: EndpointProtocol): Promise<App> {
  const lines: Line[] = []
  const server = createServer({ allowHalfOpen: true }, socket => lines.push(answering(socket)))
  return { port: await listen(t, server), protocol, lines }
}

/** Something between us and the app that passes bytes on, and never an end. */
async function relayTo(t: Test, to: number) {
  const lines: Line[] = []
  const port = await startPlain(t, socket => {
    const app = connectTcp(to, '127.0.0.1')
    t.teardown(() => app.destroy())
    app.on('error', () => {}).on('data', bytes => socket.write(bytes))
    socket.on('data', bytes => app.write(bytes))
    lines.push(new Line(socket))
  })
  return { port, line: () => until('a connection', () => lines[0]) }
}

function answering(socket: Socket): Line {
  socket.on('data', () => socket.write(ANSWER))
  return new Line(socket)
}

function configFor(app: App, changes: Partial<UpstreamConfig> = {}): UpstreamConfig {
  const base = h2([app.port], changes, app.protocol)
  const ca = { path: '/somewhere.pem', text: authority.certificate }
  return { ...base, tls: { ...base.tls, ca, serverName: 'app.internal' } }
}

async function world(t: Test, app: App, changes: Partial<UpstreamConfig> = {}) {
  const process = new Process(t)
  const env = process.env(0)
  const upstream = process.upstream(env, configFor(app, changes))
  t.teardown(() => upstream.retire())
  const ask = async (count = 1) => {
    const jobs = Array.from({ length: count }, () => new TestJob('/'))
    for (const job of jobs) upstream.submit(job)
    for (const job of jobs) t.equal(await job.end(), 200)
  }
  await ask()
  const nothingLeft = () =>
    until('every descriptor to be given back', () => env.shared.descriptors.taken === 0)
  return { process, env, upstream, ask, nothingLeft, first: app.lines[0] as Line }
}

for (const kind of ['http1', 'https', 'h2c'] as const) {
  t.test(`${kind}: a connection ends with FIN when its idle time is over`, async t => {
    const app = await APPS[kind](t)
    const { first, nothingLeft } = await world(t, app, { keepalive: { idleMs: 50, max: 8 } })
    await first.endsWell(t, 'keepalive.idle')
    await nothingLeft()
  })

  t.test(`${kind}: so it does when the pool is full, or keeps none`, async t => {
    const app = await APPS[kind](t)
    const { first, nothingLeft } = await world(t, app, { keepalive: { idleMs: 60_000, max: 0 } })
    await first.endsWell(t, 'keepalive.max')
    await nothingLeft()
  })

  t.test(`${kind}: so it does when a reload takes its endpoint away, and at the end`, async t => {
    const app = await APPS[kind](t)
    const { upstream, process, env, first, nothingLeft } = await world(t, app)
    const next = process.upstream(env, configOf([]), upstream)
    upstream.retire(next)
    await first.endsWell(t, 'reload')
    next.retire()
    await nothingLeft()
  })

  t.test(`${kind}: so it does when descriptors are short`, async t => {
    const app = await APPS[kind](t)
    const { upstream, first, nothingLeft } = await world(t, app)
    t.ok(upstream.closeResting())
    await first.endsWell(t, 'descriptors')
    await nothingLeft()
  })

  t.test(`${kind}: a connection whose app never closes its side is closed all the same`, async t => {
    const app = await APPS[kind](t)
    const { line, port } = await relayTo(t, app.port)
    const { upstream, nothingLeft } = await world(t, { ...app, port })
    upstream.retire()
    const { socket, end } = await line()
    await until('FIN', () => end[0] === 'end')
    await nothingLeft()
    await until('nobody to be there any more', () => socket.destroyed || !socket.write(' '))
  })
}

for (const kind of ['http1', 'https'] as const) {
  t.test(
    `${kind}: an app that says something late, in several writes, gets a FIN for it, and no reset`,
    async t => {
      const app = await APPS[kind](t)
      const { first, ask, nothingLeft, upstream } = await world(t, app)
      first.socket.write(LATE)
      await until('the end', () => first.end.length > 0)
      for (let n = 0; n < 3; n += 1) await new Promise(done => first.socket.write(LATE, done))
      await first.endsWell(t, 'late bytes')
      await ask()
      t.equal(app.lines.length, 2, 'what came late answers nobody')
      upstream.retire()
      await (app.lines[1] as Line).endsWell(t, 'the next')
      await nothingLeft()
    },
  )
}

for (const kind of ['http1', 'https', 'uwsgi'] as const) {
  t.test(
    `${kind}: an app whose client has left may end its answer, and gets a FIN for it, and no reset`,
    async t => {
      const lines: Line[] = []
      const asked = Promise.withResolvers<void>()
      const wait = (socket: Socket) => {
        lines.push(new Line(socket))
        socket.on('data', () => asked.resolve())
      }
      const { certificate: cert, key } = good
      const server =
        kind === 'https'
          ? createTlsServer({ cert, key, allowHalfOpen: true }, wait)
          : createServer({ allowHalfOpen: true }, wait)
      const process = new Process(t)
      const env = process.env(0)
      const app: App = { port: await listen(t, server), protocol: kind, lines }
      const upstream = process.upstream(env, configFor(app, { abandoned: 'finish' }))
      const job = new TestJob('/')
      upstream.submit(job)
      await asked.promise
      job.leave()
      const line = await until('the connection', () => lines[0])
      line.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n')
      await until('the slot to be free', () => process.inflight() === 0)
      t.equal(process.abandonedNow(), 0)
      for (let n = 0; n < 6; n += 1) await new Promise(done => line.socket.write('x'.repeat(1000), done))
      await line.endsWell(t, 'abandoned')
      await until('every descriptor to be given back', () => env.shared.descriptors.taken === 0)
      upstream.retire()
    },
  )
}

t.test('an app that talks on and on at a connection that was left is cut off', async t => {
  const app = await APPS.http1(t)
  const { first, nothingLeft } = await world(t, app)
  const talk = () => {
    if (first.end.includes('ECONNRESET') || first.end.includes('EPIPE')) return
    first.socket.write(Buffer.alloc(16 * 1024, 0x20), () => setImmediate(talk))
  }
  talk()
  await until('the cut', () => first.socket.destroyed)
  await nothingLeft()
})

t.test('uwsgi: a connection ends with FIN behind its one answer', async t => {
  const app = await APPS.uwsgi(t)
  const { first, nothingLeft } = await world(t, app)
  await first.endsWell(t, 'one answer')
  await nothingLeft()
})

for (const protocol of ['http1', 'uwsgi'] as const) {
  t.test(
    `${protocol}: a body that HEAD did not want may still come, and is no reason for a reset`,
    async t => {
      const lines: Line[] = []
      const server = createServer({ allowHalfOpen: true }, socket => {
        lines.push(new Line(socket))
        socket.on('data', () => socket.write(ANSWER.slice(0, -2)))
        socket.on('end', () => socket.write('o', () => socket.end('k')))
      })
      const config = configFor({ port: await listen(t, server), protocol, lines })
      const process = new Process(t)
      const env = process.env(0)
      const upstream = process.upstream(env, config)
      const job = new TestJob('/', undefined, 'HEAD')
      upstream.submit(job)
      t.equal(await job.end(), 200)
      const line = await until('the connection', () => lines[0])
      await until('its close', () => line.socket.destroyed)
      t.same(line.end, ['end'])
      await until('every descriptor to be given back', () => env.shared.descriptors.taken === 0)
      upstream.retire()
    },
  )
}

t.test('TLS says its own close before FIN', async t => {
  const { certificate: cert, key } = good
  const server = createTlsServer({ cert, key, maxVersion: 'TLSv1.2' }, socket => answering(socket))
  const behind = await listen(t, server)
  const sent: Buffer[] = []
  let ended = false
  const port = await startPlain(t, socket => {
    const to = connectTcp(behind, '127.0.0.1')
    to.on('error', () => {})
    socket.on('data', bytes => sent.push(bytes)).on('end', () => (ended = true))
    socket.pipe(to).pipe(socket)
  })
  const app: App = { port, protocol: 'https', lines: [] }
  const { upstream } = await world(t, app)
  upstream.retire()
  await until('the end', () => ended)
  t.equal(lastRecord(Buffer.concat(sent)), ALERT, 'RFC 9112 9.8')
})

/** The content type of the last TLS record (RFC 5246 6.2.1). */
function lastRecord(bytes: Buffer): number | undefined {
  let type: number | undefined
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) type = bytes[at]
  return type
}

t.test('HTTP/2 says GOAWAY before FIN', async t => {
  const app = await APPS.h2c(t)
  const { upstream, first } = await world(t, app)
  upstream.retire()
  await first.endsWell(t, 'reload')
  t.equal(app.goaways?.[0], 0, 'NO_ERROR')
})
