import { once } from 'node:events'
import { connect as connectHttp2, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'
import { within } from '../support/until.ts'

const ca = new TestAuthority(t.testdir({ a: {} }))
const clients = new TestAuthority(`${t.testdirName}/a`, 'Authority of the clients')
const site = ca.issue({ names: ['site.test', 'other.test', '127.0.0.1'] })
const ann = clients.issue({ names: ['ann'] })
const expired = clients.issue({ names: ['late'], valid: 'expired' })
const stranger = ca.issue({ names: ['stranger'] })

const app = await RecordingUpstream.start(t)
const uwsgi = await RecordingUwsgi.start(t)
const tls = `tls = { certificate = "${site.certificateFile}", key = "${site.keyFile}" }`
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    listener: `${tls}\nmtls = { ca = "${clients.file}" }`,
    more: `
[listeners.optional]
address = "127.0.0.1:0"
${tls}
mtls = { ca = "${clients.file}", mode = "optional" }
[listeners.plain]
address = "127.0.0.1:0"
[upstreams.uwsgi]
endpoints = ["uwsgi://127.0.0.1:${uwsgi.port}"]
[routes.uwsgi]
path = "/uwsgi/"
upstream = "uwsgi"
`,
  }),
})

const SPOOFED =
  'Client-Cert: :AAAA:\r\nX-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-S-DN: CN=root\r\nX-SSL-Client-Fingerprint: 00\r\n'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: site.test\r\n${more}\r\n`

interface Shown {
  readonly certificate: string
  readonly key: string
}

const as = (who: Shown | undefined, serverName = 'site.test'): ConnectionOptions => ({
  ca: ca.certificate,
  ...(serverName === '' ? {} : { servername: serverName }),
  ...(who === undefined ? {} : { cert: who.certificate, key: who.key }),
})

/** What becomes of one request: its status, or `refused`. */
async function outcome(
  listener: string,
  options: ConnectionOptions,
  text: string,
): Promise<number | 'refused'> {
  try {
    const client = await RawClient.connectTls(causeway.port(listener), options)
    client.send(text)
    const { status } = await client.response()
    client.destroy()
    return status
  } catch {
    return 'refused'
  }
}

/** Over HTTP/2, as Ann. */
async function statusOverHttp2(serverName: string, authority: string): Promise<number | undefined> {
  const session = connectHttp2(`https://127.0.0.1:${causeway.port()}`, as(ann, serverName))
  const stream = session.request({ ':path': '/host2', ':authority': authority })
  const [head] = await within('the answer', once(stream, 'response'))
  session.destroy()
  return (head as IncomingHttpHeaders & IncomingHttpStatusHeader)[':status']
}

t.test('required: only whoever has a good certificate of the right authority comes in', async t => {
  t.equal(await outcome('web', as(ann), get('/ann')), 200)
  for (const who of [undefined, expired, stranger])
    t.equal(await outcome('web', as(who), get('/nobody')), 'refused')
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    t.equal(await outcome('web', { ...as(stranger), maxVersion: version }, get('/nobody')), 'refused')
  t.equal(app.seen('/nobody').length, 0)
  await causeway.metric('causeway_tls_handshakes_total', { result: 'certificate' }, count => count === 5)
  await causeway.line('why', ({ detail }) => /presented no certificate/.test(String(detail)))
  await causeway.line('why', ({ detail }) => /certificate has expired/.test(String(detail)))
})

t.test('a session does not stand in for a certificate on another listener', async t => {
  const first = await RawClient.connectTls(causeway.port('optional'), as(undefined))
  const session = await new Promise<Buffer>(done => first.socket.once('session', done))
  first.destroy()
  t.equal(await outcome('web', { ...as(undefined), session }, get('/nobody')), 'refused')
})

t.test('whoever had a good certificate comes in again by its session, and is the same', async t => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await RawClient.connectTls(causeway.port(), { ...as(ann), maxVersion: version })
    // Under TLS 1.3 tickets come behind the handshake, under 1.2 within it.
    const ticket = new Promise<Buffer>(done => first.socket.once('session', done))
    const session =
      version === 'TLSv1.3' ? await within('a ticket', ticket) : (first.socket as TLSSocket).getSession()
    if (session === undefined) throw new Error('no session')
    first.destroy()
    const again = await RawClient.connectTls(causeway.port(), { ...as(ann), maxVersion: version, session })
    t.ok((again.socket as TLSSocket).isSessionReused(), version)
    again.send(get(`/again-${version}`))
    t.equal((await again.response()).status, 200)
    t.equal(app.seen(`/again-${version}`)[0]?.field('x-ssl-client-s-dn'), 'CN=ann')
    again.destroy()
  }
})

t.test('the app is told who it was, and what a client says of itself is dropped (RFC 9440)', async t => {
  t.equal(await outcome('web', as(ann), get('/who', SPOOFED)), 200)
  const [request] = app.seen('/who')
  const fields = request?.head.fields.filter(([name]) => /^(?:client-cert|x-ssl-client)/i.test(name)) ?? []
  t.same(fields.map(([name]) => name).sort(), [
    'Client-Cert',
    'X-SSL-Client-Fingerprint',
    'X-SSL-Client-I-DN',
    'X-SSL-Client-S-DN',
    'X-SSL-Client-Serial',
    'X-SSL-Client-Verify',
  ])
  t.equal(request?.field('x-ssl-client-verify'), 'SUCCESS')
  t.equal(request?.field('x-ssl-client-s-dn'), 'CN=ann')
  t.equal(request?.field('x-ssl-client-i-dn'), 'CN=Authority of the clients')
  t.match(request?.field('x-ssl-client-fingerprint'), /^[0-9a-f]{64}$/)
  const der = /^:(.*):$/.exec(request?.field('client-cert') ?? '')?.[1]
  t.equal(der, ann.certificate.replace(/-----[^-]+-----|\s/g, ''))
})

t.test('optional: the app is told that there was none, and a bad one is refused all the same', async t => {
  t.equal(await outcome('optional', as(undefined), get('/none', SPOOFED)), 200)
  const [request] = app.seen('/none')
  t.equal(request?.field('x-ssl-client-verify'), 'NONE')
  t.equal(request?.field('x-ssl-client-s-dn'), undefined)
  t.equal(await outcome('optional', as(ann), get('/some')), 200)
  t.equal(app.seen('/some')[0]?.field('x-ssl-client-verify'), 'SUCCESS')
  t.equal(await outcome('optional', as(stranger), get('/some')), 'refused')
})

t.test('where clients are not asked, these fields are dropped and none is made', async t => {
  const client = await RawClient.connect(causeway.port('plain'))
  client.send(get('/plain', SPOOFED))
  t.equal((await client.response()).status, 200)
  t.same(
    app.seen('/plain')[0]?.names.filter(name => /^(?:client-cert|x-ssl)/.test(name)),
    [],
  )
  client.destroy()
})

t.test('uwsgi apps are told the same', async t => {
  t.equal(await outcome('web', as(ann), get('/uwsgi/', SPOOFED)), 200)
  const variables = uwsgi.lines.at(-1)?.variables
  t.equal(variables?.get('HTTP_X_SSL_CLIENT_VERIFY'), 'SUCCESS')
  t.equal(variables?.get('HTTP_X_SSL_CLIENT_S_DN'), 'CN=ann')
})

t.test('a request for another host than the handshake was for is not for this connection: 421', async t => {
  const host = (name: string) => `GET /host HTTP/1.1\r\nHost: ${name}\r\n\r\n`
  t.equal(await outcome('web', as(ann), host('other.test')), 421)
  t.equal(await outcome('web', as(ann, 'other.test'), host('other.test:8443')), 200)
  t.equal(await outcome('web', as(ann, 'other.test'), host('OTHER.test')), 200)
  t.equal(await outcome('web', as(ann, ''), host('site.test')), 421)
  t.equal(await outcome('web', as(ann, ''), host('127.0.0.1')), 200, 'an address cannot be asked for')
  t.equal(app.seen('/host').length, 3)
  t.equal(await statusOverHttp2('site.test', 'site.test:8443'), 200)
  t.equal(await statusOverHttp2('site.test', 'other.test'), 421, 'over HTTP/2 as well')
  await causeway.line('the cause', ({ end }) => end === 'misdirected')
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
