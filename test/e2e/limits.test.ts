import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const upstream = await RecordingUpstream.start(t)
/** How many requests the app runs now, and ran at most. */
let running = 0
let most = 0
let release: (() => void)[] = []
upstream.on('/slot', async (line, request) => {
  running += 1
  most = Math.max(most, running)
  await new Promise<void>(done => release.push(done))
  running -= 1
  await ok()(line, request)
})
function releaseAll(): void {
  const waiting = release
  release = []
  for (const done of waiting) done()
}

const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    workers: 2,
    upstream: 'max_inflight = 3\nqueue = { length = 1000, timeout = "20s" }',
  }),
})

t.test('max_inflight holds over all threads, and whoever waits gets a turn', async t => {
  const asked = Array.from({ length: 40 }, (_, n) => ask(causeway.port(), get(`/slot?${n}`)))
  await until('three requests at the app', () => running === 3)
  await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 37)
  const answers = await releasingUntil(Promise.all(asked))
  t.ok(answers.every(answer => answer.status === 200))
  t.equal(most, 3)
  t.equal(upstream.seen('/slot').length, 40)
  const metrics = await causeway.metrics()
  t.ok(metrics.sum('causeway_upstream_queue_duration_seconds_count') >= 37)
})

t.test('a client that leaves the queue takes no slot and never reaches the app', async t => {
  const holders = [1, 2, 3].map(() => ask(causeway.port(), get('/slot')))
  await until('three requests at the app', () => running === 3)
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(causeway.port())))
  for (const client of clients) client.send(get('/left-the-queue'))
  await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 10)
  for (const client of clients) client.reset()
  await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 0)
  await releasingUntil(Promise.all(holders))
  t.equal((await ask(causeway.port(), get('/fine'))).status, 200)
  t.equal(upstream.seen('/left-the-queue').length, 0)
  const metrics = await causeway.metrics()
  t.equal(metrics.sum('causeway_upstream_queue_rejected_total', { reason: 'client_gone' }), 10)
})

t.test('both threads take connections, and a client is told that its request waited', async t => {
  const holders = [1, 2, 3].map(() => ask(causeway.port(), get('/slot')))
  await until('three requests at the app', () => running === 3)
  const waiting = ask(causeway.port(), get('/waited'))
  await causeway.metric('causeway_upstream_queue_depth', {}, value => value === 1)
  await releasingUntil(Promise.all(holders))
  t.equal((await waiting).status, 200)
  const { queue_ms } = await causeway.accessOf('/waited')
  t.ok(Number(queue_ms) > 0)
})

t.test('a full queue and a wait that is too long: 503 with Retry-After', async t => {
  const short = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      upstream: 'max_inflight = 1\nqueue = { length = 1, timeout = "300ms" }',
    }),
  })
  const holder = ask(short.port(), get('/slot'))
  await until('one request at the app', () => running === 1)
  const waits = ask(short.port(), get('/waits'))
  await short.metric('causeway_upstream_queue_depth', {}, value => value === 1)
  const full = await ask(short.port(), get('/full'))
  t.equal(full.status, 503)
  t.match(fieldOf(full, 'retry-after'), /^\d+$/)
  const tooLong = await waits
  t.equal(tooLong.status, 503)
  t.match(fieldOf(tooLong, 'retry-after'), /^\d+$/)
  const { end: fullEnd } = await short.accessOf('/full')
  t.equal(fullEnd, 'queue_full')
  const { end } = await short.accessOf('/waits')
  t.equal(end, 'queue_timeout')
  await releasingUntil(holder)
  await assertClean(t, short)
})

t.test('at the limit the connection that has been idle longest makes room, whatever it speaks', async t => {
  const narrow = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      listener: 'h2c = true\nlimits = { connections = 4 }',
    }),
  })
  const port = narrow.port()
  const busy = await RawClient.connect(port)
  busy.send(get('/slot'))
  await until('its request at the app', () => running === 1)
  const plain = await kept(port)
  const second = await RawHttp2Client.connect(port)
  t.equal(await second.ask('/kept'), 200)
  const third = await kept(port)
  const newcomers = [await kept(port)]
  await until('the oldest to be closed', () => plain.ended)
  t.same([second.ended, third.ended], [undefined, undefined])
  newcomers.push(await kept(port))
  await until('the next one to be closed', () => second.ended)
  t.equal(second.goaway, 'NO_ERROR', 'HTTP/2 is told that nothing of it was lost')
  t.equal(third.ended, undefined)
  releaseAll()
  t.equal((await busy.response()).status, 200, 'nothing that runs is cut')
  const metrics = await narrow.metrics()
  t.equal(metrics.sum('causeway_connections_rejected_total'), 0)
  t.equal(metrics.sum('causeway_connections_evicted_total', { reason: 'limit' }), 2)
  const told = await narrow.line('that they were closed', isEviction)
  t.match(told, { listener: 'web', reason: 'limit', help: /limits\.connections/ })
  for (const client of [busy, third, ...newcomers]) client.destroy()
  await assertClean(t, narrow)
})

t.test('at the limit an idle client of another thread makes room as well', async t => {
  const most = 5
  const narrow = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      workers: 2,
      listener: `limits = { connections = ${most} }`,
      upstream: 'max_inflight = 100',
    }),
  })
  const active = (test: (count: number) => boolean) => narrow.metric('causeway_connections_active', {}, test)
  const clients: RawClient[] = []
  while (clients.length < most - 1) {
    const busy = await RawClient.connect(narrow.port())
    busy.send(get('/slot'))
    clients.push(busy)
  }
  await until('their requests at the app', () => running === most - 1)
  for (let n = 0; n < 24; n += 1) {
    clients.push(await kept(narrow.port()))
    await active(count => count <= most)
  }
  t.equal((await narrow.metrics()).sum('causeway_connections_rejected_total'), 0)
  t.equal(clients.filter(({ ended }) => ended === undefined).length, most)
  releaseAll()
  for (const busy of clients.slice(0, most - 1)) t.equal((await busy.response()).status, 200)
  for (const client of clients) client.destroy()
  await assertClean(t, narrow)
})

t.test('whoever has not said yet what it speaks is the first to make room', async t => {
  const narrow = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      listener: 'h2c = true\nlimits = { connections = 2 }',
    }),
  })
  const silent = await RawClient.connect(narrow.port())
  const clients = [await kept(narrow.port()), await kept(narrow.port())]
  await until('the silent one to be closed', () => silent.ended)
  t.same(
    clients.map(({ ended }) => ended),
    [undefined, undefined],
  )
  for (const client of clients) client.destroy()
  await assertClean(t, narrow)
})

function isEviction({ msg }: { readonly msg?: unknown }): boolean {
  return msg === 'idle clients closed to make room for others'
}

/** A client that has had an answer and stays. */
async function kept(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send(get('/kept'))
  await client.response()
  return client
}

t.test('connections beyond the limit are turned away, and those within it are served', async t => {
  const narrow = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      workers: 2,
      listener: 'limits = { connections = 20 }',
    }),
  })
  const clients: RawClient[] = []
  for (let n = 0; n < 20; n += 1) {
    const client = await RawClient.connect(narrow.port())
    client.send(get('/slot'))
    clients.push(client)
  }
  await until('twenty requests at the app', () => running === 20)
  const beyond = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(narrow.port())))
  for (const client of beyond) client.send(get('/beyond'))
  for (const client of beyond) t.notMatch(await client.untilEnded(), /^HTTP\/1\.1 200/)
  t.equal(upstream.seen('/beyond').length, 0)
  releaseAll()
  for (const client of clients) {
    t.equal((await client.response()).status, 200)
    client.send(get('/still'))
    t.equal((await client.response()).status, 200)
    client.destroy()
  }
  await narrow.metric('causeway_connections_active', {}, value => value === 0)
  t.equal((await ask(narrow.port(), get('/again'))).status, 200, 'room again')
  const metrics = await narrow.metrics()
  t.equal(metrics.sum('causeway_connections_rejected_total', { reason: 'limit' }), 10)
  await assertClean(t, narrow)
})

t.test(
  'an app whose every endpoint is down: 503 after the wait, and nothing is lost once it is back',
  async t => {
    const gone = await RecordingUpstream.start(t)
    const patient = await startCauseway(t, {
      config: configText({
        endpoints: [gone.port],
        upstream: `
        health = { path = "/healthz", interval = "250ms", timeout = "250ms", rise = 1, fall = 1 }
        queue = { length = 100, timeout = "20s" }`,
      }),
    })
    await gone.stop()
    await patient.metric('causeway_upstream_server_up', {}, value => value === 0)
    const asked = Array.from({ length: 5 }, (_, n) => ask(patient.port(), get(`/patient?${n}`)))
    await patient.metric('causeway_upstream_queue_depth', {}, value => value === 5)
    await gone.listen()
    const answers = await Promise.all(asked)
    t.ok(answers.every(answer => answer.status === 200))
    await assertClean(t, patient, [gone])
  },
)

/** Lets the app answer again and again until this is done. */
async function releasingUntil<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(releaseAll, 5)
  try {
    return await promise
  } finally {
    clearInterval(timer)
  }
}

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
