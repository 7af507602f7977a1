import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { requestBlock } from '../support/http2-fields.ts'
import { data, FLAG, headers, ping, rstStream, TYPE } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const CANCEL = 8
const FLOOD_FRAMES = 20_000
/** More than the buffers of a loopback connection ever take, both sides together. */
const MOST_TAKEN = 64 * 1024 * 1024
const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({ endpoints: [upstream.port], listener: 'h2c = true', upstream: 'body = "stream"' }),
})
const get = (stream: number, path: string) =>
  headers(stream, requestBlock('GET', path), FLAG.endHeaders | FLAG.endStream)

t.test('a request that is reset in the read that brought it costs the app nothing', async t => {
  const client = await RawHttp2Client.connect(causeway.port())
  const answer: (() => void)[] = []
  upstream.on('/keep', async (line, request) => {
    await new Promise<void>(done => answer.push(done))
    await ok()(line, request)
  })
  const kept = Array.from({ length: 10 }, () => client.get('/keep'))
  await until('requests that leave idle connections behind', () => answer.length === kept.length)
  for (const done of answer) done()
  await until('their answers', () => kept.every(stream => client.status(stream) === 200))
  const { connections } = upstream
  const units = Array.from({ length: 50 }, () => {
    const stream = client.stream()
    return [get(stream, '/reset'), rstStream(stream, CANCEL)]
  })
  client.send(...units.flat(), ping())
  await until('the ping', () => client.seen.has(TYPE.ping))
  for (const path of ['/after', '/once-more']) t.equal(await client.ask(path), 200)
  t.equal(upstream.seen('/reset').length, 0, 'no head on an idle connection')
  t.equal(upstream.connections, connections, 'no connection was made, none was lost')
  client.destroy()
})

t.test('requests and their bodies that come in one read are all served, in their order', async t => {
  const client = await RawHttp2Client.connect(causeway.port())
  const streams = Array.from({ length: 5 }, () => client.stream())
  const units = streams.map(stream => [
    headers(stream, requestBlock('POST', `/post-${stream}`), FLAG.endHeaders),
    data(stream, Buffer.from('one ')),
    data(stream, Buffer.from(`body ${stream}`), FLAG.endStream),
  ])
  client.send(...units.flat())
  await until('all answers', () => streams.every(stream => client.status(stream) === 200))
  for (const stream of streams)
    t.equal(upstream.seen(`/post-${stream}`)[0]?.body.toString(), `one body ${stream}`)
  client.destroy()
})

t.test('behind the GOAWAY for a flood nothing more is read', async t => {
  const client = await RawHttp2Client.connect(causeway.port())
  client.send(...Array.from({ length: FLOOD_FRAMES }, () => ping()))
  await until('the goodbye', () => client.goaway)
  t.equal(client.goaway, 'ENHANCE_YOUR_CALM')
  const taken = () => client.socket.bytesWritten - client.socket.writableLength
  const large = Buffer.alloc(1024 * 1024)
  // As fast as the kernel takes it: while somebody reads at the other end, that is without end.
  while (client.ended === undefined && taken() < MOST_TAKEN) {
    client.send(large)
    await until('room', () => client.socket.writableLength === 0 || client.ended)
  }
  t.ok(taken() < MOST_TAKEN, `${taken()} bytes were taken`)
  await until('the end', () => client.ended)
})

t.test('connections of one address share what they may reset', async t => {
  let connections = 0
  let resets = 0
  for (let refused = false; !refused && connections < 100; connections += 1) {
    const client = await RawHttp2Client.connect(causeway.port())
    const units = Array.from({ length: 200 }, () => {
      const stream = client.stream()
      return [get(stream, '/reset'), rstStream(stream, CANCEL)]
    })
    client.send(...units.flat(), ping())
    await until('the ping or the end', () => client.seen.has(TYPE.ping) || client.goaway || client.ended)
    refused = client.goaway === 'ENHANCE_YOUR_CALM'
    resets += 200
    client.destroy()
  }
  t.ok(connections < 100, `${resets} resets on ${connections} connections, none over its own budget`)
  t.equal(upstream.seen('/reset').length, 0)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
