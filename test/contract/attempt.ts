import { systemClock } from '../../lib/base/clock.ts'
import { startDeafServer } from '../support/deaf-server.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { type AppLine, type AttemptBench, ContractJob, run, type Tap } from './attempt-bench.ts'

const HELLO = Buffer.from('hello')
/** More than the buffers between hold. */
const MANY = Buffer.alloc(16 * 1024 * 1024)
const IDLE_MS = 200

/** Answers at once, whole. */
function answer(line: AppLine): void {
  line.answer(HELLO.length)
  line.send(HELLO)
  line.end()
}

/** Takes the request and says nothing. */
function never(): void {}

/** Begins an answer that goes no further. */
function begin(line: AppLine): void {
  line.answer(2 * HELLO.length)
  line.send(HELLO)
}

/** What every maker of attempts does. To be called in a test file of its own. */
export function attemptContract(t: Tap, name: string, bench: AttemptBench): void {
  answers(t, name, bench)
  connects(t, name, bench)
  failures(t, name, bench)
  cancels(t, name, bench)
  backPressure(t, name, bench)
  if (bench.informs) interim(t, name, bench)
  if (bench.exchanges) exchanges(t, name, bench)
}

function answers(t: Tap, name: string, bench: AttemptBench): void {
  t.test(`${name}: a whole answer ends it once, and the record has its times`, async t => {
    const it = await run(t, bench, answer)
    t.match(await it.over(), { how: 'ended', status: bench.status })
    t.equal(it.job.receivedBytes, HELLO.length)
    if (!bench.tunnels) t.same(it.job.calls, ['answered', 'ended', 'answerEnd'], 'the owner hears first')
    const { attemptAtMs = 0, sentAtMs = 0, firstByteAtMs = 0, upstreamEndAtMs = 0, connectMs } = it.job.record
    t.ok(connectMs > 0, 'a connection was waited for')
    t.equal(it.owner.connects, 1)
    t.ok(attemptAtMs + connectMs <= sentAtMs, `sent at ${sentAtMs}, begun at ${attemptAtMs}`)
    t.ok(sentAtMs <= firstByteAtMs, `answered at ${firstByteAtMs}, sent at ${sentAtMs}`)
    t.ok(firstByteAtMs <= upstreamEndAtMs, `ended at ${upstreamEndAtMs}, answered at ${firstByteAtMs}`)
    await it.assertOver(t)
  })
}

function connects(t: Tap, name: string, bench: AttemptBench): void {
  t.test(`${name}: a refused connect`, async t => {
    const app = await RecordingUpstream.start(t)
    await app.stop()
    const it = await run(t, bench, never, { port: app.port })
    t.match(await it.over(), { how: 'failed', code: 'CONNECT_FAILED', kind: 'connect', answered: false })
    t.match(await it.over(), { detail: 'connection refused' })
    t.match(it.job.record, { connectMs: 0, sentAtMs: undefined, firstByteAtMs: undefined })
    t.equal(it.owner.connects, 0)
    await it.assertOver(t)
  })

  t.test(`${name}: no connection within timeouts.connect`, async t => {
    const port = await startDeafServer(t)
    const it = await run(t, bench, never, { port, timeouts: { connectMs: 100 } })
    t.same(await it.over(), {
      how: 'failed',
      code: 'CONNECT_TIMEOUT',
      kind: 'connect_timeout',
      detail: 'no connection within 100 ms',
      answered: false,
    })
    await it.assertOver(t)
  })
}

function failures(t: Tap, name: string, bench: AttemptBench): void {
  const answered = bench.commits

  t.test(`${name}: no answer within timeouts.response`, async t => {
    const it = await run(t, bench, never, { timeouts: { responseMs: 100 } })
    const end = await it.over()
    t.match(end, { how: 'failed', code: 'UPSTREAM_TIMEOUT', kind: 'header_timeout', answered })
    t.match(end, { detail: / within 100 ms$/ })
    t.type(it.job.record.sentAtMs, 'number')
    t.equal(it.job.record.firstByteAtMs, undefined)
    await it.assertOver(t)
  })

  for (const how of ['end', 'cut'] as const)
    t.test(`${name}: the app is gone before its answer (${how})`, async t => {
      const it = await run(t, bench, line => line[how]())
      t.match(await it.over(), { how: 'failed', code: 'UPSTREAM_CLOSED', kind: 'reset', answered })
      t.equal(it.job.record.firstByteAtMs, undefined)
      await it.assertOver(t)
    })

  t.test(`${name}: the app is gone inside its answer`, async t => {
    const it = await run(t, bench, begin)
    await until('its first bytes', () => it.job.receivedBytes > 0)
    it.lines[0]?.cut()
    const end = await it.over()
    if (bench.tunnels) {
      t.match(end, { how: 'ended', status: bench.status })
      t.equal(it.job.calls.at(-1), 'UPSTREAM_CLOSED')
    } else t.match(end, { how: 'failed', code: 'UPSTREAM_TRUNCATED', kind: 'reset', answered: true })
    await it.assertOver(t)
  })

  t.test(`${name}: the app falls silent inside its answer`, async t => {
    const it = await run(t, bench, begin, { timeouts: { idleMs: 100, tunnelMs: 100 } })
    const end = await it.over()
    if (bench.tunnels) {
      t.match(end, { how: 'ended', status: bench.status })
      t.equal(it.job.calls.at(-1), 'TUNNEL_IDLE')
    } else {
      t.match(end, { how: 'failed', code: 'UPSTREAM_TIMEOUT', kind: 'body_timeout', answered: true })
      t.match(end, { detail: 'idle for 100 ms within its response' })
    }
    await it.assertOver(t)
  })
}

function cancels(t: Tap, name: string, bench: AttemptBench): void {
  t.test(`${name}: the client leaves while it connects`, async t => {
    const it = await run(t, bench, never)
    it.job.attempt?.cancel()
    t.match(await it.over(), { how: 'cancelled' })
    t.same(it.job.calls, ['cancelled'])
    await it.assertOver(t)
    t.equal(it.lines.length, 0, 'nothing was asked')
  })

  t.test(`${name}: the client leaves before the answer`, async t => {
    const it = await run(t, bench, never)
    const line = await until('the request', () => it.lines[0])
    it.job.attempt?.cancel()
    t.match(await it.over(), { how: 'cancelled' })
    await until('the app to see it', () => line.gone)
    t.same(it.job.calls, ['cancelled'])
    await it.assertOver(t)
  })

  t.test(`${name}: the client leaves inside the answer`, async t => {
    const it = await run(t, bench, begin)
    await until('its first bytes', () => it.job.receivedBytes > 0)
    it.job.attempt?.cancel()
    t.match(await it.over(), { how: bench.tunnels ? 'ended' : 'cancelled' })
    await until('the app to see it', () => it.lines[0]?.gone)
    await it.assertOver(t)
  })
}

function backPressure(t: Tap, name: string, bench: AttemptBench): void {
  t.test(`${name}: a slow client stops the app until it takes the answer again`, async t => {
    const job = new ContractJob()
    job.takesAnswer = false
    let isSlow = false
    const it = await run(
      t,
      bench,
      line => {
        line.answer(MANY.length)
        isSlow = !line.send(MANY)
        line.end()
      },
      { job, timeouts: { idleMs: IDLE_MS } },
    )
    await until('its first bytes', () => job.receivedBytes > 0)
    const { firstByteAtMs = 0 } = job.record
    await until('the idle timeout to pass', () => systemClock.now() - firstByteAtMs > 2 * IDLE_MS)
    t.ok(isSlow, 'the app has more to say')
    t.same(it.owner.ends, [], 'the silence is not held against it')
    job.resume()
    t.match(await it.over(), { how: 'ended', status: bench.status })
    t.equal(job.unasked, 0, 'nothing came in between')
    t.equal(job.receivedBytes, MANY.length)
    await it.assertOver(t)
  })

  if (!bench.sends) return
  t.test(`${name}: a slow app stops the body until it takes it again`, async t => {
    const job = new ContractJob(MANY)
    const it = await run(t, bench, line => line.pause(), { job })
    const line = await until('the request', () => it.lines[0])
    await until('the app to be slow', () => job.blocked)
    const { drains } = job
    t.ok(line.got < MANY.length)
    line.resume()
    await until('the whole body', () => line.got === MANY.length)
    t.ok(job.drains > drains)
    answer(line)
    t.match(await it.over(), { how: 'ended', status: bench.status })
    await it.assertOver(t)
  })
}

function interim(t: Tap, name: string, bench: AttemptBench): void {
  const informing = (count: number) => (line: AppLine) => {
    for (let i = 0; i < count; i += 1) line.inform()
    answer(line)
  }

  t.test(`${name}: 64 interim answers are passed on`, async t => {
    const it = await run(t, bench, informing(64))
    t.match(await it.over(), { how: 'ended', status: bench.status })
    t.equal(it.job.informs, 64)
    await it.assertOver(t)
  })

  t.test(`${name}: one more ends it`, async t => {
    const it = await run(t, bench, informing(65))
    const end = await it.over()
    t.match(end, { how: 'failed', code: 'UPSTREAM_BAD', kind: 'protocol', answered: false })
    t.match(end, { detail: 'too many interim responses' })
    t.equal(it.job.informs, 64)
    await it.assertOver(t)
  })
}

function exchanges(t: Tap, name: string, bench: AttemptBench): void {
  t.test(`${name}: an answer that its owner declines does not reach the job`, async t => {
    const serve = (line: AppLine) => {
      line.answer(HELLO.length, 503)
      line.send(HELLO)
      line.end()
    }
    const it = await run(t, bench, serve, { owner: { declinesErrors: true } })
    t.same(await it.over(), { how: 'declined', status: 503 })
    t.same(it.job.calls, ['declined'])
    t.equal(it.job.receivedBytes, 0)
    await it.assertOver(t)
  })

  for (const how of ['answers', 'goes', 'says nothing'] as const)
    t.test(`${name}: an abandoned request keeps its slot until the app ${how}`, async t => {
      const job = new ContractJob()
      // In the turn in which the request has arrived: so no timeout can be first.
      const leave = () => job.attempt?.cancel()
      const timeouts = how === 'says nothing' ? { responseMs: 300 } : {}
      const it = await run(t, bench, leave, {
        job,
        owner: { finishesAbandoned: true },
        timeouts,
      })
      const line = await until('the request', () => it.lines[0])
      t.type(job.record.sentAtMs, 'number')
      if (how !== 'says nothing') {
        t.same(it.owner.ends, [])
        leave()
        t.equal(it.abandoned(), 1, 'a second call does nothing')
      }
      if (how === 'answers') answer(line)
      if (how === 'goes') line.cut()
      t.match(await it.over(), { how: 'cancelled' })
      t.equal(it.abandonedSoFar(), 1)
      t.same(job.calls, ['cancelled'])
      await it.assertOver(t)
    })
}
