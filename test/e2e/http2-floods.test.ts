import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Bystander } from '../support/http2-bystander.ts'
import { literal, requestBlock } from '../support/http2-fields.ts'
import { FLOODS, NEVER, pour } from '../support/http2-floods.ts'
import { FLAG, frame, headers, TYPE } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { never, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Floods of HTTP/2 frames, sent by a raw socket: each ends with its connection closed, memory as it was, and
// others undisturbed.

const FRAME_BYTES = 16_384

const app = await RecordingUpstream.start(t)
app.on(NEVER, never)
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [app.port], listener: 'h2c = true' }),
})
const port = causeway.port()

const first = await RawHttp2Client.connect(port)
for (let n = 0; n < 200; n += 1) await first.ask('/warm')
first.destroy()

for (const flood of FLOODS) {
  t.test(`${flood.name}: the connection is closed, others are served`, async t => {
    const client = await RawHttp2Client.connect(port)
    t.teardown(() => client.destroy())
    const { units } = await Bystander.watch(t, causeway, () => pour(client, flood))
    t.comment(`ended after ${units}: ${client.outcome}`)
    await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
  })
}

t.test('what a bomb unpacks to reaches no app (CVE-2016-6581)', async t => {
  t.equal(app.seen('/bombed').length, 0)
})

/** A request whose fields need several frames, all of them in their places. */
function inFrames(client: RawHttp2Client, block: Buffer): number {
  const stream = client.stream()
  const pieces: Buffer[] = []
  for (let at = 0; at < block.length; at += FRAME_BYTES) pieces.push(block.subarray(at, at + FRAME_BYTES))
  const [head = block, ...more] = pieces
  const ends = (i: number) => (i === pieces.length - 1 ? FLAG.endHeaders : 0)
  client.send(
    headers(stream, head, FLAG.endStream | ends(0)),
    ...more.map((piece, i) => frame(TYPE.continuation, ends(i + 1), stream, piece)),
  )
  return stream
}

t.test('a field list over the limit is refused, and reaches no app', async t => {
  const long = Array.from({ length: 40 }, (_, n) => literal(`x-long-${n}`, 'x'.repeat(1_000)))
  const many = Array.from({ length: 200 }, (_, n) => literal(`x-many-${n}`, 'x'))
  for (const fields of [long, many]) {
    const client = await RawHttp2Client.connect(port)
    t.teardown(() => client.destroy())
    const refusal = await Bystander.watch(t, causeway, async () => {
      const stream = inFrames(client, requestBlock('GET', '/too-large', ...fields))
      const refused = () => client.status(stream) ?? client.resetOf(stream) ?? client.goaway ?? client.ended
      return until('the refusal', refused)
    })
    const proper = [431, 'reset', 'fin', 'ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR', 'COMPRESSION_ERROR']
    t.ok(proper.includes(refusal), `refused by ${refusal}`)
  }
  t.equal(app.seen('/too-large').length, 0)
})

t.test('connections that are reset inside a field block harm nobody (CVE-2024-27983)', async t => {
  const block = requestBlock('GET', '/torn')
  await Bystander.watch(t, causeway, async () => {
    for (let n = 0; n < 500; n += 1) {
      const client = await RawHttp2Client.connect(port)
      const stream = client.stream()
      client.send(
        headers(stream, block.subarray(0, 5), FLAG.endStream),
        frame(TYPE.continuation, 0, stream, block.subarray(5, 9)),
      )
      await new Promise(setImmediate)
      client.reset()
    }
  })
  t.notOk(causeway.exited)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
