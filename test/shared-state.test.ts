import t from 'tap'
import { CellColumn, CellReader, createCellMemory, RowAllocator } from '../lib/base/cells.ts'
import { CHOOSY, createSharedState, SharedState, STATE } from '../lib/base/shared-state.ts'
import { isTurnBefore, turnOf } from '../lib/base/turn.ts'

t.test('slots are counted over all threads', async t => {
  const memory = createSharedState(2)
  const one = new SharedState(memory)
  const two = new SharedState(memory)
  t.ok(one.acquire(7, 0, 2))
  t.ok(two.acquire(7, 1, 2))
  t.notOk(one.acquire(7, 0, 2), 'full')
  t.equal(two.inflight(7), 2)
  one.release(7, 0)
  t.ok(two.acquire(7, 1, 2))
  t.equal(one.inflight(8), 0, 'another endpoint has its own')
})

t.test('what a dead thread held comes free, and only that', async t => {
  const memory = createSharedState(2)
  const shared = new SharedState(memory)
  shared.acquire(3, 0, 0)
  shared.acquire(3, 1, 0)
  shared.acquire(3, 1, 0)
  shared.releaseAllOf(1)
  t.equal(shared.inflight(3), 1)
})

t.test('a state change is seen once by whoever made it, and by its version', async t => {
  const shared = new SharedState(createSharedState(1))
  const before = shared.version(5)
  t.ok(shared.setState(9, STATE.down, true))
  t.notOk(shared.setState(9, STATE.down, true), 'no change')
  t.ok(shared.setState(9, STATE.ejected, true))
  t.equal(shared.state(9), STATE.down | STATE.ejected)
  t.ok(shared.setState(9, STATE.down, false))
  t.equal(shared.state(9), STATE.ejected)
  shared.changed(5)
  t.not(shared.version(5), before)
})

t.test('a waiter is woken by a release that comes after it took its ticket', async t => {
  const shared = new SharedState(createSharedState(1))
  shared.addWaiting(2, 0, 1)
  shared.setTurn(2, 0, turnOf(1, 5), 5)
  shared.countLook(2, 0)
  const ticket = shared.wakeTicket(2, 0)
  const woken = shared.waitForWake(2, 0, ticket, 10_000)
  shared.wakeNext(2)
  await woken
  await shared.waitForWake(2, 0, ticket, 10_000)
  t.pass('and one that came before it waited is not missed')
})

t.test('of two turns the more urgent comes first, then the older one, or the newer', async t => {
  const before = (one: number, other: number) =>
    [false, true].map(newestFirst => isTurnBefore(one, other, newestFirst))
  t.same(before(turnOf(0, 900), turnOf(1, 5)), [true, true], 'the lane decides')
  t.same(before(turnOf(1, 5), turnOf(1, 900)), [true, false])
  t.same(before(turnOf(1, 5.1), turnOf(1, 5.9)), [false, false], 'of one millisecond: equals')
  t.same(before(turnOf(2, 2 ** 28 - 1), turnOf(2, 2 ** 28 + 1)), [true, false], 'the time may wrap')
  t.ok(turnOf(0, 0) > 0, 'none is nobody')
})

t.test('the thread whose turn it is gets the wake, and those that wait for certain endpoints', async t => {
  const shared = new SharedState(createSharedState(4))
  for (const thread of [0, 1, 2, 3]) {
    shared.addWaiting(0, thread, 1)
    shared.countLook(0, thread)
  }
  shared.setTurn(0, 0, turnOf(1, 700), 700)
  shared.setTurn(0, 1, turnOf(1, 400), 300)
  shared.setTurn(0, 2, CHOOSY, 600)
  const tickets = () => [0, 1, 2, 3].map(thread => shared.wakeTicket(0, thread))
  shared.wakeNext(0)
  t.same(tickets(), [0, 1, 1, 0])
  t.equal(shared.nextThread(0), 1)
  t.equal(shared.nextThread(0, 1), 0, 'of the others')
  t.equal(shared.longestWaitMs(0, 1_000), 700)
  shared.setOverdue(0, 1, 1)
  t.equal(shared.nextThread(0), 0, 'one that does not come is passed over')
  shared.countLook(0, 1)
  t.equal(shared.nextThread(0), 1, 'until it looks again')
  shared.setNewestFirst(0, true)
  t.equal(shared.nextThread(0), 0)
  shared.releaseAllOf(1)
  shared.releaseAllOf(0)
  t.equal(shared.nextThread(0), undefined, 'a dead thread has no turn')
  t.equal(shared.longestWaitMs(0, 1_000), 400)
})

t.test('a counter is the sum of its columns and survives its writer', async t => {
  const memory = createCellMemory(2, 1024)
  const rows = new RowAllocator(1024)
  const row = rows.rowOf('a', 1) as number
  new CellColumn(memory, 0).add(row, 2)
  new CellColumn(memory, 1).add(row, 3)
  new CellColumn(memory, 1).add(row, 4)
  t.equal(new CellReader(memory).total(row), 9)
  t.equal(rows.rowOf('a', 1), row, 'a name keeps its rows')
  t.equal(rows.rowOf('big', 4096), undefined, 'and rows can run out')
})
