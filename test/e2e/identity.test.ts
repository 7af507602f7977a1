import t from 'tap'
import { ONLY_FROM_PROXIES } from '../../lib/http/proxy-claims.ts'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get } from '../support/raw-client.ts'
import { ok, type RecordedRequest, RecordingUpstream } from '../support/recording-upstream.ts'

const upstream = await RecordingUpstream.start(t)
const direct = await startCauseway(t, { config: configText({ endpoints: [upstream.port] }) })
const behind = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    listener: 'trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]',
  }),
})

/** What the app sees of a GET with these lines. */
async function seenWith(port: number, fields: string, host = 'example.test'): Promise<RecordedRequest> {
  const before = upstream.requests.length
  await ask(port, `GET /identity HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`)
  return upstream.requests[before] as RecordedRequest
}

const SPOOFED = [
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Forwarded-Proto',
  'X-Forwarded-Protocol',
  'X-Forwarded-Server',
  'X-Forwarded-Ssl',
  'X-Real-IP',
  'X-Script-Name',
  'Forwarded',
  'Proxy',
  'X-Accel-Redirect',
  'X-Accel-Buffering',
  'X-Sendfile',
]
const FORGED = '6.6.6.6'
const forgeries = (names: readonly string[]) => names.map(name => `${name}: ${FORGED}\r\n`).join('')

t.test('the app learns who asks and how', async t => {
  const request = await seenWith(direct.port(), '', 'example.test:8443')
  t.equal(request.field('host'), 'example.test:8443')
  t.equal(request.field('x-forwarded-for'), '127.0.0.1')
  t.equal(request.field('x-forwarded-proto'), 'http')
  t.equal(request.field('x-forwarded-host'), 'example.test:8443')
  t.equal(request.field('x-forwarded-port'), '8443')
  t.match(request.field('forwarded'), /^for=127\.0\.0\.1;host="example\.test:8443";proto=http$/)
})

t.test('an untrusted client tells the app nothing about itself', async t => {
  const request = await seenWith(direct.port(), forgeries(SPOOFED))
  t.notMatch(request.head.raw, FORGED)
  t.equal(request.field('x-forwarded-for'), '127.0.0.1')
})

/** All but those that Forwarded has a say in. */
const CLAIMED = [...ONLY_FROM_PROXIES, 'Remote-User', 'X-FORWARDED-SCHEME']
const OVERRIDES = ['X-Original-URL', 'X-Rewrite-URL', 'x-original-url']

t.test('user, scheme, address and target are for a trusted proxy to tell, in fields of its own', async t => {
  t.notMatch((await seenWith(direct.port(), forgeries(CLAIMED))).head.raw, FORGED)
  for (const fold of ['_', '.']) {
    const aliases = CLAIMED.filter(name => name.includes('-')).map(name => name.replaceAll('-', fold))
    t.notMatch((await seenWith(direct.port(), forgeries(aliases))).head.raw, FORGED, fold)
  }
  const passed = await seenWith(behind.port(), forgeries(ONLY_FROM_PROXIES))
  for (const name of ONLY_FROM_PROXIES) t.equal(passed.field(name), FORGED, name)
})

t.test('no field takes the place of the path that the route was found by, whoever sends it', async t => {
  for (const causeway of [direct, behind])
    t.notMatch((await seenWith(causeway.port(), forgeries(OVERRIDES))).head.raw, FORGED)
})

t.test('names that an app could take for protected ones do not travel', async t => {
  const aliases = SPOOFED.flatMap(name => [name.replaceAll('-', '_'), name.replaceAll('-', '.')])
  const names = [
    ...aliases,
    'X_Anything',
    'x-forwarded_for',
    'X.Forwarded-For',
    'Content_Length',
    'Host_',
    '_',
  ]
  const request = await seenWith(direct.port(), forgeries(names.filter(name => name !== 'Forwarded')))
  t.notMatch(request.head.raw, FORGED)
})

t.test('a name with a dot that stands for nothing protected travels', async t => {
  const request = await seenWith(direct.port(), 'X.Custom: kept\r\n')
  t.equal(request.field('x.custom'), 'kept')
})

t.test('Connection takes away what it names, but never ours (RFC 9110 7.6.1)', async t => {
  for (const connection of [
    'X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded, Host, X-Secret',
    'x-forwarded-for, x-forwarded-proto, x-forwarded-host, forwarded, host, x-secret',
    'close, X-FORWARDED-FOR,X-Forwarded-Proto ,\tX-Forwarded-Host,Forwarded,HOST,X-SECRET',
  ]) {
    const request = await seenWith(direct.port(), `X-Secret: s\r\nX-Kept: k\r\nConnection: ${connection}\r\n`)
    t.equal(request.field('x-secret'), undefined)
    t.equal(request.field('x-kept'), 'k')
    t.equal(request.field('host'), 'example.test')
    t.equal(request.field('x-forwarded-for'), '127.0.0.1')
    t.equal(request.field('x-forwarded-proto'), 'http')
    t.equal(request.field('x-forwarded-host'), 'example.test')
    t.ok(request.field('forwarded'))
  }
})

t.test('several Connection lines count as one', async t => {
  const request = await seenWith(direct.port(), 'X-A: 1\r\nX-B: 2\r\nConnection: x-a\r\nConnection: x-b\r\n')
  t.equal(request.field('x-a'), undefined)
  t.equal(request.field('x-b'), undefined)
})

t.test('fields of one hop stay on it', async t => {
  const lines = [
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'Trailer: X-A',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
    'Proxy-Connection: keep-alive',
    'Connection: Upgrade, HTTP2-Settings, keep-alive',
    'Proxy-Authorization: Basic c2VjcmV0',
    'Expect: 100-continue',
  ]
  const request = await seenWith(direct.port(), lines.map(line => `${line}\r\n`).join(''))
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    if (name !== 'connection') t.equal(request.field(name), undefined, name)
  }
  t.match(request.field('connection') ?? 'keep-alive', /^(keep-alive|close)$/i)
})

t.test('an Upgrade that is no whole request for a WebSocket is not offered to the app', async t => {
  for (const protocol of ['websocket', 'h2c', 'TLS/1.0']) {
    const request = await seenWith(
      direct.port(),
      `Connection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`,
    )
    t.equal(request.field('upgrade'), undefined, protocol)
    t.notMatch(request.field('connection') ?? '', /upgrade/i, protocol)
  }
})

t.test('bodies and what caches read pass as they are', async t => {
  const fields =
    'Cache-Control: private, max-age=0\r\nContent-Encoding: gzip\r\nVary: Cookie\r\nETag: W/"1"\r\nServer: app\r\n'
  upstream.on('/as-it-is', ok('not really gzip', fields))
  const answer = await ask(direct.port(), get('/as-it-is', 'Accept-Encoding: gzip, br\r\n'))
  for (const line of fields.split('\r\n').slice(0, -2)) {
    const [name = '', value] = line.split(': ')
    t.equal(fieldOf(answer, name.toLowerCase()), value, name)
  }
  t.equal(answer.body.toString(), 'not really gzip')
  t.equal(upstream.seen('/as-it-is')[0]?.field('accept-encoding'), 'gzip, br')
})

t.test('several Cookie lines become one (RFC 6265 5.4, RFC 9113 8.2.3)', async t => {
  const request = await seenWith(direct.port(), 'Cookie: a=1\r\nX: y\r\nCookie: b=2\r\ncookie: c=3\r\n')
  t.equal(request.field('cookie'), 'a=1; b=2; c=3')
})

t.test('other fields travel as they are, repeated ones too', async t => {
  const request = await seenWith(
    direct.port(),
    'Accept: a\r\nX-Two: 1\r\nX-two:   2  \r\nAuthorization: Basic eA==\r\n',
  )
  t.same(
    request.head.fields.filter(([name]) => name.toLowerCase() === 'x-two').map(([, value]) => value),
    ['1', '2'],
  )
  t.equal(request.field('authorization'), 'Basic eA==')
})

t.test('a trusted proxy is believed, right to left up to the first stranger', async t => {
  const WALKS: readonly (readonly [sent: string, forwarded: string])[] = [
    ['203.0.113.7', '203.0.113.7, 127.0.0.1'],
    ['6.6.6.6, 203.0.113.7', '203.0.113.7, 127.0.0.1'],
    ['6.6.6.6, 203.0.113.7, 10.0.0.9', '203.0.113.7, 10.0.0.9, 127.0.0.1'],
    ['10.0.0.8, 10.0.0.9', '10.0.0.8, 10.0.0.9, 127.0.0.1'],
    ['2001:db8::1', '2001:db8::1, 127.0.0.1'],
  ]
  for (const [sent, forwarded] of WALKS) {
    const request = await seenWith(behind.port(), `X-Forwarded-For: ${sent}\r\n`)
    t.equal(request.field('x-forwarded-for'), forwarded, sent)
  }
  const lines = await seenWith(behind.port(), 'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n')
  t.equal(lines.field('x-forwarded-for'), '203.0.113.7, 127.0.0.1', 'two lines are one list')
})

t.test('nonsense from a trusted proxy ends the walk instead of travelling', async t => {
  for (const sent of ['unknown', '<script>', '1.2.3.4.5', '_hidden', 'a, b', '']) {
    const request = await seenWith(behind.port(), `X-Forwarded-For: ${sent}\r\n`)
    t.equal(request.field('x-forwarded-for'), '127.0.0.1', sent)
  }
})

t.test('scheme, host and port of a trusted proxy are believed', async t => {
  const request = await seenWith(
    behind.port(),
    'X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\nX-Forwarded-Port: 8443\r\n',
  )
  t.equal(request.field('x-forwarded-proto'), 'https')
  t.equal(request.field('x-forwarded-host'), 'shop.test')
  t.equal(request.field('x-forwarded-port'), '8443')
  t.equal(request.field('host'), 'example.test')
})

t.test('Forwarded of a trusted proxy is believed (RFC 7239)', async t => {
  const request = await seenWith(
    behind.port(),
    'Forwarded: for=6.6.6.6, for="203.0.113.7:1";proto=https;host=shop.test\r\n',
  )
  t.equal(request.field('x-forwarded-for'), '203.0.113.7, 127.0.0.1')
  t.equal(request.field('x-forwarded-proto'), 'https')
  t.equal(request.field('x-forwarded-host'), 'shop.test')
})

t.test('even a trusted proxy cannot pass on what no proxy may say', async t => {
  const request = await seenWith(
    behind.port(),
    forgeries(['X-Accel-Redirect', 'X-Sendfile', 'Proxy', 'X_Forwarded_For', 'X-Forwarded-Host_']),
  )
  t.notMatch(request.head.raw, FORGED)
})

t.test('instructions of the app to its proxy are not for clients', async t => {
  upstream.on('/accel', ok('x', 'X-Accel-Redirect: /secret\r\nX-Sendfile: /etc/passwd\r\nX-Kept: k\r\n'))
  const answer = await ask(direct.port(), get('/accel'))
  t.equal(fieldOf(answer, 'x-accel-redirect'), undefined)
  t.equal(fieldOf(answer, 'x-sendfile'), undefined)
  t.equal(fieldOf(answer, 'x-kept'), 'k')
})

t.test("the answer's fields of one hop, and those its Connection names, stay behind", async t => {
  upstream.on(
    '/hops',
    ok(
      'x',
      'Connection: keep-alive, X-Hop\r\nX-Hop: h\r\nKeep-Alive: timeout=9\r\nUpgrade: h2c\r\nTrailer: X\r\nX-Kept: k\r\n',
    ),
  )
  const answer = await ask(direct.port(), get('/hops'))
  for (const name of ['x-hop', 'keep-alive', 'upgrade', 'trailer'])
    t.equal(fieldOf(answer, name), undefined, name)
  t.equal(fieldOf(answer, 'x-kept'), 'k')
})

t.test('several Set-Cookie lines of an answer stay several', async t => {
  upstream.on('/cookies', ok('x', 'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n'))
  const answer = await ask(direct.port(), get('/cookies'))
  t.same(
    answer.fields.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value),
    ['a=1', 'b=2'],
  )
})

t.test(
  'what an app drops by its Connection field keeps none of our own fields away (RFC 9110 7.6.1)',
  async t => {
    upstream.on('/listed', ok('x', 'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: date\r\n'))
    const answer = await ask(direct.port(), get('/listed'))
    const dates = answer.fields.filter(([name]) => name === 'Date').map(([, value]) => value)
    t.equal(dates.length, 1)
    t.notMatch(dates[0], '1970')
  },
)

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, direct, [upstream])
  await assertClean(t, behind, [upstream])
})
