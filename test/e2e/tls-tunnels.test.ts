import t, { type Test } from 'tap'
import { assertClean, type LogLine, type Running, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { hello, serverName } from '../support/client-hello.ts'
import { RawClient } from '../support/raw-client.ts'
import { dribbling, handshakeError, startPlain, TlsApp, TlsClient } from '../support/tls-app.ts'
import { until } from '../support/until.ts'

const authority = new TestAuthority(t.testdir())
const DB = authority.issue({ names: ['db.test'] })
const MAIL = authority.issue({ names: ['mail.test'] })
const WEB = authority.issue({ names: ['web.test'] })

/** What a client trusts and asks for. */
const asking = (servername: string) => ({ ca: authority.certificate, servername })

async function app(t: Test, name: 'db' | 'mail', options: object = {}): Promise<TlsApp> {
  const { certificate: cert, key } = name === 'db' ? DB : MAIL
  return TlsApp.start(t, { cert, key, name, ...options })
}

/** A listener `web` that decrypts nothing, unless `listener` says otherwise. */
function config(
  db: number | string,
  mail: number | string,
  listener = 'tls = "passthrough"',
  more = '',
): string {
  const address = (endpoint: number | string) =>
    typeof endpoint === 'number' ? `"127.0.0.1:${endpoint}"` : endpoint
  return `
[server]
workers = 1
drain = "1s"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
${listener}
[upstreams.db]
endpoints = [${address(db)}]
[upstreams.mail]
endpoints = [${address(mail)}]
[tunnels.db]
hosts = ["db.test", "*.db.test"]
upstream = "db"
[tunnels.mail]
hosts = ["mail.test"]
upstream = "mail"
${more}
`
}

async function line(causeway: Running): Promise<LogLine> {
  return until('an access line', () => causeway.access[0])
}

t.test('the name decides the upstream, and each client sees the certificate of the app itself', async t => {
  const [db, mail] = [await app(t, 'db'), await app(t, 'mail')]
  const causeway = await startCauseway(t, { config: config(db.port, mail.port) })
  for (const [asked, name, serial] of [
    ['db.test', 'db', DB],
    ['mail.test', 'mail', MAIL],
  ] as const) {
    const client = await TlsClient.connect(causeway.port(), asking(asked))
    await client.untilReceived(`${name}\n`)
    t.equal(client.socket.getPeerX509Certificate()?.toString(), serial.certificate)
    await client.echoes('over')
    client.socket.end()
    await client.untilClosed()
  }
  const [first = {}, second] = await until('both lines', () =>
    causeway.access.length === 2 ? causeway.access : undefined,
  )
  t.match(first, {
    listener: 'web',
    client_ip: '127.0.0.1',
    proto: 'TLS',
    tunnel: 'db',
    server_name: 'db.test',
    status: 200,
    upstream: 'db',
    endpoint: `127.0.0.1:${db.port}`,
    attempts: 1,
    end: 'ok',
  })
  t.notOk('route' in first, 'there is no route')
  t.ok(Number(first['bytes_in']) > 200 && Number(first['bytes_out']) > 800, 'bytes of both sides')
  t.match(second, { tunnel: 'mail', server_name: 'mail.test', upstream: 'mail' })
  const metrics = await causeway.metrics()
  const counted = { listener: 'web', route: 'tunnel:db' }
  t.equal(metrics.sum('causeway_requests_total', { ...counted, method: 'other', code: '200' }), 1)
  t.equal(metrics.sum('causeway_exchange_ends_total', { ...counted, end: 'ok' }), 1)
  t.equal(metrics.sum('causeway_request_bytes_total', counted), first['bytes_in'])
  t.equal(metrics.sum('causeway_response_bytes_total', counted), first['bytes_out'])
  t.equal(metrics.sum('causeway_request_duration_seconds_count'), 0, 'its life is no latency')
  t.equal(metrics.sum('causeway_upstream_tunnels_total', { upstream: 'db' }), 1)
  t.equal(
    metrics.sum('causeway_upstream_tunnel_bytes_total', { upstream: 'db', direction: 'sent' }),
    first['bytes_in'],
  )
  t.equal(metrics.sum('causeway_upstream_tunnels'), 0)
  t.equal(metrics.sum('causeway_tls_handshakes_total'), 0, 'no handshake was ours')
  await assertClean(t, causeway)
})

t.test('client certificates reach the app untouched', async t => {
  const mine = authority.issue({ names: ['client.test'] })
  const db = await app(t, 'db', { requestCert: true, rejectUnauthorized: true, ca: authority.certificate })
  const causeway = await startCauseway(t, { config: config(db.port, db.port) })
  const client = await TlsClient.connect(causeway.port(), {
    ...asking('db.test'),
    cert: mine.certificate,
    key: mine.key,
  })
  await client.untilReceived('db\n')
  t.equal((await db.socket()).getPeerX509Certificate()?.toString(), mine.certificate)
  client.destroy()
  await assertClean(t, causeway)
})

t.test('a name that no tunnel takes is refused with unrecognized_name, and so is none at all', async t => {
  const db = await app(t, 'db')
  const causeway = await startCauseway(t, { config: config(db.port, db.port) })
  t.match(await handshakeError(causeway.port(), asking('other.test')), /unrecognized.name/)
  t.match(await handshakeError(causeway.port(), { servername: '' }), /unrecognized.name/)
  t.equal(await handshakeError(causeway.port(), asking('db.test')), '')
  await causeway.metric('causeway_tls_handshakes_total', { result: 'no_certificate' }, value => value === 2)
  await assertClean(t, causeway)
})

t.test('a tunnel without hosts takes every name, and none', async t => {
  const [db, mail] = [await app(t, 'db'), await app(t, 'mail')]
  const any = config(db.port, mail.port).replace('hosts = ["mail.test"]', '')
  const causeway = await startCauseway(t, { config: any })
  const nameless = await TlsClient.connect(causeway.port(), { servername: '', rejectUnauthorized: false })
  await nameless.untilReceived('mail\n')
  nameless.destroy()
  t.notOk('server_name' in (await line(causeway)))
  const below = await TlsClient.connect(causeway.port(), {
    ...asking('a.db.test'),
    rejectUnauthorized: false,
  })
  await below.untilReceived('db\n')
  below.destroy()
  await assertClean(t, causeway)
})

t.test('one listener passes some names on and shows its certificate for the others', async t => {
  const [db, mail] = [await app(t, 'db'), await app(t, 'mail')]
  const own = `tls = { certificate = "${WEB.certificateFile}", key = "${WEB.keyFile}" }`
  const text = config(db.port, mail.port, own, '[routes.files]\nstatic = { root = "." }')
  const causeway = await startCauseway(t, { config: text })
  const tunnelled = await TlsClient.connect(causeway.port(), asking('db.test'))
  await tunnelled.untilReceived('db\n')
  const ended = await TlsClient.connect(causeway.port(), {
    ...asking('web.test'),
    ALPNProtocols: ['http/1.1'],
  })
  t.equal(ended.socket.getPeerX509Certificate()?.toString(), WEB.certificate)
  ended.socket.write('GET /LICENSE HTTP/1.1\r\nHost: web.test\r\n\r\n')
  await ended.untilReceived('HTTP/1.1 200 OK')
  for (const client of [tunnelled, ended]) client.destroy()
  await assertClean(t, causeway)
})

t.test('a hello of 1.8 KiB that comes in pieces is passed on whole', async t => {
  const db = await app(t, 'db')
  const causeway = await startCauseway(t, { config: config(db.port, db.port) })
  let helloBytes = 0
  const socket = await dribbling(causeway.port(), 200, bytes => {
    helloBytes = bytes
  })
  const hybrid = { ...asking('db.test'), ecdhCurve: 'X25519MLKEM768:X25519' }
  const client = await TlsClient.connect(causeway.port(), { ...hybrid, socket })
  await client.untilReceived('db\n')
  t.ok(helloBytes > 1300, `the hello has ${helloBytes} bytes, more than a packet of Ethernet's`)
  client.destroy()
  await assertClean(t, causeway)
})

t.test('plain HTTP at such a listener gets an answer that can be read', async t => {
  const causeway = await startCauseway(t, { config: config(1, 1) })
  const client = await RawClient.connect(causeway.port())
  client.send('GET / HTTP/1.1\r\nHost: db.test\r\n\r\n')
  t.equal((await client.response()).status, 400)
  client.destroy()
  await assertClean(t, causeway)
})

t.test('PROXY headers come in, and go out in the form that the upstream asks for', async t => {
  const heard: string[] = []
  const port = await startPlain(t, socket => {
    socket.once('data', (bytes: Buffer) => {
      heard.push(bytes.toString('latin1'))
      socket.end('bye')
    })
  })
  const listener = 'tls = "passthrough"\nproxy_protocol = true\ntrusted_proxies = ["127.0.0.0/8"]'
  const text = config(`"127.0.0.1:${port}"]\nproxy_protocol = "v2"\nqueue = { length = 9 }#`, port, listener)
  const v1 = text.replace('proxy_protocol = "v2"', 'proxy_protocol = "v1"')
  const causeway = await startCauseway(t, { config: text })
  const bytes = hello(serverName('db.test'))
  const ask = async () => {
    const client = await RawClient.connect(causeway.port())
    client.send('PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n')
    client.send(bytes)
    await client.untilReceived('bye')
    client.destroy()
  }
  await ask()
  const v2 = Buffer.from(heard[0] ?? '', 'latin1')
  t.equal(
    v2.subarray(0, 20).toString('hex'),
    `0d0a0d0a000d0a515549540a2111000ccb007107`,
    'PROXY over TCP4, from 203.0.113.7',
  )
  t.equal(v2.readUInt16BE(24), 4711)
  t.equal(v2.subarray(28).compare(bytes), 0, 'then the hello, and nothing else')
  t.match(await line(causeway), { client_ip: '203.0.113.7' })
  t.equal(await causeway.reload(v1), 'success')
  await ask()
  t.match(heard[1], /^PROXY TCP4 203\.0\.113\.7 127\.0\.0\.1 4711 \d+\r\n/)
  t.ok(heard[1]?.endsWith(bytes.toString('latin1')))
  await assertClean(t, causeway)
})
