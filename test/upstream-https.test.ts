import { spawn } from 'node:child_process'
import { createServer as createHttpServer, type RequestListener, type ServerResponse } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { PemFile, UpstreamTls } from '../lib/config/tls-model.ts'
import { readProxyHeader } from '../lib/wire/proxy-protocol.ts'
import { type CertificateWish, type MadeCertificate, TestAuthority } from './support/certificates.ts'
import { h2, submit } from './support/http2-app.ts'
import { until } from './support/until.ts'
import { configOf, Process, TestJob } from './support/upstream-world.ts'

const authority = new TestAuthority(t.testdir())
const good = authority.issue({ names: ['app.internal', '127.0.0.1'] })
const CA = pem(authority.certificate)

function pem(text: string): PemFile {
  return { path: '/somewhere.pem', text }
}

function tls(changes: Partial<UpstreamTls> = {}): UpstreamTls {
  return {
    ca: CA,
    serverName: 'app.internal',
    verify: true,
    certificate: undefined,
    key: undefined,
    ...changes,
  }
}

/** An app that answers with what it knows of the connection. */
async function secureApp(t: Test, { certificate, key }: MadeCertificate = good, options: ServerOptions = {}) {
  const server = createServer({ cert: certificate, key, ...options }, (request, answer) => {
    const socket = request.socket as TLSSocket
    const facts = {
      name: socket.servername,
      resumed: socket.isSessionReused(),
      version: socket.getProtocol(),
      shown: socket.getPeerCertificate().subject?.CN,
    }
    request.resume().on('end', () => answer.end(JSON.stringify(facts)))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

function configWith(port: number, changes: Partial<ReturnType<typeof configOf>> = {}) {
  const config = configOf([port], { tls: tls(), ...changes })
  return { ...config, endpoints: config.endpoints.map(it => ({ ...it, protocol: 'https' as const })) }
}

async function askOnce(t: Test, config: ReturnType<typeof configOf>, job = new TestJob('/')) {
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), config)
  upstream.submit(job)
  const end = await job.end()
  upstream.retire()
  return { end, job, world }
}

/** Its web server, on a free port. */
async function opensslServer(t: Test, options: readonly string[]): Promise<number> {
  const files = ['-cert', good.certificateFile, '-key', good.keyFile, '-CAfile', authority.file]
  const server = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-www', ...files, ...options])
  t.teardown(() => server.kill())
  let text = ''
  server.stdout.setEncoding('latin1').on('data', (more: string) => {
    text += more
  })
  return until('the openssl server to listen', () => {
    const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(text)?.[1]
    return port === undefined ? undefined : Number(port)
  })
}

async function refusalOf(t: Test, wish: CertificateWish, settings: UpstreamTls = tls()): Promise<string> {
  const app = await secureApp(t, authority.issue(wish))
  const config = configWith(app.port, { tls: settings, retry: { attempts: 0, budgetShare: 0, statuses: [] } })
  const { end, job, world } = await askOnce(t, config)
  t.equal(end, 'CONNECT_FAILED')
  t.ok(world.unreachable.length > 0, 'as for an endpoint where nobody listens')
  return job.detail
}

t.test('an https endpoint is asked for by its name, in TLS 1.3', async t => {
  const app = await secureApp(t)
  const { end, job } = await askOnce(t, configWith(app.port))
  t.equal(end, 200)
  t.match(JSON.parse(job.received), { name: 'app.internal', version: 'TLSv1.3', resumed: false })
})

t.test(
  'without server_name an address is verified as one, and is not sent as a name (RFC 6066 3)',
  async t => {
    const app = await secureApp(t)
    const { end, job } = await askOnce(t, configWith(app.port, { tls: tls({ serverName: undefined }) }))
    t.equal(end, 200)
    t.equal(JSON.parse(job.received).name, false)
  },
)

t.test('an endpoint that was found by a name has to have a certificate for that name', async t => {
  const app = await secureApp(t, authority.issue({ names: ['app.internal'] }))
  const config = configWith(app.port, { tls: tls({ serverName: undefined }) })
  const [endpoint] = config.endpoints
  const found = { ...config, endpoints: [{ ...endpoint, host: 'app.internal:8443' }] } as typeof config
  const { end, job } = await askOnce(t, found)
  t.equal(end, 200)
  t.equal(JSON.parse(job.received).name, 'app.internal')
})

t.test('a certificate that is not good is a connect that failed, and the reason says what to do', async t => {
  t.match(await refusalOf(t, { names: ['app.internal'], valid: 'expired' }), 'its certificate has expired')
  t.match(await refusalOf(t, { names: ['app.internal'], valid: 'not-yet' }), 'not valid yet')
  const misnamed = await refusalOf(t, { names: ['other.internal'] })
  t.match(misnamed, 'does not cover the name app.internal, only other.internal: set tls.server_name')
  t.match(await refusalOf(t, { names: ['app.internal'] }, tls({ ca: undefined })), 'tls.ca')
})

t.test('a server that speaks no TLS is said to be one', async t => {
  const app = await secureApp(t)
  app.server.close()
  const { createServer: plain } = await import('node:net')
  const server = plain(socket => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const config = configWith(port, { retry: { attempts: 0, budgetShare: 0, statuses: [] } })
  const { end, job } = await askOnce(t, config)
  t.same([end, job.detail], ['CONNECT_FAILED', 'does not support TLS'])
})

t.test('a POST whose endpoint has a bad certificate is answered by another endpoint', async t => {
  const bad = await secureApp(t, authority.issue({ names: ['app.internal'], valid: 'expired' }))
  const fine = await secureApp(t)
  const config = configOf([bad.port, fine.port], { tls: tls() })
  const secured = {
    ...config,
    endpoints: config.endpoints.map(it => ({ ...it, protocol: 'https' as const })),
  }
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), secured)
  for (let n = 0; n < 2; n += 1) {
    const job = new TestJob('/', Buffer.from('body'))
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  t.same(world.unreachable, [`127.0.0.1:${bad.port}`])
  upstream.retire()
})

t.test('verify = false takes any certificate', async t => {
  const app = await secureApp(t, authority.issue({ names: ['other.internal'], valid: 'expired' }))
  const { end } = await askOnce(t, configWith(app.port, { tls: tls({ verify: false, ca: undefined }) }))
  t.equal(end, 200)
})

t.test(
  'the next connection resumes the session of the last, and a reload with other settings does not',
  async t => {
    const app = await secureApp(t)
    const world = new Process(t)
    const env = world.env(0)
    const config = configWith(app.port, { keepalive: { idleMs: 60_000, max: 0 } })
    let upstream = world.upstream(env, config)
    const ask = async () => {
      const job = new TestJob('/')
      upstream.submit(job)
      t.equal(await job.end(), 200)
      return JSON.parse(job.received) as { resumed: boolean; name: string }
    }
    t.equal((await ask()).resumed, false)
    t.equal((await ask()).resumed, true)
    const reload = (next: typeof config) => {
      const before = upstream
      upstream = world.upstream(env, next, before)
      before.retire(upstream)
    }
    reload(structuredClone(config))
    t.equal((await ask()).resumed, true, 'the same settings: as before')
    reload({ ...config, tls: tls({ serverName: '127.0.0.1' }) })
    t.same(await ask(), { ...(await ask()), name: false, resumed: false })
    upstream.retire()
  },
)

t.test('connections over TLS are kept and used again', async t => {
  const app = await secureApp(t)
  let connections = 0
  app.server.on('secureConnection', () => {
    connections += 1
  })
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), configWith(app.port))
  for (let n = 0; n < 3; n += 1) {
    const job = new TestJob('/')
    upstream.submit(job)
    t.equal(await job.end(), 200)
  }
  t.equal(connections, 1)
  upstream.retire()
})

t.test(
  'a reload that changes how connections are made: one that runs a request carries no other',
  async t => {
    const held: ServerResponse[] = []
    const listener: RequestListener = (request, answer) =>
      request.url === '/held' ? held.push(answer) : answer.end()
    const { certificate, key } = good
    const apps = [
      {
        server: createServer({ cert: certificate, key }, listener),
        before: configWith,
        after: (port: number) => configWith(port, { tls: tls({ verify: false }) }),
      },
      {
        server: createHttpServer(listener),
        before: (port: number) => configOf([port]),
        after: (port: number) => configOf([port], { proxyProtocol: 'v1' }),
      },
      {
        server: createHttpServer(listener),
        before: (port: number) => configOf([port]),
        after: (port: number) => h2([port]),
      },
    ]
    for (const { server, before, after } of apps) {
      await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
      t.teardown(() => server.close())
      const { port } = server.address() as AddressInfo
      const world = new Process(t)
      const env = world.env(0)
      const upstream = world.upstream(env, before(port))
      const job = submit(upstream, new TestJob('/held'))
      const answer = await until('the request', () => held.pop())
      const next = world.upstream(env, after(port), upstream)
      upstream.retire(next)
      answer.end()
      t.equal(await job.end(), 200)
      t.equal(world.resting(), 0)
      next.retire()
    }
  },
)

t.test('a client certificate is shown', async t => {
  const mine = authority.issue({ names: ['causeway'] })
  const app = await secureApp(t, good, { ca: authority.certificate, requestCert: true })
  const shown = tls({ certificate: pem(mine.certificate), key: pem(mine.key) })
  const { end, job } = await askOnce(t, configWith(app.port, { tls: shown }))
  t.equal(end, 200)
  t.equal(JSON.parse(job.received).shown, 'causeway')
})

t.test('an endpoint that wants a certificate and gets none has acted on nothing', async t => {
  for (const version of ['-tls1_2', '-tls1_3']) {
    // Node's own server looks at certificates when the handshake is over, and sends no alert.
    const port = await opensslServer(t, [version, '-Verify', '1', '-verify_return_error'])
    const config = configWith(port, { retry: { attempts: 0, budgetShare: 0, statuses: [] } })
    const { end, job } = await askOnce(t, config, new TestJob('/', Buffer.from('x')))
    t.equal(end, 'CONNECT_FAILED', version)
    t.match(job.detail, 'requires a client certificate')
    t.match(job.detail, 'set tls.certificate and tls.key')
  }
})

t.test('the handshake is a part of timeouts.connect', async t => {
  const { createServer: plain } = await import('node:net')
  const server = plain(socket => socket.on('error', () => {}))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const timeouts = { connectMs: 60, responseMs: 60_000, idleMs: 60_000, tunnelMs: 60_000 }
  const retry = { attempts: 0, budgetShare: 0, statuses: [] }
  const { end } = await askOnce(t, configWith(port, { timeouts, retry }))
  t.equal(end, 'CONNECT_TIMEOUT')
})

t.test('an early answer to an upload is read although the app has closed', async t => {
  const server = createTlsServer({ cert: good.certificate, key: good.key }, socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const job = new TestJob('/', Buffer.alloc(8 * 1024 * 1024))
  const { end } = await askOnce(t, configWith(port), job)
  t.same([end, job.received], [403, 'no'])
})

t.test('an endpoint behind TLS that takes no more of an upload is given up', async t => {
  const server = createTlsServer({ cert: good.certificate, key: good.key }, socket => {
    socket.on('error', () => {})
    socket.pause()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => void server.close())
  const { port } = server.address() as AddressInfo
  const timeouts = { connectMs: 5000, responseMs: 150, idleMs: 5000, tunnelMs: 5000 }
  const job = new TestJob('/', Buffer.alloc(32 * 1024 * 1024))
  const { end } = await askOnce(t, configWith(port, { timeouts }), job)
  t.same([end, job.detail], ['UPSTREAM_TIMEOUT', 'stopped reading the request'])
})

t.test('a PROXY header stands before the handshake, and its connection carries one request', async t => {
  for (const version of ['v1', 'v2'] as const) {
    const heard: string[] = []
    const inner = await secureApp(t)
    const { createServer: plain } = await import('node:net')
    const server = plain(socket => {
      socket.on('error', () => {})
      socket.once('readable', () => {
        const bytes: Buffer = socket.read()
        const header = readProxyHeader(bytes, 0, bytes.length)
        if (header === undefined || 'refused' in header || header.kind !== 'proxied') return socket.destroy()
        heard.push(`${header.source.address}:${header.source.port} ${header.destination.address}`)
        socket.unshift(bytes.subarray(header.size))
        return inner.server.emit('connection', socket)
      })
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const world = new Process(t)
    const upstream = world.upstream(world.env(0), configWith(port, { proxyProtocol: version }))
    for (let n = 0; n < 2; n += 1) {
      const job = new TestJob('/')
      upstream.submit(job)
      t.equal(await job.end(), 200)
      t.equal(JSON.parse(job.received).name, 'app.internal')
    }
    t.same(heard, ['192.0.2.7:4711 192.0.2.1', '192.0.2.7:4711 192.0.2.1'])
    await until('no socket in use', () => world.gauges().every(gauge => gauge === 0))
    upstream.retire()
  }
})
