import t from 'tap'
import { type Closable, Descriptors } from '../lib/base/descriptors.ts'
import { isLocalError, localReason } from '../lib/base/local-error.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { afterProbe, type Health } from '../upstreams/health/health.ts'

const errorWith = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more })

t.test('what this machine has run out of is told from what an endpoint has done', async t => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL']) {
    t.ok(isLocalError(errorWith(code, { syscall: 'connect', port: 1 })), code)
    t.ok(isLocalError(new Error('wrapped', { cause: errorWith(code) })), `${code} inside`)
    t.match(localReason(errorWith(code)), /^this (process|machine) has no /)
  }
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOENT', 'EACCES', 'ENOTFOUND'])
    t.notOk(isLocalError(errorWith(code)), code)
  t.notOk(isLocalError(undefined))
  t.notOk(isLocalError('EMFILE'))
})

t.test('EAGAIN is a full backlog on a unix socket, and a want of ports elsewhere', async t => {
  t.notOk(isLocalError(errorWith('EAGAIN', { syscall: 'connect', address: '/run/app.sock' })))
  t.ok(isLocalError(errorWith('EAGAIN', { syscall: 'connect', address: '10.0.0.1', port: 80 })))
})

t.test('of several addresses one that has failed by itself is enough', async t => {
  const [none, refused] = [errorWith('EADDRNOTAVAIL'), errorWith('ECONNREFUSED')]
  t.notOk(isLocalError(Object.assign(new AggregateError([none, refused]), { code: 'EADDRNOTAVAIL' })))
  t.ok(isLocalError(new AggregateError([none, none])))
  t.notOk(isLocalError(new AggregateError([])))
})

t.test('a probe that could not be made changes nothing', async t => {
  const probe = { ok: false, reason: 'no descriptor', local: true } as const
  const all: Health[] = [
    { state: 'new', reason: undefined },
    { state: 'up', fails: 2 },
    { state: 'down', passes: 1, reason: 'refused' },
  ]
  for (const health of all) t.equal(afterProbe(health, probe, { rise: 2, fall: 3 }), health)
})

/** Two threads of one process. */
function accounts(clients: number, all: number) {
  const memory = createSharedState(2)
  const shared = new SharedState(memory)
  const [one, other] = [0, 1].map(
    thread => new Descriptors(new SharedState(memory), thread, { clients, all }),
  )
  return { shared, one: one as Descriptors, other: other as Descriptors }
}

t.test('all threads share one account, and clients leave some of it to what they ask for', async t => {
  const { shared, one, other } = accounts(2, 4)
  t.ok(one.takeForClient())
  t.ok(other.takeForClient())
  t.equal(one.free, 2)
  t.ok(one.takeFor(1))
  t.ok(other.takeFor(1))
  t.equal(one.free, 0)
  t.equal(shared.descriptors.taken, 4)
  other.give()
  t.equal(one.free, 1)
})

t.test('a connection with many requests leaves room to the others', async t => {
  const { one } = accounts(100, 100)
  let [first, second] = [0, 0]
  while (one.takeFor(first + 1)) first += 1
  t.ok(first > 15 && first <= 25, `${first} of 100`)
  while (one.takeFor(second + 1)) second += 1
  t.ok(second > 10 && second <= first, `${second} for the second`)
  for (let other = 0; other < 30; other += 1) t.ok(one.takeFor(1))
})

t.test('files of bodies never take more than half of what is free', async t => {
  const { one } = accounts(20, 20)
  let files = 0
  while (one.takeForBody(files)) files += 1
  t.equal(files, 10)
  t.ok(one.takeFor(1))
})

/** What a thread could close, and has closed. */
class Closables implements Closable {
  resting = 0
  idle = 0
  readonly closed: string[] = []
  readonly #of: Descriptors

  constructor(of: Descriptors) {
    this.#of = of
    of.closable = this
  }

  closeResting(): boolean {
    if (this.resting === 0) return false
    this.resting -= 1
    return this.#close('resting')
  }

  closeIdlest(): boolean {
    if (this.idle === 0) return false
    this.idle -= 1
    return this.#close('idle')
  }

  #close(what: string): true {
    this.closed.push(what)
    // The socket's close is told later.
    setImmediate(() => this.#of.give())
    return true
  }
}

const turn = () => new Promise(setImmediate)

t.test('what rests makes room first, then the client that has been idle longest', async t => {
  const { one } = accounts(2, 2)
  const closables = new Closables(one)
  t.ok(one.takeForClient() && one.takeForClient())
  Object.assign(closables, { resting: 1, idle: 2 })
  t.ok(one.takeForClient())
  await turn()
  t.ok(one.takeFor(1))
  t.same(closables.closed, ['resting', 'idle'])
})

t.test('no client is sent away for what another wants in addition, nor for a body', async t => {
  const { one } = accounts(2, 2)
  const closables = new Closables(one)
  t.ok(one.takeForClient() && one.takeForClient())
  closables.idle = 2
  t.notOk(one.takeFor(2))
  t.notOk(one.takeForBody(0))
  closables.resting = 2
  t.ok(one.takeFor(2))
  await turn()
  t.ok(one.takeForBody(0))
  t.same(closables.closed, ['resting', 'resting'])
})

t.test('a thread without idle clients takes a few on credit, and the others close theirs', async t => {
  const { shared, one, other } = accounts(2, 2)
  const closables = new Closables(other)
  t.ok(other.takeForClient() && other.takeForClient())
  closables.idle = 2
  let credit = 0
  while (one.takeForClient()) credit += 1
  t.ok(credit > 0 && credit < 10, `${credit} on credit`)
  const newcomers = new Closables(one)
  newcomers.idle = credit
  one.look()
  t.same(newcomers.closed, [], 'not at the expense of those that were just let in')
  other.look()
  await turn()
  t.same(closables.closed, ['idle', 'idle'])
  t.equal(shared.descriptors.taken, credit)
  closables.idle = 2
  other.look()
  t.equal(closables.closed.length, 2, 'once for each want')
})

t.test('the other threads close no more than there is need for', async t => {
  const { shared, one, other } = accounts(3, 3)
  for (let n = 0; n < 3; n += 1) t.ok(one.takeForClient())
  t.ok(one.takeForClient(), 'on credit')
  one.give()
  const closables = new Closables(other)
  closables.idle = 3
  other.look()
  t.same(closables.closed, [], 'somebody else was quicker')
  t.equal(shared.descriptors.taken, 3)
})

t.test('a want of the system itself costs no client its connection', async t => {
  const { one, other } = accounts(9, 9)
  const [near, far] = [new Closables(one), new Closables(other)]
  for (const closables of [near, far]) Object.assign(closables, { resting: 1, idle: 1 })
  one.ranShort()
  other.look()
  other.look()
  t.same([near.closed, far.closed], [['resting'], ['resting']])
})

t.test('what a dead thread had taken is given back', async t => {
  const { shared, one, other } = accounts(10, 10)
  for (let n = 0; n < 5; n += 1) one.takeForClient()
  other.takeForClient()
  shared.releaseAllOf(0)
  t.equal(shared.descriptors.taken, 1)
  shared.releaseAllOf(0)
  t.equal(shared.descriptors.taken, 1)
})
