import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Bystander } from '../support/http2-bystander.ts'
import { indexed, literal, requestBlock } from '../support/http2-fields.ts'
import { type Flood, pour } from '../support/http2-floods.ts'
import { FLAG, headers, SETTING, settings, windowUpdate } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { ok, RecordingUpstream, raw } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Clients that ask for much over HTTP/2 and take nothing of it: by the window of a stream, of the connection,
// or of TCP.

const MIB = 1024 * 1024
const CLIENTS = 5
const STREAMS = 20
/** The most that a window may hold (RFC 9113 6.9.1); it begins at 64 KiB - 1. */
const WINDOW_MAX = 2 ** 31 - 1
const WINDOW_FIRST = 65_535

const app = await RecordingUpstream.start(t)
app.on('/big', ok('x'.repeat(2 * MIB)))
app.on('/empty', raw('HTTP/1.1 204 No Content\r\n\r\n'))
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    listener: 'h2c = true\ntimeouts = { write = "2s", keepalive = "1s" }',
    // What is read ahead of slow clients passes through memory on its way to files, whatever the client
    // speaks: here it is about windows.
    upstream: 'read_ahead = "off"',
  }),
})

const first = await RawHttp2Client.connect(causeway.port())
for (let n = 0; n < 200; n += 1) await first.ask('/warm')
first.destroy()

/** GET / without :authority (RFC 7541 Appendix A). */
const NAMELESS = Buffer.concat([indexed(2), indexed(4), indexed(6)])
const MANY = requestBlock('GET', '/', ...Array.from({ length: 150 }, (_, n) => literal(`x-${n}`, '1')))

/** Resolves when nobody's answer holds an endpoint any more. */
const untilFree = () => causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)

async function askForMuch(client: RawHttp2Client): Promise<readonly number[]> {
  const streams = Array.from({ length: STREAMS }, () => client.get('/big'))
  await until('the app to be asked', () => app.seen('/big').length > 0)
  return streams
}

t.test('windows of nought: streams end by the write time-out, memory stays small', async t => {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () =>
      RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 0]]),
    ),
  )
  await Bystander.watch(t, causeway, async () => {
    for (const client of clients) {
      const streams = await askForMuch(client)
      const over = (stream: number) => client.resetOf(stream) !== undefined || client.ended !== undefined
      await until(
        () => `the end of all streams: ${client.outcome}`,
        () => streams.every(over),
      )
      t.equal(client.dataBytes, 0, 'no window, no data')
    }
    await untilFree()
  })
  for (const client of clients) client.destroy()
})

t.test('wide windows before a socket that nobody reads (CVE-2019-9517)', async t => {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () =>
      RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, WINDOW_MAX]]),
    ),
  )
  await Bystander.watch(t, causeway, async () => {
    for (const client of clients) {
      client.send(windowUpdate(0, WINDOW_MAX - WINDOW_FIRST))
      client.stall()
      await askForMuch(client)
    }
    // The endpoint is free long before, as answers are taken ahead; it is the clients who are waited for.
    await causeway.metric('causeway_connections_active', {}, value => value <= 1)
    await untilFree()
  })
  for (const client of clients) {
    client.resume()
    await until(
      () => `the end of the connection: ${client.outcome}`,
      () => client.ended,
    )
  }
})

for (const [status, block] of [
  [400, NAMELESS],
  [431, MANY],
] as const) {
  for (const flags of [FLAG.endHeaders | FLAG.endStream, FLAG.endHeaders]) {
    const body = (flags & FLAG.endStream) === 0 ? ', its body to come' : ''
    t.test(
      `a refused head (${status}${body}) whose answer is not taken ends, and so does its connection`,
      async t => {
        const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 0]])
        t.teardown(() => client.destroy())
        const stream = client.stream()
        client.send(headers(stream, block, flags))
        await until('the refusal', () => client.status(stream))
        t.equal(client.status(stream), status)
        await until('the end of its stream', () => client.resetOf(stream))
        await until('the end of the connection', () => client.ended)
      },
    )
  }
}

t.test('answers without content buy no time for those that wait for the connection window', async t => {
  const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, WINDOW_MAX]])
  t.teardown(() => client.destroy())
  const stream = client.get('/big')
  await until('the window of the connection to be used up', () => client.dataBytes === WINDOW_FIRST)
  await until('the end of a stream that waits in vain', async () => {
    await client.ask('/empty')
    return client.resetOf(stream)
  })
  t.equal(client.ended, undefined, 'the connection goes on')
})

t.test('a window that is opened byte by byte is a flood (CVE-2019-9511)', async t => {
  const dribble: Flood = {
    name: 'dribble',
    bound: 50_000,
    burst: 500,
    begin: client => client.get('/big'),
    unit: (_client, stream) => windowUpdate(stream, 1),
  }
  const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 1]])
  t.teardown(() => client.destroy())
  const { units } = await Bystander.watch(t, causeway, () => pour(client, dribble))
  t.comment(`ended after ${units}: ${client.outcome}`)
  await untilFree()
})

t.test('a window that shrinks below nought is no mistake, and opens again (RFC 9113 6.9.2)', async t => {
  const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 1_000]])
  t.teardown(() => client.destroy())
  const stream = client.get('/big')
  await until('the window to be used up', () => client.dataBytes === 1_000)
  client.send(settings([SETTING.initialWindowSize, 0]))
  client.send(windowUpdate(stream, 1_500))
  await until(
    () => `the other 500 bytes: ${client.outcome}`,
    () => client.dataBytes === 1_500,
  )
  t.equal(client.goaway, undefined)
})

t.test('nothing of all this harmed anybody', async t => {
  await untilFree()
  await assertClean(t, causeway, [app])
})
