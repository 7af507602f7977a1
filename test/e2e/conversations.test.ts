import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { type Http2Call, Http2Client } from '../support/http2-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

/** How long an upload may be silent, and how long a conversation. */
const BODY_MS = 300
const IDLE_MS = 2_000

const upstream = await RecordingUpstream.start(t)
const configOf = (more: string) =>
  configText({
    endpoints: [upstream.port],
    listener: `h2c = true\ntimeouts = { body = "${BODY_MS}ms", min_rate = "1MiB/s" }`,
    upstream: `${more}\ntimeouts = { idle = "${IDLE_MS}ms", response = "20s" }\npassive = { failures = 1 }\nretry = { attempts = 1 }`,
  })
const causeway = await startCauseway(t, { config: configOf('body = "stream"') })
const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const GRPC = { 'content-type': 'application/grpc', te: 'trailers' }
const client = new Http2Client(causeway.port())
t.teardown(() => client.destroy())

const post = (path: string, more = 'Transfer-Encoding: chunked') =>
  `POST ${path} HTTP/1.1\r\nHost: example.test\r\n${more}\r\n\r\n`
const begin = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  client.call({ ':method': 'POST', ':path': path, ...headers }, true)
/** Its own half of the stream stays open, so that only the head tells of the answer. */
const statusOf = async ({ stream }: Http2Call) => {
  const [headers] = await once(stream, 'response')
  return Number(headers[':status'])
}
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** Answers at once, and then says nothing. */
for (const path of ['/h1', '/h2', '/upload', '/h2-upload']) upstream.on(path, line => line.send(HEAD))
/** Never answers. */
for (const path of ['/mute', '/call', '/h1-grpc']) upstream.on(path, () => undefined)

t.test(
  'a conversation over HTTP/1.1 may be silent until neither side has moved for timeouts.idle',
  async t => {
    const raw = await RawClient.connect(causeway.port())
    raw.send(post('/h1'))
    await raw.untilReceived('\r\n\r\n')
    t.match(await causeway.accessOf('/h1'), { end: 'tunnel_idle', status: 200 })
    await raw.untilEnded()
  },
)

t.test('the same over HTTP/2', async t => {
  const call = begin('/h2')
  t.not((await call.answer).reset, 0)
  t.match(await causeway.accessOf('/h2'), { end: 'tunnel_idle', status: 200 })
})

t.test(
  'a gRPC call may be silent before its response: 504 once neither side has moved for timeouts.idle',
  async t => {
    const call = begin('/call', GRPC)
    t.equal(await statusOf(call), 504)
    t.match(await causeway.accessOf('/call'), { end: 'tunnel_idle', status: 504 })
    call.stream.close()
  },
)

t.test(
  'small messages keep a conversation open for longer than every time-out, in either direction',
  async t => {
    upstream.on('/client-speaks', line => line.send(HEAD))
    upstream.on('/app-speaks', async line => {
      line.send(HEAD)
      for (let n = 0; n < 12 && !line.closed; n += 1) {
        await pause(IDLE_MS / 5)
        line.send(chunk('x'))
      }
      line.send('0\r\n\r\n')
    })
    const speaks = await RawClient.connect(causeway.port())
    const listens = await RawClient.connect(causeway.port())
    const [call, heard] = [begin('/client-speaks?2', GRPC), begin('/app-speaks?2')]
    speaks.send(post('/client-speaks'))
    listens.send(post('/app-speaks'))
    await Promise.all([speaks.untilReceived('\r\n\r\n'), once(call.stream, 'response')])
    for (let n = 0; n < 12; n += 1) {
      speaks.send(chunk('y'))
      call.stream.write('y')
      await pause(IDLE_MS / 5)
    }
    t.equal(speaks.ended, undefined)
    t.notOk(call.stream.closed)
    await until('all that was said at the app', () =>
      upstream.seen('/client-speaks').every(({ bodyBytes }) => bodyBytes === 12),
    )
    t.equal((await listens.response()).body.toString(), 'x'.repeat(12))
    await until('the same over HTTP/2', () => heard.received === 12)
    t.equal(upstream.seen('/client-speaks').length, 2)
    for (const raw of [speaks, listens]) raw.destroy()
    call.stream.close()
  },
)

t.test('an upload is still held to timeouts.body, answered early or not', async t => {
  for (const [path, more] of [
    ['/mute', 'Transfer-Encoding: chunked'],
    ['/h1-grpc', 'Content-Type: application/grpc\r\nTE: trailers\r\nTransfer-Encoding: chunked'],
    ['/upload', 'Content-Length: 1000'],
  ] as const) {
    const raw = await RawClient.connect(causeway.port())
    raw.send(post(path, more))
    await raw.untilEnded()
    t.match(await causeway.accessOf(path), { end: 'client_timeout', detail: 'body-silence' }, path)
  }
  const call = begin('/h2-upload', { 'content-length': '1000' })
  await call.answer
  t.match(await causeway.accessOf('/h2-upload'), { end: 'client_timeout', detail: 'body-silence' })
})

t.test('a body that is taken whole first is an upload, whatever it says', async t => {
  const spooling = await startCauseway(t, {
    config: configOf('body = "spool"').replace(
      `"127.0.0.1:${upstream.port}"`,
      `"uwsgi://127.0.0.1:${upstream.port}"`,
    ),
  })
  const other = new Http2Client(spooling.port())
  const call = other.call({ ':method': 'POST', ':path': '/spooled', ...GRPC }, true)
  t.equal(await statusOf(call), 408)
  t.match(await spooling.accessOf('/spooled'), { end: 'client_timeout', detail: 'body-silence' })
  other.destroy()
  await assertClean(t, spooling)
})

t.test('silence of both is not held against the endpoint', async t => {
  t.equal((await client.get('/after')).status, 200)
  client.destroy()
  await assertClean(t, causeway, [upstream])
})
