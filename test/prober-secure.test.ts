import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createPlainServer } from 'node:net'
import t from 'tap'
import type { EndpointProtocol } from '../lib/config/model.ts'
import type { UpstreamTls } from '../lib/config/tls-model.ts'
import { readProxyHeader } from '../lib/wire/proxy-protocol.ts'
import { probeHandshake } from '../upstreams/health/handshake-probe.ts'
import { probeHttp } from '../upstreams/health/http-probe.ts'
import { type CertificateWish, TestAuthority } from './support/certificates.ts'
import { type Tap, target } from './support/prober-bench.ts'

const authority = new TestAuthority(t.testdir())
const TLS: UpstreamTls = {
  ca: { path: '/ca.pem', text: authority.certificate },
  serverName: 'app.internal',
  verify: true,
  certificate: undefined,
  key: undefined,
}

async function listen(t: Tap, server: Server | ReturnType<typeof createSecureServer>) {
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => void server.close())
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port } as const
}

function certified(wish: CertificateWish = { names: ['app.internal'] }) {
  const { certificate: cert, key } = authority.issue(wish)
  return { cert, key }
}

async function probe(
  address: { kind: 'tcp'; host: string; port: number },
  protocol: EndpointProtocol,
  tls = TLS,
) {
  return probeHttp({ ...target(address, {}, 'one', protocol), tls }, AbortSignal.timeout(5000))
}

t.test('https, h2 and h2c endpoints are probed in what they speak', async t => {
  const https = await listen(
    t,
    createServer(certified(), (request, answer) =>
      answer.writeHead(request.url === '/healthz' ? 200 : 404).end(),
    ),
  )
  t.same(await probe(https, 'https'), { ok: true })
  const secure = createSecureServer(certified(), ({ httpVersion }, answer) => {
    answer.writeHead(httpVersion === '2.0' ? 200 : 505).end()
  })
  t.same(await probe(await listen(t, secure), 'h2'), { ok: true })
  const plain = createHttp2Server((_, answer) => void answer.writeHead(503).end())
  t.match(await probe(await listen(t, plain as unknown as Server), 'h2c'), {
    ok: false,
    reason: 'status 503, expected 200',
  })
})

t.test('doubts about a certificate stand in the reason, in words', async t => {
  const reasonFor = async (wish: CertificateWish, tls = TLS) => {
    const address = await listen(
      t,
      createServer(certified(wish), (_, answer) => answer.end()),
    )
    const found = await probe(address, 'https', tls)
    const reached = await probeHandshake(
      { ...target(address, {}, 'one', 'https'), tls },
      AbortSignal.timeout(5000),
    )
    t.same(found, reached, 'also where nothing but a connect is asked for')
    return found.ok ? 'ok' : found.reason
  }
  t.equal(await reasonFor({ names: ['app.internal'], valid: 'expired' }), 'its certificate has expired')
  t.match(
    await reasonFor({ names: ['other.internal'] }),
    'does not cover the name app.internal, only other.internal',
  )
  t.match(await reasonFor({ names: ['app.internal'] }, { ...TLS, ca: undefined }), 'tls.ca')
  t.equal(await reasonFor({ names: ['app.internal'] }), 'ok')
})

t.test('an endpoint that speaks another protocol fails its probe, and the reason says so', async t => {
  const old = await listen(
    t,
    createServer(certified(), (_, answer) => answer.end()),
  )
  t.match(await probe(old, 'h2'), { ok: false, reason: /ALPN/ })
  const plain = await listen(
    t,
    createPlainServer(socket => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    }),
  )
  t.same(await probe(plain, 'https'), { ok: false, reason: 'does not support TLS' })
})

t.test('a probe says that its connection is nobody’s where endpoints want a PROXY header', async t => {
  for (const proxyProtocol of ['v1', 'v2'] as const) {
    const kinds: string[] = []
    const address = await listen(
      t,
      createPlainServer(socket => {
        socket.on('error', () => {})
        socket.once('data', bytes => {
          const header = readProxyHeader(bytes, 0, bytes.length)
          kinds.push(header !== undefined && 'kind' in header ? header.kind : 'none')
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        })
      }),
    )
    const asked = { ...target(address), proxyProtocol }
    t.same(await probeHttp(asked, AbortSignal.timeout(5000)), { ok: true })
    t.same(kinds, [proxyProtocol === 'v1' ? 'unknown' : 'local'])
  }
})
