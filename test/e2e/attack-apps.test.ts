import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'passive = { failures = "off" }\nretry = { attempts = 1 }\nkeepalive = { idle = "60s" }',
  }),
})
const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'

t.test("a body behind a status that has none is nobody else's answer, however late it comes", async t => {
  for (const [what, ask_] of [
    ['204 No Content', get('/bodiless')],
    ['304 Not Modified', get('/bodiless')],
    ['204 No Content\r\nContent-Length: 50', get('/bodiless')],
    ['304 Not Modified\r\nContent-Length: 50', get('/bodiless')],
    ['304 Not Modified\r\nTransfer-Encoding: chunked', get('/bodiless')],
    ['200 OK\r\nContent-Length: 50', 'HEAD /bodiless HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['200 OK', 'HEAD /bodiless HTTP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    let first: UpstreamLine | undefined
    upstream.on('/bodiless', line => {
      first = line
      line.send(`HTTP/1.1 ${what}\r\n\r\n`)
    })
    upstream.on('/next', line => {
      first?.send(POISON)
      line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    t.ok((await ask(causeway.port(), ask_)).complete)
    t.equal((await ask(causeway.port(), get('/next'))).body.toString(), 'ok', `behind ${what}`)
  }
})

t.test('an app that says its empty body is empty is asked again on the same connection', async t => {
  upstream.on('/empty', line => line.send('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'))
  await ask(causeway.port(), get('/empty?1'))
  await ask(causeway.port(), get('/empty?2'))
  const [one, two] = upstream.seen('/empty')
  t.equal(one?.connection, two?.connection)
})

t.test(
  'interim answers without end are an error, and do not pile up before a client that does not read',
  async t => {
    let cut = false
    upstream.on('/hints', async line => {
      const hints = `HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(1000)}>\r\n\r\n`.repeat(64)
      const flood = () => {
        while (!line.closed && line.socket.write(hints));
      }
      line.socket.on('drain', flood)
      flood()
      await line.untilClosed()
      cut = true
    })
    const client = await RawClient.connect(causeway.port())
    client.stall()
    client.send(get('/hints'))
    await until('the flood to be cut', () => cut)
    client.socket.resume()
    const answer = await client.response()
    t.equal(answer.status, 502)
    t.ok(answer.interim.length > 0)
    client.destroy()
  },
)

t.test('an app that speaks before it is asked ends its own connection only', async t => {
  const { createServer } = await import('node:net')
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.write(POISON + POISON)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', () => done()))
  const { port } = server.address() as { port: number }
  const hasty = await startCauseway(t, { config: configText({ endpoints: [port] }) })
  for (let n = 0; n < 5; n += 1) {
    const { status } = await ask(hasty.port(), get('/'))
    t.ok(status === 200 || status === 502)
  }
  for (let n = 0; n < 5; n += 1) {
    const { status } = await ask(hasty.port(), post('/', 'x'.repeat(100_000)))
    t.ok(status === 200 || status === 502)
  }
  await assertClean(t, hasty)
  server.close()
})

t.test('endpoints that do not exist: 503 that says so in the log, and nothing stays behind', async t => {
  const lost = await startCauseway(t, {
    config: configText({
      endpoints: [],
      upstream: '',
      more: `
[upstreams.nameless]
endpoints = ["no-such-host.invalid:8000"]
queue = { timeout = "300ms" }
[routes.nameless]
path = "/nameless"
upstream = "nameless"
[upstreams.socketless]
endpoints = ["unix:/tmp/no-such-folder/app.sock", "unix:${'/x'.repeat(53)}"]
queue = { timeout = "300ms" }
[routes.socketless]
path = "/socketless"
upstream = "socketless"
`,
    }).replace('endpoints = []', `endpoints = ["127.0.0.1:${upstream.port}"]`),
  })
  for (const path of ['/nameless', '/socketless']) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => ask(lost.port(), get(`${path}/${n}`))),
    )
    for (const { status } of answers) t.equal(status, 503, path)
    t.match(
      (await lost.accessOf(`${path}/0`))['detail'],
      path === '/nameless' ? 'no ready endpoint' : 'no such socket',
    )
  }
  await assertClean(t, lost)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
