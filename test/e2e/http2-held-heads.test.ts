import t, { type Test } from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { HELD_KINDS, holdHeads } from '../support/held-heads.ts'
import { literal } from '../support/http2-fields.ts'
import { SETTING } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { never, ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// References to one field of the table of HPACK stand for large heads at a byte each, and a window that stays
// shut keeps every answered stream open: half a megabyte of requests was 150 to 360 MiB here (CVE-2026-49975
// and its like).

t.setTimeout(300_000)
const MIB = 1024 * 1024
/** By test/bench/held-heads.ts it is 16 to 21 MiB; garbage may lie a while. */
const GROWTH = 80 * MIB
const CONNECTIONS = 60
const STREAMS = 100

const app = await RecordingUpstream.start(t)
app.on('/never', never)
app.on('/page', ok('x'.repeat(60_000)))
const config = configText({
  endpoints: [app.port],
  listener: 'h2c = true',
  upstream: 'read_ahead = "off"\ntimeouts = { response = "1m" }',
})
const causeway = await startCauseway(t, { config })

for (const [path, whether] of [
  ['/answered', 'has answered'],
  ['/never', 'has not answered'],
] as const) {
  for (const kind of HELD_KINDS) {
    t.test(`heads made of references (${kind}) take little memory when the app ${whether}`, async t => {
      const attacked = await startCauseway(t, { config })
      const port = attacked.port()
      const first = await RawHttp2Client.connect(port)
      t.teardown(() => first.destroy())
      await warmUp(first)
      const idleBytes = attacked.rssBytes()
      const held = { port, path, kind, connections: CONNECTIONS, streams: STREAMS }
      const { clients, sentBytes } = await holdHeads(held)
      t.equal(await first.ask('/beside'), 200, 'others are served meanwhile')
      const grown = attacked.rssBytes() - idleBytes
      t.ok(grown < GROWTH, `${Math.round(grown / MIB)} MiB for ${Math.round(sentBytes / 1024)} KiB`)
      const refused = clients.filter(client => client.resets > 0)
      t.equal(refused.length, CONNECTIONS, 'what is too much is refused, stream by stream')
      for (const client of clients) client.destroy()
      const newcomer = await RawHttp2Client.connect(port)
      t.teardown(() => newcomer.destroy())
      t.equal(await newcomer.ask('/behind'), 200, 'the first request behind it is served')
      await attacked.metric('causeway_connections_active', {}, value => value <= 2)
      await bigCookies(t, port)
    })
  }
}

/** What is compiled while it runs has been, and the heap has grown as far as ordinary requests need. */
async function warmUp(client: RawHttp2Client) {
  for (let n = 0; n < 40; n += 1) {
    const streams = Array.from({ length: 50 }, () => client.get('/warm'))
    await until('answers', () => streams.every(stream => client.status(stream) === 200))
  }
}

/** A browser that sends a hundred requests at once, with much of its own in each. */
async function bigCookies(t: Test, port: number) {
  const client = await RawHttp2Client.connect(port)
  t.teardown(() => client.destroy())
  const cookie = literal('cookie', 'c'.repeat(4_000))
  const streams = Array.from({ length: STREAMS }, () => client.get('/cookies', cookie))
  await until(
    () => `a hundred answers: ${client.outcome}`,
    () => streams.every(stream => client.status(stream) ?? client.resetOf(stream)),
  )
  t.equal(client.resets, 0, 'no request with large cookies is refused')
}

t.test('what the log says of a request whose head was let go is what came', async t => {
  const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 0]])
  t.teardown(() => client.destroy())
  const path = `/page?${'q'.repeat(500)}`
  const stream = client.get(
    path,
    literal('user-agent', 'An agent with a name of some length'),
    literal('referer', 'http://user:secret@example.test/somewhere/else?q=1'),
  )
  await until('the head of the answer', () => client.status(stream))
  await client.ask('/aside')
  client.destroy()
  const line = await causeway.accessOf('/page')
  t.match(line, {
    method: 'GET',
    host: 'example.test',
    status: 200,
    ua: 'An agent with a name of some length',
    referer: 'http://example.test/somewhere/else',
    client_ip: '127.0.0.1',
  })
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
