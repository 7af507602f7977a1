import { createServer } from 'node:http2'
import t, { type Test } from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Http2App, type Serve } from '../support/http2-app.ts'
import { Http2Client } from '../support/http2-client.ts'
import { fieldOf, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream, raw } from '../support/recording-upstream.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'

// Apps send bodies where HTTP has none, and their length (Django: JsonResponse(data, status=205)). What
// leaves is whole by every client's reading: the head, no content, and no length but 0 or, to HEAD, what GET
// would have brought.

t.setTimeout(120_000)
const STATUSES = [204, 205, 304]
const BODY = '{"a": 1}'

const answerOf = (status: number) => `HTTP/1.1 ${status} \r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`
const statusIn = (path: string) => Number(path.slice(path.lastIndexOf('/') + 1)) || 200

const plain = await RecordingUpstream.start(t)
for (const status of [200, ...STATUSES]) {
  plain.on(`/plain/${status}`, raw(answerOf(status)))
  const chunks = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
  plain.on(`/chunked/${status}`, raw(`HTTP/1.1 ${status} \r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`))
}
const uwsgi = await RecordingUwsgi.start(t)
uwsgi.script = line => line.finish(answerOf(statusIn(line.variables.get('PATH_INFO') ?? '')))
/** Node itself lets no body out with these. */
const serve: Serve = (stream, path) => {
  stream.respond({ ':status': statusIn(path) }, { endStream: true })
}
const h2c = await new Http2App(createServer(), serve).listen(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [plain.port],
    listener: 'h2c = true',
    more: `
[upstreams.uwsgi]
endpoints = ["uwsgi://127.0.0.1:${uwsgi.port}"]
[upstreams.h2c]
endpoints = ["h2c://127.0.0.1:${h2c.port}"]
[routes.uwsgi]
path = "/uwsgi"
upstream = "uwsgi"
[routes.h2c]
path = "/h2c"
upstream = "h2c"
[routes.moved]
path = "/moved"
redirect_https = true
upstream = "app"
`,
  }),
})

/** A client of each protocol. */
async function bothKinds(t: Test) {
  const client = await RawClient.connect(causeway.port())
  const browser = new Http2Client(causeway.port())
  t.teardown(() => {
    client.destroy()
    browser.destroy()
  })
  return { client, browser }
}

const SAID: Readonly<Record<number, string | undefined>> = { 204: undefined, 205: '0', 304: undefined }

for (const from of ['plain', 'chunked', 'uwsgi', 'h2c']) {
  t.test(`${from}: 204, 205 and 304 leave without content, and say no length but 0`, async t => {
    const { client, browser } = await bothKinds(t)
    for (const status of STATUSES) {
      client.send(`GET /${from}/${status} HTTP/1.1\r\nHost: example.test\r\n\r\n`)
      const one = await client.response()
      t.same([one.status, one.body.length, fieldOf(one, 'content-length')], [status, 0, SAID[status]])
      t.equal(fieldOf(one, 'transfer-encoding'), undefined)
      const two = await browser.get(`/${from}/${status}`)
      t.same([two.status, two.body.length, two.reset], [status, 0, 0], 'HTTP/2')
      t.equal(two.headers['content-length'], SAID[status])
    }
    client.send('GET /plain/200 HTTP/1.1\r\nHost: example.test\r\n\r\n')
    t.equal((await client.response()).body.toString(), BODY, 'the connection goes on with the next answer')
  })
}

t.test('to HEAD the length is said and the body is not sent, whoever answers', async t => {
  const { client, browser } = await bothKinds(t)
  const cases = [
    ['/plain/200', 200, String(BODY.length)],
    ['/plain/205', 205, '0'],
    ['/uwsgi/200', 200, String(BODY.length)],
    ['/h2c/200', 200, undefined],
    ['/moved', 301, '0'],
    ['/bad%2', 400, undefined],
  ] as const
  for (const [path, status, length] of cases) {
    client.send(`HEAD ${path} HTTP/1.1\r\nHost: example.test\r\n\r\n`)
    const one = await client.response('HEAD')
    const two = await browser.get(path, { ':method': 'HEAD' })
    t.same([one.status, one.body.length], [status, 0], path)
    t.same([two.status, two.body.length, two.reset], [status, 0, 0], `${path} over HTTP/2`)
    if (length === undefined) continue
    t.same([fieldOf(one, 'content-length'), two.headers['content-length']], [length, length])
  }
})

t.test('a HEAD whose fields are refused gets no content over HTTP/2', async t => {
  const browser = new Http2Client(causeway.port())
  t.teardown(() => browser.destroy())
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`x-${n}`, '1']))
  const answer = await browser.get('/', { ':method': 'HEAD', ...many })
  t.same([answer.status, answer.body.length, answer.reset], [431, 0, 0])
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [plain])
})
