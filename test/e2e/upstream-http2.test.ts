import { createServer, type ServerHttp2Stream } from 'node:http2'
import { createServer as createPlainServer } from 'node:net'
import t from 'tap'
import { readProxyHeader } from '../../lib/wire/proxy-protocol.ts'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { echo, Http2App, type Serve } from '../support/http2-app.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { opening } from '../support/websocket-app.ts'

/** Values of a field of the n-th request, by its name. */
function valuesOf(app: Http2App, name: string, n = -1): string[] {
  const raw = app.requests.at(n)?.raw ?? []
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1] === name)
}

t.test('an h2c endpoint gets the request in the form of HTTP/2', async t => {
  const app = await new Http2App(createServer(), echo).listen(t)
  const route = 'strip_prefix = "/shop"'
  const config = configText({ endpoints: [`h2c://127.0.0.1:${app.port}`], route }).replace(
    'path = "/"',
    'path = "/shop"',
  )
  const causeway = await startCauseway(t, { config })
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /shop/cart?x=1 HTTP/1.1\r\nHost: example.test:81\r\nConnection: keep-alive, X-Hop, TE\r\nX-Hop: h\r\nTE: trailers\r\n' +
      'Cookie: a=1\r\nCookie: b=2\r\nX-Forwarded-For: 192.0.2.9\r\nExpect: 100-continue\r\nX-Mixed-Case: Yes\r\nContent-Length: 4\r\n\r\nbody',
  )
  const answer = await client.response()
  t.same([answer.status, answer.body.toString()], [200, '/cart?x=1\nbody'])
  const raw = app.requests[0]?.raw ?? []
  t.same(raw.slice(0, 8), [
    ':method',
    'POST',
    ':scheme',
    'http',
    ':path',
    '/cart?x=1',
    ':authority',
    'example.test:81',
  ])
  t.same(valuesOf(app, 'cookie'), ['a=1; b=2'], 'cookies are one field')
  t.same(valuesOf(app, 'x-forwarded-for'), ['127.0.0.1'])
  t.same(valuesOf(app, 'x-forwarded-prefix'), ['/shop'])
  t.same(valuesOf(app, 'x-mixed-case'), ['Yes'])
  t.same(valuesOf(app, 'content-length'), ['4'])
  t.same(valuesOf(app, 'te'), ['trailers'], 'the client has asked for them')
  for (const name of ['connection', 'x-hop', 'host', 'expect', 'transfer-encoding', 'keep-alive'])
    t.same(valuesOf(app, name), [], name)
})

t.test('a gRPC call streams both ways at the same time, although bodies are spooled', async t => {
  let call: ServerHttp2Stream | undefined
  const app = await new Http2App(createServer(), stream => {
    call = stream
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    stream.on('data', (bytes: Buffer) => stream.write(`got ${bytes}\n`))
    stream.on('end', () => stream.end('over'))
  }).listen(t)
  const config = configText({ endpoints: [`h2c://127.0.0.1:${app.port}`], upstream: 'body = "spool"' })
  const causeway = await startCauseway(t, { config })
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /service/method HTTP/1.1\r\nHost: example.test\r\nContent-Type: application/grpc+proto\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  for (const word of ['one', 'two']) {
    client.send(`3\r\n${word}\r\n`)
    await client.untilReceived(`got ${word}\n`)
  }
  client.send('0\r\n\r\n')
  await client.untilReceived('over')
  t.same(valuesOf(app, 'content-length'), [])
  t.equal(call?.rstCode, 0)
})

t.test(
  'a request for a WebSocket reaches an h2c endpoint as an ordinary one, and the log says so',
  async t => {
    const app = await new Http2App(createServer(), echo).listen(t)
    const causeway = await startCauseway(t, {
      config: configText({ endpoints: [`h2c://127.0.0.1:${app.port}`] }),
    })
    const answer = await ask(causeway.port(), opening('/socket'))
    t.equal(answer.status, 200)
    t.same(valuesOf(app, 'upgrade'), [])
    t.match((await causeway.accessOf('/socket'))['detail'], 'as an ordinary request')
  },
)

t.test('a client that leaves frees the slot, and its stream is cancelled', async t => {
  const open: ServerHttp2Stream[] = []
  const silent: Serve = stream => void open.push(stream)
  const app = await new Http2App(createServer(), silent).listen(t)
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [`h2c://127.0.0.1:${app.port}`] }),
  })
  const client = await RawClient.connect(causeway.port())
  client.send(get('/left'))
  await until('the request', () => open.length === 1)
  client.reset()
  await until('the stream to be cancelled', () => open[0]?.rstCode === 8)
  await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
})

t.test('endpoints are told who the client is by a PROXY header', async t => {
  for (const version of ['v1', 'v2']) {
    const heard: string[] = []
    const server = createPlainServer(socket => {
      socket.on('error', () => {})
      socket.once('data', bytes => {
        const header = readProxyHeader(bytes, 0, bytes.length)
        if (header === undefined || 'refused' in header || header.kind !== 'proxied')
          return void socket.destroy()
        const { source, destination } = header
        heard.push(`${source.address} ${source.port > 0} ${destination.address} ${destination.port}`)
        return void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    t.teardown(() => void server.close())
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const upstream = `proxy_protocol = "${version}"`
    const causeway = await startCauseway(t, { config: configText({ endpoints: [port], upstream }) })
    for (let n = 0; n < 2; n += 1) t.equal((await ask(causeway.port(), get('/'))).status, 200)
    const line = `127.0.0.1 true 127.0.0.1 ${causeway.port()}`
    t.same(heard, [line, line], 'each request has a connection of its own')
  }
})
