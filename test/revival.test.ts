import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { STATE } from '../lib/base/shared-state.ts'
import { reviveAfterMs } from '../lib/server/health/revival.ts'
import { full, HealthBench } from './support/health-bench.ts'
import { until } from './support/until.ts'
import { PASSIVE } from './support/upstream-world.ts'

// Endpoints that refuse connects.

/** A port that nobody listens on; `open` changes that. */
const closedPort = async (t: Test) => {
  const server = await listening(0)
  const { port } = server.address() as { port: number }
  await new Promise(done => server.close(done))
  const open = async () => {
    const again = await listening(port)
    t.teardown(() => again.close())
  }
  return { port, open }
}
const moves = async (bench: HealthBench, what: string, test: () => boolean) => {
  await until(what, () => {
    bench.pass(50)
    return test()
  })
}

t.test('an endpoint that refuses is out until a connect gets through', async t => {
  const bench = new HealthBench(t)
  const { port, open } = await closedPort(t)
  bench.place([port, 2], { slowStartMs: 1000 })
  bench.mark(0, STATE.unreachable)
  bench.board.unreachable('app', full(port), 'connect refused')
  bench.board.unreachable('app', full(port), 'connect refused')
  t.match(bench.status, [{ state: 'down', reason: 'connect refused' }, { state: 'up' }])
  t.same(bench.hastened, [String(port)], 'checks look at it, too')
  for (let n = 0; n < 20; n += 1) {
    bench.pass(1200)
    await new Promise(setImmediate)
  }
  t.equal(bench.state(0), STATE.unreachable)
  await open()
  await moves(bench, 'the endpoint to be reachable', () => bench.state(0) === 0)
  t.match(bench.status, [{ state: 'up', reason: undefined }, {}])
  t.ok(bench.shared.ramp(0) < 100, 'slowly')
  t.same(bench.events, [
    `warn endpoint unreachable ${port}: connect refused`,
    `info endpoint reachable ${port}`,
  ])
  t.same(bench.changes(port), { down: 1, up: 1 })
})

t.test('an endpoint that cannot be reached says why as of the last connect', async t => {
  const bench = new HealthBench(t)
  const { port } = await closedPort(t)
  bench.place([port])
  bench.mark(0, STATE.unreachable)
  bench.board.unreachable('app', full(port), 'no connection within 1s')
  t.equal(bench.status[0]?.reason, 'no connection within 1s')
  await moves(bench, 'another reason', () => bench.status[0]?.reason === 'connect refused')
})

t.test('a check that passes proves that it can be reached', async t => {
  const bench = new HealthBench(t)
  const { port } = await closedPort(t)
  bench.place([port])
  bench.mark(0, STATE.unreachable)
  bench.board.unreachable('app', full(port), 'timeout')
  bench.board.checked('app', full(port), { ok: false, reason: 'timeout' }, 5)
  t.equal(bench.state(0), STATE.unreachable)
  bench.board.checked('app', full(port), { ok: true }, 5)
  t.equal(bench.state(0), 0)
  bench.board.unreachable('app', full(port), 'late news')
  t.equal(bench.status[0]?.reason, undefined)
  bench.mark(0, STATE.unreachable)
  bench.board.checked('app', full(port), { ok: true }, 5)
  t.equal(bench.state(0), 0, 'even before anybody has said that it cannot')
})

t.test('down in two ways is down once', async t => {
  const bench = new HealthBench(t)
  const { port } = await closedPort(t)
  bench.place([port])
  bench.mark(0, STATE.unreachable)
  bench.board.unreachable('app', full(port), 'connect refused')
  bench.board.checkFlipped('app', full(port), 'status 500')
  t.match(bench.status, [{ state: 'down', reason: 'status 500' }])
  bench.board.checked('app', full(port), { ok: true }, 5)
  bench.board.checkFlipped('app', full(port), undefined)
  t.equal(bench.state(0), 0)
  t.same(bench.changes(port), { down: 1, up: 1 })
})

t.test('marks of a thread that died are taken up', async t => {
  const bench = new HealthBench(t)
  const { port, open } = await closedPort(t)
  await open()
  bench.place([port, 2], { passive: { ...PASSIVE, ejectMs: 1000 } })
  bench.mark(0, STATE.unreachable)
  bench.mark(1, STATE.ejected)
  bench.board.adoptMarks()
  bench.board.adoptMarks()
  t.match(bench.status, [
    { state: 'down', reason: 'connects are failing' },
    { state: 'ejected', reason: 'failures in traffic' },
  ])
  t.equal(bench.events.length, 2, 'once')
  await moves(bench, 'both to be back', () => bench.state(0) === 0 && bench.state(1) === 0)
})

t.test('an endpoint that leaves is not connected to any more, and comes back without a mark', async t => {
  const bench = new HealthBench(t)
  const { port, open } = await closedPort(t)
  bench.place([port, 2])
  bench.mark(0, STATE.unreachable)
  bench.board.unreachable('app', full(port), 'connect refused')
  bench.place([2])
  await open()
  for (let n = 0; n < 20; n += 1) {
    bench.pass(1200)
    await new Promise(setImmediate)
  }
  t.equal(bench.events.length, 1)
  bench.place([port, 2])
  t.match(bench.status, [{ state: 'up' }, { state: 'up' }])
})

t.test('one that can be reached and refuses again, in turns, is tried less and less often', async t => {
  const bench = new HealthBench(t)
  let connects = 0
  const server = await listening(0)
  server.on('connection', () => {
    connects += 1
  })
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  bench.place([port, 2])
  const refuse = () => {
    bench.mark(0, STATE.unreachable)
    bench.board.unreachable('app', full(port), 'timeout')
  }
  for (let n = 0; n < 4; n += 1) {
    refuse()
    await moves(bench, 'the endpoint to be reachable', () => bench.state(0) === 0)
  }
  refuse()
  const before = connects
  bench.pass(750)
  for (let n = 0; n < 20; n += 1) await new Promise(setImmediate)
  t.equal(connects, before, 'the fifth time after 800 ms')
  await moves(bench, 'the endpoint to be reachable', () => bench.state(0) === 0)
  bench.pass(10_000)
  refuse()
  bench.pass(50)
  await until('a connect', () => connects === before + 2)
  t.equal(connects, before + 2, 'after ten good seconds it is new again')
})

t.test('connects come at growing distances, at shorter ones while requests wait', async t => {
  const after = (sinceMs: number, held: boolean) =>
    [0, 1, 2, 3, 4, 5, 100].map(failures => reviveAfterMs(failures, sinceMs, held))
  t.same(after(0, false), [50, 100, 200, 400, 800, 1000, 1000])
  t.same(after(59_999, true), [50, 100, 200, 250, 250, 250, 250])
  t.same(after(60_000, true), [50, 100, 200, 400, 800, 1000, 1000])
})

async function listening(port: number): Promise<Server> {
  const server = createServer(socket => socket.on('error', () => {}))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
