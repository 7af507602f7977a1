import { connect, createServer } from 'node:http2'
import t, { type Test } from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Http2App } from '../support/http2-app.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { within } from '../support/until.ts'

async function before(t: Test, endpoint: string): Promise<Running> {
  return startCauseway(t, { config: configText({ endpoints: [endpoint], listener: 'h2c = true' }) })
}

/** What a client of HTTP/2 gets: body, then trailers. */
async function overHttp2(t: Test, causeway: Running, fields: Readonly<Record<string, string>>) {
  const session = connect(`http://127.0.0.1:${causeway.port()}`)
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/', ...fields })
  let body = ''
  let trailers: Readonly<Record<string, unknown>> = {}
  stream.on('data', (bytes: Buffer) => {
    body += bytes.toString('latin1')
  })
  stream.on('trailers', given => {
    trailers = given
  })
  await within('the end', new Promise((done, failed) => stream.once('end', done).once('error', failed)))
  session.destroy()
  return { body, trailers: Object.fromEntries(Object.entries(trailers)) }
}

/** What a client of HTTP/1.1 gets, byte for byte behind the head. */
async function overHttp1(causeway: Running, fields: string): Promise<string> {
  const client = await RawClient.connect(causeway.port())
  client.send(`GET / HTTP/1.1\r\nHost: x\r\n${fields}Connection: close\r\n\r\n`)
  await client.untilEnded()
  return client.received.slice(client.received.indexOf('\r\n\r\n') + 4)
}

t.test('a gRPC answer with a length keeps its status behind the body (RFC 9113 8.1)', async t => {
  const app = await new Http2App(createServer(), stream => {
    const fields = { ':status': 200, 'content-type': 'application/grpc', 'content-length': '5' }
    stream.respond(fields, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end('hello')
  }).listen(t)
  const causeway = await before(t, `h2c://127.0.0.1:${app.port}`)
  t.same(await overHttp2(t, causeway, { te: 'trailers' }), {
    body: 'hello',
    trailers: { 'grpc-status': '0' },
  })
  t.equal(await overHttp1(causeway, 'TE: trailers\r\n'), '5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n')
  t.equal(await overHttp1(causeway, ''), 'hello', 'a client that has not asked for trailers gets the length')
})

t.test('trailers behind the chunks of an HTTP/1.1 app reach who reads them, and nobody else', async t => {
  const app = await RecordingUpstream.start(t)
  const trailers = 'X-Sum: abc\r\nSet-Cookie: no=1\r\nX-Loose:   d \r\n'
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'
  app.on('/', line => line.send(`${head}5\r\nhello\r\n0\r\n${trailers}\r\n`))
  const causeway = await before(t, `127.0.0.1:${app.port}`)
  const two = { 'x-sum': 'abc', 'x-loose': 'd' }
  t.same(await overHttp2(t, causeway, { te: 'trailers' }), { body: 'hello', trailers: two })
  t.same(await overHttp2(t, causeway, {}), { body: 'hello', trailers: {} })
  const wanted = '5\r\nhello\r\n0\r\nX-Sum: abc\r\nX-Loose: d\r\n\r\n'
  t.equal(await overHttp1(causeway, 'TE: trailers\r\n'), wanted)
  t.equal(await overHttp1(causeway, 'TE: gzip, trailers;q=0.5\r\n'), wanted)
  t.equal(await overHttp1(causeway, 'TE: deflate\r\n'), '5\r\nhello\r\n0\r\n\r\n')
  t.equal(app.connections, 1, 'and the connection is used again')
})
