import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const first = await RecordingUpstream.start(t)
const second = await RecordingUpstream.start(t)
const both = [first, second]
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [first.port, second.port],
    upstream:
      // A POST goes out on a used connection only where that was asked for, or has shown itself safe.
      'balance = "round-robin"\nkeepalive.idle = "10s"\npassive = { failures = "off" }\nretry = { attempts = 3, budget = "100%" }\nqueue = { timeout = "3s" }',
  }),
})
const seen = (path: string) => both.flatMap(upstream => upstream.seen(path))

/** Serves the first request of a connection, and hangs up on the second without a byte. */
function hangsUpOnSecond(): Script {
  const served = new Set<number>()
  return async (line, request) => {
    await request.whole()
    if (served.has(line.number)) return line.end()
    served.add(line.number)
    line.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  }
}

t.test('a refused connect is tried elsewhere, whatever the method', async t => {
  await second.stop()
  for (let n = 0; n < 6; n += 1) {
    t.equal((await ask(causeway.port(), get('/refused-get'))).status, 200)
    t.equal((await ask(causeway.port(), post('/refused-post', 'body'))).status, 200)
  }
  t.equal(first.seen('/refused-get').length, 6)
  t.same(
    first.seen('/refused-post').map(request => request.body.toString()),
    Array.from({ length: 6 }, () => 'body'),
  )
  await second.listen()
})

t.test('a reused connection that closes before its response: GET is repeated, POST is not', async t => {
  for (const upstream of both) upstream.on('/hangs-up', hangsUpOnSecond())
  const client = await RawClient.connect(causeway.port())
  for (let n = 0; n < 8; n += 1) {
    client.send(get('/hangs-up'))
    t.equal((await client.response()).status, 200, `GET ${n}`)
  }
  t.ok(seen('/hangs-up').length > 8, 'some were sent twice')
  for (const upstream of both) upstream.on('/hangs-up-post', hangsUpOnSecond())
  const statuses: number[] = []
  for (let n = 0; n < 8; n += 1) {
    client.send(post(`/hangs-up-post?${n}`, 'body'))
    statuses.push((await client.response('POST')).status)
  }
  t.ok(statuses.includes(502), 'some failed')
  const targets = seen('/hangs-up-post').map(request => request.target)
  t.equal(new Set(targets).size, targets.length, 'none was sent twice')
  client.destroy()
})

t.test('one stale connection is not followed by another: the repeat is sent on a fresh one', async t => {
  const lonely = await startCauseway(t, { config: configText({ endpoints: [first.port] }) })
  const release: (() => void)[] = []
  first.on('/warm', async (line, request) => {
    await new Promise<void>(done => release.push(done))
    await ok()(line, request)
  })
  const warm = Array.from({ length: 5 }, () => ask(lonely.port(), get('/warm')))
  await until('five connections in use', () => release.length === 5)
  const served = new Set(first.seen('/warm').map(request => request.connection))
  for (const done of release) done()
  await Promise.all(warm)
  first.on('/stale', async (line, request) => {
    if (served.has(line.number)) return line.end()
    await ok()(line, request)
  })
  t.equal((await ask(lonely.port(), get('/stale'))).status, 200)
  t.equal(first.seen('/stale').length, 2)
  await assertClean(t, lonely)
})

t.test(
  'a fresh connection that closes without an answer is not tried again: the app may have acted',
  async t => {
    for (const upstream of both) {
      upstream.on('/dies', line => line.end())
      upstream.on('/once', ok('x', 'Connection: close\r\n'))
    }
    // Until no pooled connection is left.
    for (let n = 0; n < 8; n += 1) await ask(causeway.port(), get('/once'))
    const answer = await ask(causeway.port(), post('/dies', 'body'))
    t.equal(answer.status, 502)
    t.equal(seen('/dies').length, 1)
  },
)

t.test('an error answer of the app is its answer, and is not tried again', async t => {
  for (const upstream of both)
    upstream.on('/500', raw('HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy'))
  const answer = await ask(causeway.port(), get('/500'))
  t.equal(answer.status, 503)
  t.equal(fieldOf(answer, 'retry-after'), '7')
  t.equal(seen('/500').length, 1)
})

t.test('an answer that broke off is not tried again', async t => {
  for (const upstream of both) {
    upstream.on('/breaks', line => {
      line.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      line.end()
    })
  }
  const answer = await ask(causeway.port(), get('/breaks'))
  t.notOk(answer.complete && answer.status === 200)
  t.equal(seen('/breaks').length, 1)
})

t.test('with every endpoint refusing, a request waits until one is back', async t => {
  for (const upstream of both) await upstream.stop()
  const held = ask(causeway.port(), post('/held', 'once'))
  await until('the request waits', async () => {
    return (await causeway.metrics()).sum('causeway_upstream_queue_depth', { upstream: 'app' }) === 1
  })
  for (const upstream of both) await upstream.listen()
  t.equal((await held).status, 200)
  const { attempts, end } = await causeway.accessOf('/held')
  t.ok(Number(attempts) > 1)
  t.equal(end, 'ok')
})

t.test('who has waited in vain is told 503, and why', async t => {
  for (const upstream of both) await upstream.stop()
  const answer = await ask(causeway.port(), get('/nobody'))
  t.equal(answer.status, 503)
  const { end, status, detail } = await causeway.accessOf('/nobody')
  t.equal(end, 'no_endpoint')
  t.equal(status, 503)
  t.match(detail, /no ready endpoint \(.*connection refused\)/)
  for (const upstream of both) await upstream.listen()
  t.equal((await ask(causeway.port(), get('/back'))).status, 200)
})

t.test('attempts are counted as attempts, and say what became of them', async t => {
  const metrics = await causeway.metrics()
  t.ok(metrics.sum('causeway_upstream_retries_total', { result: 'success' }) > 0)
  t.ok(metrics.sum('causeway_upstream_errors_total', { kind: 'connect' }) > 0)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, both)
})
