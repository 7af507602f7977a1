import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { webSocketBlock } from '../support/http2-fields.ts'
import { data, FLAG, headers } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { switching } from '../support/websocket-app.ts'

// WebSockets over HTTP/2 (RFC 8441) that carry next to nothing in each frame: cursors, key strokes, games.

const MESSAGES = 2_000
/** Of a flood, in one write. */
const TOGETHER = 20_000
/** More than any budget has, at once and while the test runs. */
const MOST_FLOOD = 20_000_000
const FIN_TEXT = 0x81
const MASKED = 0x80

const app = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [app.port], listener: 'h2c = true' }),
})
const lines: UpstreamLine[] = []
app.on(
  '/socket',
  switching(line => lines.push(line)),
)

/** A message of one letter, as the app sends it and as a client does (RFC 6455 5.2). */
const fromApp = (n: number) => Buffer.from([FIN_TEXT, 1, 97 + (n % 26)])
const fromClient = (n: number) => Buffer.from([FIN_TEXT, MASKED | 1, 0, 0, 0, 0, 97 + (n % 26)])
const messages = (one: (n: number) => Buffer) => Array.from({ length: MESSAGES }, (_, n) => one(n))

async function open() {
  const client = await RawHttp2Client.connect(causeway.port())
  const stream = client.stream()
  client.send(headers(stream, webSocketBlock('/socket'), FLAG.endHeaders))
  await until('the tunnel', () => client.status(stream) === 200)
  const { socket } = await until('its other end', () => lines.shift())
  const atApp: Buffer[] = []
  socket.on('data', (bytes: Buffer) => atApp.push(bytes)).resume()
  const atClient: Buffer[] = []
  client.onData = (_, payload) => atClient.push(payload)
  const bytesAtApp = () => atApp.reduce((sum, { length }) => sum + length, 0)
  return { client, stream, socket, atApp, atClient, bytesAtApp }
}

for (const [what, cut] of [
  ['a message in each DATA frame', (sent: Buffer[]) => sent],
  [
    'a byte in each DATA frame',
    (sent: Buffer[]) => [...Buffer.concat(sent)].map(byte => Buffer.from([byte])),
  ],
] as const) {
  t.test(`${what}: all come whole and in their order, in few writes, and the connection stays`, async t => {
    const { client, stream, atApp, bytesAtApp } = await open()
    const sent = messages(fromClient)
    const frames = cut(sent).map(bytes => data(stream, bytes))
    client.send(...frames)
    const all = Buffer.concat(sent)
    await until('all at the app', () => bytesAtApp() >= all.length)
    t.ok(Buffer.concat(atApp).equals(all))
    t.ok(atApp.length < frames.length / 50, `${atApp.length} reads of ${frames.length} frames`)
    t.equal(await client.ask('/'), 200, 'others on the connection are served')
    client.destroy()
  })
}

t.test('what an app says in tiny messages comes whole and in its order', async t => {
  const { client, socket, atClient } = await open()
  const sent = messages(fromApp)
  for (const message of sent) socket.write(message)
  const all = Buffer.concat(sent)
  await until('all at the client', () => client.dataBytes >= all.length)
  t.ok(Buffer.concat(atClient).equals(all))
  client.destroy()
})

t.test(
  'a flood of tiny DATA frames ends the connection in a tunnel, too, and the app sees the end',
  async t => {
    const { client, stream, socket } = await open()
    const burst = Buffer.concat(Array.from({ length: TOGETHER }, () => data(stream, Buffer.from('x'))))
    for (let sent = 0; client.goaway === undefined && sent < MOST_FLOOD; sent += TOGETHER) {
      client.send(burst)
      await client.untilRoom()
    }
    await until('the goodbye', () => client.goaway ?? client.ended)
    t.equal(client.goaway, 'ENHANCE_YOUR_CALM')
    await until('the end at the app', () => socket.destroyed || socket.readableEnded)
    client.destroy()
  },
)

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
