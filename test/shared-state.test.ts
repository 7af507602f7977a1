import t from 'tap'
import { CellColumn, CellReader, createCellMemory, RowAllocator } from '../lib/base/cells.ts'
import { createSharedState, SharedState, STATE } from '../lib/base/shared-state.ts'

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
  const ticket = shared.wakeTicket(2)
  const woken = shared.waitForWake(2, ticket, 10_000)
  shared.wakeOne(2)
  await woken
  await shared.waitForWake(2, ticket, 10_000)
  t.pass('and one that came before it waited is not missed')
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
