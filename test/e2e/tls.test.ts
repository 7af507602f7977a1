import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw } from '../support/recording-upstream.ts'
import { until, within } from '../support/until.ts'

const ca = new TestAuthority(t.testdir())
const site = ca.issue({ names: ['site.test', '*.site.test'] })
const siteRsa = ca.issue({ names: ['site.test', '*.site.test'], keyType: 'rsa' })
const other = ca.issue({ names: ['other.test'] })
const app = await RecordingUpstream.start(t)
const pairs = [site, siteRsa, other].map(
  ({ certificateFile, keyFile }) => `{ certificate = "${certificateFile}", key = "${keyFile}" }`,
)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    workers: 2,
    listener: `tls = [${pairs.join(', ')}]\ntimeouts = { handshake = "500ms", keepalive = "2s" }`,
    more: '[listeners.local]\naddress = "127.0.0.1:0"\n',
  }),
})

const trusting = (serverName: string, more: ConnectionOptions = {}): ConnectionOptions => ({
  ca: ca.certificate,
  servername: serverName,
  ...more,
})

/** Connects, and gives the socket once the handshake is done. */
async function handshake(serverName: string, more: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: causeway.port(), ...trusting(serverName, more) })
  await within('the handshake', once(socket, 'secureConnect'))
  return socket
}

async function refusal(serverName: string, more: ConnectionOptions): Promise<string> {
  try {
    const socket = await handshake(serverName, more)
    socket.destroy()
    return 'agreed'
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code ?? error)
  }
}

t.test('the certificate is the one for the name that the client asks for', async t => {
  const shown = async (name: string, more: ConnectionOptions = {}) => {
    const socket = await handshake(name, { checkServerIdentity: () => undefined, ...more })
    const { subjectaltname = '', bits, asn1Curve } = socket.getPeerCertificate()
    socket.destroy()
    return `${subjectaltname} ${asn1Curve === undefined ? bits : 'ec'}`
  }
  t.equal(await shown('site.test'), 'DNS:site.test, DNS:*.site.test ec')
  t.equal(await shown('SITE.test'), 'DNS:site.test, DNS:*.site.test ec')
  t.equal(await shown('www.site.test'), 'DNS:site.test, DNS:*.site.test ec')
  t.equal(await shown('other.test'), 'DNS:other.test ec')
  t.equal(await shown('a.b.site.test'), 'DNS:site.test, DNS:*.site.test ec', 'a star is one label: the first')
  t.equal(await shown('unknown.test'), 'DNS:site.test, DNS:*.site.test ec', 'the first for all others')
  t.equal(
    await shown('site.test', { maxVersion: 'TLSv1.2', sigalgs: 'RSA-PSS+SHA256' }),
    'DNS:site.test, DNS:*.site.test 2048',
    'RSA for whoever cannot read ECDSA',
  )
})

t.test('TLS 1.2 and 1.3, and no other', async t => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await handshake('site.test', { minVersion: version, maxVersion: version })
    t.equal(socket.getProtocol(), version)
    socket.destroy()
  }
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  t.match(await refusal('site.test', old), /PROTOCOL_VERSION|ECONNRESET/)
  const weak = { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' } as const
  t.match(await refusal('site.test', weak), /HANDSHAKE_FAILURE/)
})

t.test('ALPN: http/1.1 is agreed, and whoever speaks neither HTTP is turned away (RFC 7301 3.2)', async t => {
  const socket = await handshake('site.test', { ALPNProtocols: ['ftp', 'http/1.1'] })
  t.equal(socket.alpnProtocol, 'http/1.1')
  socket.destroy()
  t.match(await refusal('site.test', { ALPNProtocols: ['smtp'] }), /NO_APPLICATION_PROTOCOL/)
})

t.test('the app is told https, once, whatever the client says', async t => {
  const client = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  client.send(get('/scheme', 'X-Forwarded-Proto: http\r\n'))
  t.equal((await client.response()).status, 200)
  const [request] = app.seen('/scheme')
  t.equal(request?.field('x-forwarded-proto'), 'https')
  t.equal(request?.field('x-forwarded-port'), '443')
  t.equal(request?.names.filter(name => name === 'x-forwarded-proto').length, 1)
  t.match(await causeway.accessOf('/scheme'), { scheme: 'https', proto: 'HTTP/1.1' })
  client.destroy()
})

t.test('a session is taken up again in whatever thread, and without one everything is new', async t => {
  const first = await handshake('site.test')
  const [session] = (await within('a ticket', once(first, 'session'))) as [Buffer]
  first.destroy()
  for (let i = 0; i < 8; i += 1) {
    const socket = await handshake('site.test', { session })
    t.ok(socket.isSessionReused())
    // Whoever cuts before the server has read the end of the handshake has not had one.
    socket.end().resume()
    await within('the close', once(socket, 'close'))
  }
  const fresh = await handshake('site.test')
  t.notOk(fresh.isSessionReused())
  fresh.destroy()
  await causeway.metric('causeway_tls_handshakes_total', { result: 'resumed' }, count => count === 8)
})

t.test('plain HTTP on a TLS port is answered, so that people see what is wrong', async t => {
  const answer = await ask(causeway.port(), get('/plain'))
  t.equal(answer.status, 400)
  t.equal(app.seen('/plain').length, 0)
  await causeway.line('the refusal', ({ detail }) => detail === 'not-tls')
  await causeway.metric('causeway_protocol_errors_total', { kind: 'tls' }, count => count === 1)
})

t.test(
  'who connects and says nothing, or a little now and then, is let go after timeouts.handshake',
  async t => {
    const silent = await RawClient.connect(causeway.port())
    const dribbling = await RawClient.connect(causeway.port())
    const record = Buffer.from([22, 3, 1, 1, 0, 1])
    const drip = setInterval(() => dribbling.send(record.subarray(0, 1)), 100)
    dribbling.send(record)
    await silent.untilEnded()
    await dribbling.untilEnded()
    clearInterval(drip)
    t.pass('both were closed')
  },
)

t.test('what is no hello, and a hello that stops half-way, harm nobody', async t => {
  for (const junk of [
    randomBytes(300),
    Buffer.from([22, 3, 3, 0, 5, 1, 0, 0, 1, 0]),
    Buffer.alloc(70_000, 22),
  ]) {
    const client = await RawClient.connect(causeway.port())
    client.send(junk)
    client.halfClose()
    await client.untilEnded()
  }
  const answer = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  answer.send(get('/after-junk'))
  t.equal((await answer.response()).status, 200)
  answer.destroy()
})

t.test('a client cannot renegotiate (CVE-2011-1473)', async t => {
  const socket = await handshake('site.test', { maxVersion: 'TLSv1.2' })
  const failed = within('the end of the connection', once(socket, 'error'))
  socket.renegotiate({ rejectUnauthorized: false }, () => {})
  const [error] = (await failed) as [Error]
  t.match(error.message, /no renegotiation|closed|ECONNRESET|reset/i)
  socket.destroy()
})

t.test('large bodies pass whole in both directions, also to a client that reads late', async t => {
  const size = 4 * 1024 * 1024
  const upload = randomBytes(size)
  app.on('/mirror', async (line, request) => {
    await request.whole()
    line.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.bodyBytes}\r\n\r\n`)
    line.send(request.body)
  })
  const client = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  client.send(`POST /mirror HTTP/1.1\r\nHost: site.test\r\nContent-Length: ${size}\r\n\r\n`)
  client.stall()
  client.send(upload)
  await until('the upload', () => app.seen('/mirror')[0]?.complete, 30_000)
  client.socket.resume()
  const { body } = await client.response('POST', 30_000)
  t.equal(sha256(body), sha256(upload))
  client.destroy()
})

t.test('an answer that the app breaks off never looks whole', async t => {
  app.on('/cut', async (line, request) => {
    await raw('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')(line, request)
    line.end()
  })
  const client = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  client.send(get('/cut'))
  const answer = await client.response()
  t.notOk(answer.complete)
  await client.untilEnded()
})

t.test('pipelined requests, a half-closed client and keep-alive work as they do without TLS', async t => {
  const client = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  client.send(get('/one') + get('/two'))
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 200)
  client.send(get('/three'))
  client.halfClose()
  t.equal((await client.response()).status, 200)
  await client.untilEnded()
  t.equal(client.ended, 'fin')
})

t.test('a client that leaves in mid-answer gives its slot back', async t => {
  app.on('/slow', async (line, request) => {
    await raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')(line, request)
    await line.untilClosed()
  })
  const client = await RawClient.connectTls(causeway.port(), trusting('site.test'))
  client.send(get('/slow'))
  await client.untilReceived('a\r\n')
  client.destroy()
  await causeway.metric('causeway_upstream_in_flight', {}, count => count === 0)
  t.match(await causeway.accessOf('/slow'), { end: 'client_gone' })
})

t.test('OpenSSL agrees on a group that quantum computers do not break, where the client can', async t => {
  const text = execFileSync(
    'openssl',
    ['s_client', '-connect', `127.0.0.1:${causeway.port()}`, '-servername', 'site.test', '-CAfile', ca.file],
    { input: 'Q', encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] },
  )
  t.match(text, /Verify return code: 0 \(ok\)/)
  const socket = await handshake('site.test', { ecdhCurve: 'X25519MLKEM768' })
  t.equal(socket.getProtocol(), 'TLSv1.3')
  socket.destroy()
})

t.test('an ordinary listener beside it is as it was', async t => {
  const answer = await ask(causeway.port('local'), get('/beside'))
  t.equal(answer.status, 200)
  t.equal(app.seen('/beside')[0]?.field('x-forwarded-proto'), 'http')
})

t.test('status and metrics know the certificates; nothing of all this harmed anybody', async t => {
  const status = (await (await fetch(`${causeway.adminUrl}/status`)).json()) as {
    readonly certificates: readonly { readonly names: readonly string[]; readonly days_left: number }[]
  }
  t.equal(status.certificates.length, 3)
  t.ok(status.certificates.every(it => it.days_left >= 87 && it.days_left <= 89))
  app.on('/last', ok())
  await causeway.metric(
    'causeway_certificate_expiry_timestamp_seconds',
    { name: 'other.test' },
    value => value > Date.now() / 1000,
  )
  await causeway.metric('causeway_connections_active', { listener: 'web' }, count => count === 0)
  await assertClean(t, causeway, [app])
})

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
