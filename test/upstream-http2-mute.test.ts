import { createServer } from 'node:http2'
import t, { type Test } from 'tap'
import { SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import { FakeClock } from './support/fake-clock.ts'
import { echo, Http2App, h2, start, submit } from './support/http2-app.ts'
import { END_STREAM, FRAME, type RawHttp2Line, RawHttp2Server } from './support/raw-http2.ts'
import { until } from './support/until.ts'
import { Process, TestJob } from './support/upstream-world.ts'

/** An upstream whose time a test moves, before a raw endpoint. */
async function slowWorld(t: Test) {
  const app = await RawHttp2Server.start(t)
  const world = new Process(t)
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const timeouts = { connectMs: 2000, responseMs: 60_000, idleMs: 60_000, tunnelMs: 60_000 }
  const upstream = world.upstream({ ...world.env(0), clock, timers }, h2([app.port], { timeouts }))
  t.teardown(() => upstream.retire())
  const pass = (ms: number) => {
    for (let n = 0; n < ms; n += 50) {
      clock.pass(50)
      timers.advance()
    }
  }
  return { app, world, upstream, pass }
}

const ACK = 1

/** Pings that it was sent as questions. */
function questions(line: RawHttp2Line): number {
  return line.of(FRAME.ping).filter(({ flags }) => (flags & ACK) === 0).length
}

/** Everything that the endpoint has said so far has been read: it asks behind it, and is answered. */
async function caughtUp(line: RawHttp2Line): Promise<void> {
  const answers = () => line.of(FRAME.ping).length - questions(line)
  const before = answers()
  line.send(FRAME.ping, 0, 0, Buffer.alloc(8))
  await until('the answer to a ping', () => answers() > before)
}

t.test(
  'a connection that has gone mute under waiting requests is left: a GET is repeated, a POST is not',
  async t => {
    const { app, world, upstream, pass } = await slowWorld(t)
    const get = submit(upstream, new TestJob('/get'))
    const post = submit(upstream, new TestJob('/post', Buffer.from('x')))
    const line = await app.line()
    await line.request(2)
    line.alive = false
    pass(6000)
    await until('the question', () => questions(line) === 1)
    pass(3000)
    const second = await app.line(2)
    second.fields(await second.request(1), [[':status', '200']], END_STREAM)
    t.equal(await get.end(), 200)
    t.same(
      [await post.end(), post.detail],
      ['UPSTREAM_CLOSED', 'no response to a ping within 2000 ms before its response'],
    )
    await until('the mute one to be closed', () => line.closed)
    upstream.retire()
    await until('nothing to be left', () => world.gauges().every(gauge => gauge === 0))
  },
)

t.test('an app that takes its time keeps its connection, as long as pings are answered', async t => {
  const { app, upstream, pass } = await slowWorld(t)
  const job = submit(upstream, new TestJob('/'))
  const line = await app.line()
  const stream = await line.request(1)
  for (let n = 1; n <= 3; n += 1) {
    pass(6000)
    await until(`question ${n}`, () => questions(line) === n)
    await caughtUp(line)
  }
  line.fields(stream, [[':status', '200']], END_STREAM)
  t.equal(await job.end(), 200)
  t.equal(app.lines.length, 1)
})

t.test(
  'a connection on which nothing was answered in all the time of a request gets no new ones',
  async t => {
    const { app, upstream, pass } = await slowWorld(t)
    const first = submit(upstream, new TestJob('/1', Buffer.from('x')))
    const line = await app.line()
    await line.request(1)
    for (let n = 1; n < 10; n += 1) {
      pass(6000)
      await until(`question ${n}`, () => questions(line) === n)
      await caughtUp(line)
    }
    pass(6100)
    t.equal(await first.end(), 'UPSTREAM_TIMEOUT')
    const second = submit(upstream, new TestJob('/2'))
    const other = await app.line(2)
    other.fields(await other.request(1), [[':status', '200']], END_STREAM)
    t.equal(await second.end(), 200)
  },
)

t.test('a large body has its connection to itself; small requests share one', async t => {
  const app = await new Http2App(createServer(), echo).listen(t)
  const { upstream } = start(t, h2([app.port]))
  const upload = new TestJob('/upload', Buffer.alloc(10), 'PUT')
  upload.bodyWanted = () => {}
  upload.isUpload = true
  submit(upstream, upload)
  await until('the upload to begin', () => app.requests.length === 1)
  const others = ['/1', '/2', '/3'].map(path => submit(upstream, new TestJob(path)))
  t.same(await Promise.all(others.map(job => job.end())), [200, 200, 200])
  t.same(
    app.requests.map(({ session }) => session),
    [0, 1, 1, 1],
  )
  upload.attempt?.sendBody(Buffer.alloc(10), 0, 10)
  upload.attempt?.endBody()
  t.equal(await upload.end(), 200)
})

t.test('a connection that was left keeps its descriptor until it is closed', async t => {
  const { app, world, upstream, pass } = await slowWorld(t)
  const { descriptors } = new SharedState(world.shared)
  const job = submit(upstream, new TestJob('/'))
  const line = await app.line()
  line.fields(await line.request(1), [[':status', '200']], END_STREAM)
  t.equal(await job.end(), 200)
  // Its app does not close its side.
  const { socket } = line
  socket.allowHalfOpen = true
  const ended = new Promise(done => socket.once('end', done))
  upstream.retire()
  await ended
  t.equal(descriptors.taken, 1)
  pass(1100)
  await until('it to be given back', () => descriptors.taken === 0)
})
