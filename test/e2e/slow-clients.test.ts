import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import t from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const upstream = await RecordingUpstream.start(t)
const folder = t.testdir()
const config = (parts: { readonly upstream?: string; readonly spool?: string } = {}) =>
  configText({
    endpoints: [upstream.port],
    upstream: `max_inflight = 1\n${parts.upstream ?? ''}`,
    more: `[server.spool]\nfolder = "${folder}"\n${parts.spool ?? ''}`,
  })
const causeway = await startCauseway(t, { config: config() })
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const big = randomBytes(16 * MIB)
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n`

upstream.on('/big', line => {
  line.send(`${HEAD}\r\n`)
  line.send(big)
})
upstream.on('/big-chunks', line => {
  line.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  sendChunks(line.send.bind(line))
  line.send('0\r\n\r\n')
})

function sendChunks(send: (bytes: string | Uint8Array) => void): void {
  for (let at = 0; at < big.length; at += MIB) {
    send(`${MIB.toString(16)}\r\n`)
    send(big.subarray(at, at + MIB))
    send('\r\n')
  }
}

/** Asks, takes the head and then nothing more. */
async function stalled(path: string, running: Running = causeway): Promise<RawClient> {
  const client = await RawClient.connect(running.port())
  client.send(get(path))
  await client.untilReceived('\r\n\r\n')
  client.stall()
  return client
}

/** Resolves when no request runs at the app. */
async function untilAppFree(running: Running = causeway): Promise<void> {
  await running.metric('causeway_upstream_in_flight', {}, value => value === 0)
}

async function untilNothingHeld(running: Running = causeway): Promise<void> {
  for (const name of ['causeway_spool_memory_bytes', 'causeway_spool_file_bytes'])
    await running.metric(name, {}, value => value === 0)
}

t.test('a slow reader does not hold its worker, and gets every byte in the end', async t => {
  for (const path of ['/big', '/big-chunks']) {
    const client = await stalled(path)
    await untilAppFree()
    t.equal((await ask(causeway.port(), get('/others'))).status, 200, 'with one slot, others are served')
    t.ok((await causeway.metrics()).sum('causeway_spool_file_bytes') > 4 * MIB)
    client.socket.resume()
    const answer = await client.response('GET', 30_000)
    t.ok(answer.complete, path)
    t.equal(hash(answer.body), hash(big), path)
    client.send(get('/next'))
    t.equal((await client.response()).status, 200, 'and the connection goes on')
    client.destroy()
  }
  await untilNothingHeld()
  t.match(await causeway.accessOf('/big'), { end: 'ok', status: 200 })
})

t.test('many slow readers of large answers: our memory stays small, no file can be seen', async t => {
  const before = causeway.rssBytes()
  const clients: RawClient[] = []
  for (let i = 0; i < 30; i += 1) {
    clients.push(await stalled('/big'))
    await untilAppFree()
  }
  const grown = causeway.rssBytes() - before
  t.ok(
    grown < 100 * MIB,
    `RSS grew by ${Math.round(grown / MIB)} MiB for ${clients.length * 16} MiB of answers`,
  )
  t.same(readdirSync(folder), [])
  for (const client of clients) client.destroy()
  await untilNothingHeld()
  const abandoned = { body: 'response', outcome: 'abandoned' }
  await causeway.metric('causeway_spool_bodies_total', abandoned, value => value === clients.length)
})

t.test(
  'an app that dies in mid-answer: what it gave arrives, and then the client sees the break',
  async t => {
    const part = big.subarray(0, 12 * MIB)
    const dies = (head: string, chunked: boolean): Script => {
      return async line => {
        line.send(head)
        if (chunked) line.send(`${big.length.toString(16)}\r\n`)
        line.send(part)
        await until('the proxy to take it', () => line.closed || line.socket.writableLength === 0)
        line.reset()
      }
    }
    upstream.on('/dies-length', dies(`${HEAD}\r\n`, false))
    upstream.on('/dies-chunks', dies('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', true))
    for (const path of ['/dies-length', '/dies-chunks']) {
      const client = await stalled(path)
      await untilAppFree()
      client.socket.resume()
      const answer = await client.response('GET', 30_000)
      t.notOk(answer.complete, path)
      t.ok(answer.body.length > 6 * MIB, `${answer.body.length} bytes arrived`)
      t.ok(answer.body.equals(part.subarray(0, answer.body.length)))
      t.match(await causeway.accessOf(path), { end: 'upstream_truncated' })
      client.destroy()
    }
    await untilNothingHeld()
  },
)

t.test('a live stream is not read ahead: the app feels that its client is slow', async t => {
  for (const field of ['Content-Type: text/event-stream', 'X-Accel-Buffering: no']) {
    let closed = false
    upstream.on('/live', async line => {
      line.send(`HTTP/1.1 200 OK\r\n${field}\r\nTransfer-Encoding: chunked\r\n\r\n`)
      const event = Buffer.alloc(60_000, 'x')
      while (!line.closed) {
        line.send(`${event.length.toString(16)}\r\n`)
        line.send(event)
        line.send('\r\n')
        if (line.socket.writableNeedDrain)
          await Promise.race([line.untilClosed(), new Promise(done => line.socket.once('drain', done))])
      }
      closed = true
    })
    const client = await stalled('/live')
    let last = -1
    await until('the flow to stop', async () => {
      const stopped = upstream.bytesSent === last
      last = upstream.bytesSent
      await new Promise(done => setTimeout(done, 300))
      return stopped && upstream.bytesSent === last
    })
    t.equal((await causeway.metrics()).sum('causeway_spool_file_bytes'), 0, field)
    client.reset()
    await until('the app to hear that its client has left', () => closed)
  }
})

t.test('with no room in files, or none to be had, the app waits for its client: no error', async t => {
  for (const [spool, detail] of [
    ['disk = "1MiB"', /server\.spool\.disk is exhausted/],
    [undefined, /ENOENT/],
  ] as const) {
    const text =
      spool === undefined ? config().replace(`"${folder}"`, '"/nowhere/at/all"') : config({ spool })
    const narrow = await startCauseway(t, { config: text })
    const client = await stalled('/big', narrow)
    client.socket.resume()
    const answer = await client.response('GET', 30_000)
    t.equal(hash(answer.body), hash(big), spool ?? 'no folder')
    client.destroy()
    const slow = await stalled('/big', narrow)
    await narrow.metric('causeway_spool_bodies_total', { body: 'response', outcome: 'full' }, n => n > 0)
    t.equal((await narrow.metrics()).sum('causeway_upstream_in_flight'), 1, 'the app still works for it')
    slow.socket.resume()
    t.equal(hash((await slow.response('GET', 30_000)).body), hash(big), spool ?? 'no folder')
    const line = await narrow.line('the detail', ({ detail: found }) => detail.test(String(found)))
    t.match(line, { end: 'ok', status: 200 })
    slow.destroy()
    await untilNothingHeld(narrow)
  }
})

t.test('read_ahead is the bound for one answer; "off" holds nothing', async t => {
  for (const [upstreamKeys, most] of [
    ['read_ahead = "2MiB"', 2 * MIB],
    ['read_ahead = "off"', 0],
  ] as const) {
    const bounded = await startCauseway(t, { config: config({ upstream: upstreamKeys }) })
    const client = await stalled('/big', bounded)
    const sentBefore = () => upstream.bytesSent
    let last = -1
    await until('the flow to stop', async () => {
      const stopped = sentBefore() === last
      last = sentBefore()
      await new Promise(done => setTimeout(done, 300))
      return stopped && sentBefore() === last
    })
    const metrics = await bounded.metrics()
    t.ok(metrics.sum('causeway_spool_file_bytes') <= most, upstreamKeys)
    t.equal(metrics.sum('causeway_upstream_in_flight'), 1)
    client.socket.resume()
    t.equal(hash((await client.response('GET', 30_000)).body), hash(big), upstreamKeys)
    client.destroy()
    await untilNothingHeld(bounded)
  }
})

t.test('HEAD, and answers without a body, are what they were', async t => {
  upstream.on('/no-body', line => line.send('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'))
  upstream.on('/head', ok())
  t.equal((await ask(causeway.port(), get('/no-body'))).status, 304)
  const answer = await ask(causeway.port(), 'HEAD /head HTTP/1.1\r\nHost: example.test\r\n\r\n')
  t.equal(fieldOf(answer, 'content-length'), '3')
})

t.test('SIGKILL leaves no file', async t => {
  const killed = await startCauseway(t, { config: config() })
  const client = await stalled('/big', killed)
  await untilAppFree(killed)
  t.same(readdirSync(folder), [])
  killed.signal('SIGKILL')
  await killed.exitCode()
  t.same(readdirSync(folder), [])
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  await untilNothingHeld()
  await assertClean(t, causeway, [upstream])
})
