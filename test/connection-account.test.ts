import t from 'tap'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { within } from './support/until.ts'

/** Two threads' views of the account of one process. */
function views() {
  const memory = createSharedState(2)
  return [new SharedState(memory), new SharedState(memory)] as const
}

t.test('connections are counted over all threads, and with a bound there are never more', async t => {
  const [one, two] = views()
  t.ok(one.connections.take(5, 0, 2))
  t.ok(two.connections.take(5, 1, 2))
  t.notOk(one.connections.take(5, 0, 2))
  t.equal(one.connections.open(5), 2, 'one that is refused is not counted')
  t.ok(one.connections.take(6, 0, 2), 'another endpoint')
  t.ok(one.connections.take(5, 0, 0), 'without a bound')
  t.equal(two.connections.open(5), 3)
  t.notOk(two.connections.take(5, 1, 2), 'a bound that came later')
  one.connections.give(5, 0)
  one.connections.give(5, 0)
  t.ok(two.connections.take(5, 1, 2))
})

t.test('what a dead thread had open is open no more, and who waits is woken', async t => {
  const [one, two] = views()
  one.connections.take(5, 0, 0)
  two.connections.take(5, 1, 0)
  two.connections.take(9, 1, 0)
  one.addWaiting(3, 0, 1)
  one.setTurn(3, 0, 1, 0)
  const woken = one.waitForWake(3, 0, one.wakeTicket(3, 0), 3_600_000)
  one.releaseAllOf(1)
  t.equal(one.connections.open(5), 1)
  t.equal(one.connections.open(9), 0)
  await within('the wake', woken)
})

t.test('a wanted connection is given up once, by a thread that has one', async t => {
  const [one, two] = views()
  t.notOk(two.connections.takeWanted(5), 'none is wanted')
  two.connections.take(5, 1, 1)
  const asked = two.connections.untilAsked(5, 1, two.connections.ticket(5, 1))
  const own = one.connections.ticket(5, 0)
  one.connections.want(5, 0)
  await within('the question', asked)
  t.equal(one.connections.ticket(5, 0), own, 'a thread without any is not asked')
  t.ok(two.connections.takeWanted(5))
  t.notOk(two.connections.takeWanted(5), 'once')
})

t.test('a question that comes before the wait is not missed', async t => {
  const [one, two] = views()
  two.connections.take(5, 1, 1)
  const ticket = two.connections.ticket(5, 1)
  one.connections.want(5, 0)
  t.not(two.connections.ticket(5, 1), ticket)
  await within('no wait', two.connections.untilAsked(5, 1, ticket))
})

t.test('an index that passes to another address takes no wish along', async t => {
  const [one] = views()
  one.connections.want(5, 0)
  one.forget(5)
  t.notOk(one.connections.takeWanted(5))
})
