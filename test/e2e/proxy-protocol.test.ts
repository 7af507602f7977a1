import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { proxyHeaderV1, proxyHeaderV2, unknownHeaderV2 } from '../../lib/wire/proxy-protocol.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { within } from '../support/until.ts'

const ca = new TestAuthority(t.testdir())
const site = ca.issue({ names: ['site.test'] })
const app = await RecordingUpstream.start(t)
const proxied = 'proxy_protocol = true\ntimeouts = { handshake = "500ms" }'
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    listener: `${proxied}\ntrusted_proxies = ["127.0.0.0/8", "198.51.100.0/24"]`,
    more: `
[listeners.secure]
address = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1"]
tls = { certificate = "${site.certificateFile}", key = "${site.keyFile}" }
${proxied}
[listeners.strangers]
address = "127.0.0.1:0"
trusted_proxies = ["192.0.2.1"]
${proxied}
[listeners.plain]
address = "127.0.0.1:0"
[routes.closed]
path = "/closed/"
upstream = "app"
maintenance = { bypass = ["0.0.0.0/0", "::/0"] }
`,
  }),
})

const SOURCE = { address: '203.0.113.7', port: 40_000 }
const HERE = { address: '198.51.100.1', port: 443 }

async function statusOf(listener: string, ...pieces: readonly (string | Buffer)[]): Promise<number> {
  const client = await RawClient.connect(causeway.port(listener))
  for (const piece of pieces) {
    client.send(piece)
    await new Promise(setImmediate)
  }
  const { status } = await client.response()
  client.destroy()
  return status
}

t.test('the client is whom the header names, for the app and the log', async t => {
  t.equal(await statusOf('web', proxyHeaderV1(SOURCE, HERE) + get('/v1')), 200)
  t.equal(await statusOf('web', proxyHeaderV2(SOURCE, HERE), get('/v2')), 200)
  for (const path of ['/v1', '/v2']) {
    t.equal(app.seen(path)[0]?.field('x-forwarded-for'), '203.0.113.7')
    t.equal(app.seen(path)[0]?.field('x-real-ip'), '203.0.113.7')
    t.match(await causeway.accessOf(path), { client_ip: '203.0.113.7' })
  }
})

t.test('a header that comes in pieces, then a request in pieces', async t => {
  const text = proxyHeaderV1(SOURCE, HERE) + get('/pieces')
  t.equal(await statusOf('web', ...text), 200)
  t.equal(app.seen('/pieces')[0]?.field('x-real-ip'), '203.0.113.7')
})

t.test('what that client says of others is believed only if it is itself a trusted proxy', async t => {
  const claim = 'X-Forwarded-For: 192.0.2.99\r\n'
  t.equal(await statusOf('web', proxyHeaderV1(SOURCE, HERE) + get('/liar', claim)), 200)
  t.equal(app.seen('/liar')[0]?.field('x-forwarded-for'), '203.0.113.7')
  const proxy = { address: '198.51.100.9', port: 1 }
  t.equal(await statusOf('web', proxyHeaderV1(proxy, HERE) + get('/proxy', claim)), 200)
  t.equal(app.seen('/proxy')[0]?.field('x-real-ip'), '192.0.2.99')
})

const CLAIMS = 'X-Forwarded-For: 192.0.2.99\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n'
const NOBODY = { address: '', port: 0 }

t.test('LOCAL is the load balancer itself, with its address and its word', async t => {
  t.equal(await statusOf('web', proxyHeaderV2(NOBODY, NOBODY), get('/local')), 200)
  t.equal(app.seen('/local')[0]?.field('x-real-ip'), '127.0.0.1')
  t.equal(await statusOf('web', proxyHeaderV2(NOBODY, NOBODY), get('/said', CLAIMS)), 200)
  t.equal(app.seen('/said')[0]?.field('x-real-ip'), '192.0.2.99')
})

t.test(
  'a client that the balancer cannot name has no address, and nothing that it says is believed',
  async t => {
    const unix = Buffer.concat([unknownHeaderV2(), Buffer.alloc(216)])
    unix.writeUInt8(0x31, 13)
    unix.writeUInt16BE(216, 14)
    for (const [name, header] of [
      ['v1', proxyHeaderV1(NOBODY, NOBODY)],
      ['v1-words', 'PROXY UNKNOWN 10.0.0.1 10.0.0.2 1 2\r\n'],
      ['v2', unknownHeaderV2()],
      ['v2-unix', unix],
    ] as const) {
      t.equal(await statusOf('web', header, get(`/unnamed/${name}`, CLAIMS)), 200, name)
      const seen = app.seen(`/unnamed/${name}`)[0]
      t.equal(seen?.field('forwarded'), 'for=unknown;host="example.test";proto=http', name)
      t.notOk(seen?.field('x-forwarded-for') ?? seen?.field('x-real-ip'), name)
      t.equal(seen?.field('x-forwarded-host'), 'example.test', name)
      t.equal((await causeway.accessOf(`/unnamed/${name}`))['client_ip'], undefined, name)
    }
  },
)

t.test('nor does such a client get in where only networks of ours may', async t => {
  t.equal(await statusOf('web', proxyHeaderV2(NOBODY, NOBODY), get('/closed/')), 200, 'the balancer may')
  t.equal(await statusOf('web', unknownHeaderV2(), get('/closed/', CLAIMS)), 503)
  t.equal(await statusOf('web', proxyHeaderV1(NOBODY, NOBODY), get('/closed/')), 503)
})

t.test('without a header, or with a broken one, nothing is acted on', async t => {
  for (const text of [
    get('/nothing'),
    `PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\n${get('/nothing')}`,
    `PROXY TCP4 999.0.113.7 198.51.100.1 40000 443\r\n${get('/nothing')}`,
    `PROXY TCP4 203.0.113.7 198.51.100.1 40000 443 \r\n${get('/nothing')}`,
    `proxy TCP4 203.0.113.7 198.51.100.1 40000 443\r\n${get('/nothing')}`,
  ])
    t.equal(await statusOf('web', text), 400)
  t.equal(
    await statusOf('plain', proxyHeaderV1(SOURCE, HERE) + get('/nothing')),
    400,
    'only where it is required',
  )
  t.equal(app.seen('/nothing').length, 0)
})

t.test('from a sender that is not listed even a good header is refused', async t => {
  t.equal(await statusOf('strangers', proxyHeaderV1(SOURCE, HERE) + get('/stranger')), 400)
  t.equal(app.seen('/stranger').length, 0)
  await causeway.line('the refusal', ({ detail }) => detail === 'proxy-peer')
  await causeway.metric('causeway_protocol_errors_total', { kind: 'proxy_header' }, count => count >= 5)
})

t.test('whoever begins a header and does not end it is let go after timeouts.handshake', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send('PROXY TCP4 203.0')
  await client.untilEnded()
  t.notOk(client.received.includes('200'))
})

t.test('the header comes before TLS', async t => {
  const raw = await RawClient.connect(causeway.port('secure'))
  raw.send(proxyHeaderV2(SOURCE, HERE))
  const socket = connectTls({ socket: raw.socket, ca: ca.certificate, servername: 'site.test' })
  await within(
    'the handshake',
    new Promise((done, failed) => socket.once('secureConnect', done).once('error', failed)),
  )
  socket.write(get('/secure'))
  await within('the answer', new Promise(done => socket.once('data', done)))
  t.equal(app.seen('/secure')[0]?.field('x-real-ip'), '203.0.113.7')
  t.equal(app.seen('/secure')[0]?.field('x-forwarded-proto'), 'https')
  socket.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
