import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, post, RawClient } from '../support/raw-client.ts'
import { never, ok, RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const upstream = await RecordingUpstream.start(t)
const folder = t.testdir()
const config = (parts: { readonly port?: number; readonly more?: string } = {}) =>
  configText({
    endpoints: [parts.port ?? upstream.port],
    upstream: 'max_inflight = 1\nbalance = "round-robin"\nkeepalive = { idle = "60s" }',
    listener: 'limits = { body = "20MiB" }',
    more: `[server.spool]\nfolder = "${folder}"\n${parts.more ?? ''}`,
  })
const causeway = await startCauseway(t, { config: config() })
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const big = randomBytes(8 * MIB)

/** A POST whose body is still to come. */
async function begin(path: string, length: number, running = causeway): Promise<RawClient> {
  const client = await RawClient.connect(running.port())
  client.send(`POST ${path} HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${length}\r\n\r\n`)
  return client
}

function sendChunks(client: RawClient, bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size)
    client.send(`${chunk.length.toString(16)}\r\n`)
    client.send(chunk)
    client.send('\r\n')
  }
  client.send('0\r\n\r\n')
}

async function untilNothingHeld(running: Running): Promise<void> {
  for (const name of ['causeway_spool_memory_bytes', 'causeway_spool_file_bytes'])
    await running.metric(name, {}, value => value === 0)
}

t.test('a slow upload holds no slot: with one there is, others are served', async t => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => begin('/slow', 10)))
  for (const client of clients) client.send('half ')
  for (let i = 0; i < 10; i += 1) t.equal((await ask(causeway.port(), get(`/between/${i}`))).status, 200)
  t.equal(upstream.seen('/slow').length, 0, 'the app knows nothing of them')
  for (const client of clients) client.send('whole')
  for (const client of clients) t.equal((await client.response('POST')).status, 200)
  t.same(new Set(upstream.seen('/slow').map(request => request.body.toString())), new Set(['half whole']))
  t.match(await causeway.accessOf('/slow'), { body_ms: Number, attempts: 1 })
  for (const client of clients) client.destroy()
})

t.test('a chunked upload reaches the app with its length', async t => {
  const client = await RawClient.connect(causeway.port())
  for (const [path, body] of [
    ['/chunks-small', Buffer.from('a few bytes')],
    ['/chunks-none', Buffer.alloc(0)],
    ['/chunks-big', big],
  ] as const) {
    client.send(`POST ${path} HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n`)
    sendChunks(client, body, 77_777)
    t.equal((await client.response('POST')).status, 200, path)
    const [request] = upstream.seen(path)
    t.equal(request?.field('content-length'), String(body.length))
    t.notOk(request?.names.includes('transfer-encoding'))
    t.equal(hash(request?.body ?? Buffer.alloc(0)), hash(body))
  }
  client.destroy()
})

t.test('a length of nothing is a length of nothing', async t => {
  t.equal((await ask(causeway.port(), post('/nothing', ''))).status, 200)
  t.equal(upstream.seen('/nothing')[0]?.field('content-length'), '0')
})

t.test('an upload in many small pieces over several requests of one connection stays in order', async t => {
  const client = await RawClient.connect(causeway.port())
  await client.sendInPieces(post('/pieces', 'first') + post('/pieces', 'second') + get('/pieces'), 3)
  for (const method of ['POST', 'POST', 'GET']) t.equal((await client.response(method)).status, 200)
  t.same(
    upstream.seen('/pieces').map(request => request.body.toString()),
    ['first', 'second', ''],
  )
  client.destroy()
})

t.test('Expect: 100-continue is answered while all slots are taken', async t => {
  let release: UpstreamLine | undefined
  upstream.on('/occupied', line => {
    release = line
  })
  const other = await RawClient.connect(causeway.port())
  other.send(get('/occupied'))
  await upstream.arrival('/occupied')
  const client = await RawClient.connect(causeway.port())
  client.send(
    'POST /go-on HTTP/1.1\r\nHost: example.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
  )
  await client.untilReceived('HTTP/1.1 100 Continue\r\n\r\n')
  client.send('hi')
  release?.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal((await client.response('POST')).status, 200)
  client.destroy()
  other.destroy()
})

t.test('the file has no name, and is given back when the client leaves', async t => {
  const clients = await Promise.all(Array.from({ length: 5 }, () => begin('/leaves', big.length + 1)))
  for (const client of clients) client.send(big)
  await causeway.metric('causeway_spool_file_bytes', {}, value => value >= 5 * 7 * MIB)
  t.same(readdirSync(folder), [])
  for (const client of clients) client.destroy()
  await untilNothingHeld(causeway)
  const abandoned = { body: 'request', outcome: 'abandoned' }
  await causeway.metric('causeway_spool_bodies_total', abandoned, value => value === 5)
  t.equal(upstream.seen('/leaves').length, 0)
})

t.test('SIGKILL leaves no file', async t => {
  const killed = await startCauseway(t, { config: config() })
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => begin('/killed', big.length + 1, killed)),
  )
  for (const client of clients) client.send(big)
  await until('files', async () => {
    t.same(readdirSync(folder), [])
    return (await killed.metrics()).sum('causeway_spool_file_bytes') > 20 * MIB
  })
  killed.signal('SIGKILL')
  await killed.exitCode()
  t.same(readdirSync(folder), [])
  for (const client of clients) client.destroy()
})

t.test('beyond the bytes of all files: 503 with its reason, small ones and others are served', async t => {
  const narrow = await startCauseway(t, { config: config({ more: 'disk = "12MiB"' }) })
  const first = await begin('/waits', big.length + 1, narrow)
  first.send(big)
  await narrow.metric('causeway_spool_file_bytes', {}, value => value > 7 * MIB)
  const answers = await Promise.all(
    [`Content-Length: ${big.length}`, 'Transfer-Encoding: chunked'].map(async framing => {
      const second = await RawClient.connect(narrow.port())
      second.send(`POST /full HTTP/1.1\r\nHost: example.test\r\n${framing}\r\n\r\n`)
      if (framing.startsWith('C')) second.send(big)
      else sendChunks(second, big, 100_000)
      const answer = await second.response('POST')
      second.destroy()
      return answer
    }),
  )
  for (const answer of answers) {
    t.equal(answer.status, 503)
    t.equal(fieldOf(answer, 'connection'), 'close')
  }
  t.match(await narrow.accessOf('/full'), { end: 'spool_failed', detail: 'server.spool.disk is exhausted' })
  t.equal((await ask(narrow.port(), post('/small', 'fits'))).status, 200)
  first.send('x')
  t.equal((await first.response('POST')).status, 200, 'who was first is not harmed')
  t.equal(upstream.seen('/full').length, 0)
  await untilNothingHeld(narrow)
  first.destroy()
})

t.test('uploads that do not fit into the files together wait for each other, and all are served', async t => {
  const narrow = await startCauseway(t, { config: config({ more: 'disk = "8MiB"' }) })
  const body = big.subarray(0, 3 * MIB)
  const statuses = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const client = await RawClient.connect(narrow.port())
      const framing = i % 2 === 0 ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked'
      client.send(`POST /together/${i} HTTP/1.1\r\nHost: example.test\r\n${framing}\r\n\r\n`)
      if (i % 2 === 0) client.send(body)
      else sendChunks(client, body, 100_000)
      const { status } = await client.response('POST')
      client.destroy()
      return status
    }),
  )
  t.same(statuses, Array(12).fill(200))
  for (let i = 0; i < 12; i += 1)
    t.equal(hash(upstream.seen(`/together/${i}`)[0]?.body ?? Buffer.alloc(0)), hash(body))
  await untilNothingHeld(narrow)
})

t.test('a folder that is not there: 503 for what does not fit into memory', async t => {
  const broken = await startCauseway(t, {
    config: config().replace(`"${folder}"`, `"${folder}/missing"`),
  })
  const client = await begin('/no-folder', big.length, broken)
  client.send(big)
  t.equal((await client.response('POST')).status, 503)
  t.match(await broken.accessOf('/no-folder'), { end: 'spool_failed', detail: /ENOENT.*missing/ })
  t.equal((await ask(broken.port(), post('/no-folder-small', 'fits'))).status, 200)
  await untilNothingHeld(broken)
  client.destroy()
})

t.test(
  'a folder that breaks while it runs: what has a file goes on, what fits into memory is served',
  async t => {
    const fragile = join(t.testdir(), 'spool')
    mkdirSync(fragile)
    const running = await startCauseway(t, { config: config().replace(folder, fragile) })
    const begun = await begin('/begun', big.length, running)
    begun.send(big.subarray(0, 4 * MIB))
    await running.metric('causeway_spool_file_bytes', {}, value => value > 0)
    rmdirSync(fragile)
    const refused = await begin('/broken', big.length, running)
    refused.send(big)
    t.equal((await refused.response('POST')).status, 503)
    t.match(await running.accessOf('/broken'), {
      end: 'spool_failed',
      detail: /^server\.spool\.folder: ENOENT/,
    })
    t.equal((await ask(running.port(), post('/broken-small', 'fits'))).status, 200)
    begun.send(big.subarray(4 * MIB))
    t.equal((await begun.response('POST')).status, 200)
    t.equal(hash(upstream.seen('/begun')[0]?.body ?? Buffer.alloc(0)), hash(big))
    await running.line('who looks after it to say so', line =>
      String(line['msg']).startsWith('spool folder cannot be used'),
    )
    mkdirSync(fragile)
    const again = await begin('/whole-again', big.length, running)
    again.send(big)
    t.equal((await again.response('POST')).status, 200, 'and when it is there again all is as before')
    await untilNothingHeld(running)
    for (const client of [begun, refused, again]) client.destroy()
  },
)

t.test('a body that is here can be sent again: to another endpoint, and on another connection', async t => {
  const [dead, alive] = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
  await dead.stop()
  const two = await startCauseway(t, {
    config: config().replace(
      /endpoints = .*/,
      `endpoints = ["127.0.0.1:${dead.port}", "127.0.0.1:${alive.port}"]`,
    ),
  })
  for (let i = 0; i < 4; i += 1) {
    const client = await begin(`/elsewhere/${i}`, big.length, two)
    client.send(big)
    t.equal((await client.response('POST')).status, 200)
    t.equal(hash(alive.seen(`/elsewhere/${i}`)[0]?.body ?? Buffer.alloc(0)), hash(big))
    client.destroy()
  }
  const repeated = await two.line('an access line of two attempts', ({ attempts }) => attempts === 2)
  t.match(repeated, { status: 200, end: 'ok' })
})

t.test('on a reused connection that closes, a PUT with its body is repeated and a POST is not', async t => {
  const app = await RecordingUpstream.start(t)
  const reused = await startCauseway(t, { config: config({ port: app.port }) })
  const lines = new Set<UpstreamLine>()
  app.on('/again', async (line, request) => {
    await request.whole()
    if (lines.has(line)) line.reset()
    else await ok()(line, request)
    lines.add(line)
  })
  const send = async (method: string) => {
    const client = await RawClient.connect(reused.port())
    client.send(`${method} /again HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${big.length}\r\n\r\n`)
    client.send(big)
    const { status } = await client.response(method)
    client.destroy()
    return status
  }
  t.equal(await send('PUT'), 200)
  t.equal(await send('PUT'), 200)
  const [, cut, repeated] = app.seen('/again')
  t.equal(cut?.bodyBytes, big.length)
  t.equal(hash(repeated?.body ?? Buffer.alloc(0)), hash(big))
  t.equal(await send('POST'), 502)
})

t.test('a body that outlasts its configuration goes to the app of the new one', async t => {
  const next = await RecordingUpstream.start(t)
  const reloaded = await startCauseway(t, { config: config() })
  const client = await begin('/over-reload', 10, reloaded)
  client.send('half ')
  t.equal(await reloaded.reload(config({ port: next.port })), 'success')
  client.send('whole')
  t.equal((await client.response('POST')).status, 200)
  t.equal(next.seen('/over-reload')[0]?.body.toString(), 'half whole')
  t.equal(upstream.seen('/over-reload').length, 0)
  client.destroy()
})

t.test('while an app reads slowly, its spooled body does not fill our memory', async t => {
  upstream.on('/deaf', line => {
    line.socket.pause()
  })
  const client = await begin('/deaf', big.length)
  client.send(big)
  await upstream.arrival('/deaf')
  const held = await causeway.metric('causeway_spool_file_bytes', {}, value => value > 7 * MIB)
  t.ok(held <= big.length, 'the rest is in the file')
  t.ok((await causeway.metrics()).sum('causeway_spool_memory_bytes') < MIB)
  client.reset()
  for (const socket of upstream.sockets) socket.destroy()
})

t.test(
  'an answer that comes before the app has read all reaches the client, and the rest is let go',
  async t => {
    upstream.on('/early', line => line.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'))
    const client = await begin('/early', big.length)
    client.send(big)
    t.equal((await client.response('POST')).status, 403)
    client.send(get('/after-early'))
    t.equal((await client.response()).status, 200, 'the client has sent all: its connection goes on')
    client.destroy()
  },
)

t.test('a client that leaves while its request waits for an answer frees its body', async t => {
  upstream.on('/unanswered', never)
  const client = await begin('/unanswered', big.length)
  client.send(big)
  await upstream.arrival('/unanswered')
  client.reset()
  await untilNothingHeld(causeway)
  t.match(await causeway.accessOf('/unanswered'), { end: 'client_gone' })
})

t.test('nothing of all this harmed anybody', async t => {
  await untilNothingHeld(causeway)
  await assertClean(t, causeway, [upstream])
})
