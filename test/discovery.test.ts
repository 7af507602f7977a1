import t from 'tap'
import { Timers } from '../lib/base/timers.ts'
import { parseEndpointAddress } from '../lib/config/address.ts'
import type { NamedEndpoints } from '../lib/config/model.ts'
import {
  type Family,
  type Found,
  ofFamily,
  type Service,
  settled,
  usable,
} from '../upstreams/discovery/found.ts'
import { type Lookups, ServerLookups, SystemLookups } from '../upstreams/discovery/lookups.ts'
import { NameWatch } from '../upstreams/discovery/name-watch.ts'
import { NameWatches } from '../upstreams/discovery/name-watches.ts'
import { AddressNumbers } from '../upstreams/discovery/numbers.ts'
import { FakeClock } from './support/fake-clock.ts'
import { NameServer } from './support/name-server.ts'

function named(text: string): NamedEndpoints {
  const reading = parseEndpointAddress(text)
  if (!('value' in reading)) throw new Error(reading.fault)
  const { address, protocol } = reading.value
  if (address.kind === 'unix') throw new Error('not a name')
  const lookup =
    address.kind === 'srv' ? address : ({ kind: 'host', host: address.host, port: address.port } as const)
  return { name: text, lookup, protocol, weight: 1, backup: false }
}

function found(host: string, port = 8000): Found {
  return { host, port, weight: 1, backup: false, target: `app:${port}` }
}

const hosts = (list: readonly Found[]) => list.map(({ host }) => host)

t.test('which addresses of a name count', async t => {
  t.same(ofFamily(['1'], ['a'], 'auto'), ['1'], 'a host with both is one endpoint')
  t.same(ofFamily([], ['a'], 'auto'), ['a'])
  t.same(ofFamily(['1'], ['a'], 'ipv4'), ['1'])
  t.same(ofFamily(['1'], ['a'], 'ipv6'), ['a'])
  t.same(ofFamily(['1'], ['a'], 'both'), ['1', 'a'])
})

t.test('answers whose order turns, or that repeat an address, are one and the same', async t => {
  const one = settled([found('10.0.0.10'), found('10.0.0.2'), found('10.0.0.10')])
  t.same(hosts(one), ['10.0.0.2', '10.0.0.10'])
  t.same(settled([found('10.0.0.2'), found('10.0.0.10')]), one)
})

t.test(
  'SRV records: lowest priority first, the others as backup, weights from 1 to 1000 (RFC 2782)',
  async t => {
    const service = (name: string, priority: number, weight: number): Service => ({
      name,
      port: 1,
      priority,
      weight,
    })
    t.same(
      usable([
        service('a', 10, 0),
        service('b', 10, 60_000),
        service('c', 20, 30_000),
        service('.', 0, 0),
      ]).map(({ service: { name }, weight, backup }) => [name, weight, backup]),
      [
        ['a', 1, false],
        ['b', 1000, false],
        ['c', 500, true],
      ],
    )
    t.same(usable([service('.', 0, 0)]), [], 'the service does not exist')
  },
)

t.test('an address keeps its number while it is there, a new one takes the lowest free', async t => {
  const numbers = new AddressNumbers()
  const take = (...addresses: string[]) => {
    numbers.take(addresses)
    return addresses.map(address => numbers.of(address))
  }
  t.same(take('a'), [1])
  t.same(take('a', 'b', 'c'), [1, 2, 3], 'scaled up')
  t.same(take('c'), [3], 'scaled down')
  t.same(take('c', 'd', 'e'), [3, 1, 2])
  t.same(take('x'), [1], 'made anew')
  for (let round = 0; round < 100; round += 1) t.same(take(`y${round}`, `z${round}`), [1, 2])
})

t.test('name servers are asked for every address, whatever the TTL says', async t => {
  const server = await NameServer.start(t)
  const lookups = new ServerLookups([server.address])
  const find = (text: string, family: Family = 'auto', before: readonly Found[] = []) =>
    lookups.find(named(text), family, before)
  server.set('app.test', '127.0.0.3', '127.0.0.2', 'fd00::1')
  t.same(hosts(await find('app.test:8000')), ['127.0.0.2', '127.0.0.3'])
  t.same(hosts(await find('app.test:8000', 'ipv6')), ['fd00::1'])
  t.same(hosts(await find('app.test:8000', 'both')), ['127.0.0.2', '127.0.0.3', 'fd00::1'])
  t.match((await find('app.test:8000'))[0], { port: 8000, weight: 1, backup: false, target: 'app.test:8000' })
  server.set('app.test', '127.0.0.4')
  t.same(hosts(await find('app.test:8000')), ['127.0.0.4'], 'nothing is kept for the day that the TTL allows')
  server.set('app.test', 'fd00::2')
  t.same(hosts(await find('app.test:8000')), ['fd00::2'])
  server.set('app.test')
  t.same(await find('app.test:8000'), [])
  server.remove('app.test')
  t.same(await find('app.test:8000'), [])
  server.breakName('app.test', 'failing')
  await t.rejects(find('app.test:8000'), { code: 'ESERVFAIL' })
})

t.test(
  'a name server that is silent does not hold a lookup for ever, and the next one is asked then',
  async t => {
    const silent = await NameServer.start(t)
    const server = await NameServer.start(t)
    silent.breakName('app.test', 'silent')
    server.set('app.test', '127.0.0.2')
    await t.rejects(new ServerLookups([silent.address]).find(named('app.test:1'), 'ipv4', []), {
      code: 'ETIMEOUT',
    })
    const both = new ServerLookups([silent.address, server.address])
    t.same(hosts(await both.find(named('app.test:1'), 'ipv4', [])), ['127.0.0.2'])
  },
)

t.test('a name server that fails goes to the end of the list', async t => {
  const failing = await NameServer.start(t)
  const server = await NameServer.start(t)
  failing.breakName('app.test', 'failing')
  server.set('app.test', '127.0.0.2')
  const lookups = new ServerLookups([failing.address, server.address])
  const find = () => lookups.find(named('app.test:1'), 'ipv4', [])
  const answer = await find().catch(find)
  t.same(hosts(answer), ['127.0.0.2'])
  const asked = failing.asked('app.test')
  await find()
  t.equal(failing.asked('app.test'), asked)
})

t.test('SRV targets are looked up in turn; one that cannot be keeps what it had', async t => {
  const server = await NameServer.start(t)
  const lookups = new ServerLookups([server.address])
  const service = named('srv://_http._tcp.app.test')
  server.setServices(
    '_http._tcp.app.test',
    { target: 'one.test', port: 8001, priority: 1, weight: 3 },
    { target: 'two.test', port: 8002, priority: 2, weight: 5 },
  )
  server.set('one.test', '127.0.0.1', '127.0.0.2')
  server.set('two.test', '127.0.0.1')
  const all = await lookups.find(service, 'auto', [])
  t.same(
    all.map(({ host, port, weight, backup, target }) => [`${host}:${port}`, weight, backup, target]),
    [
      ['127.0.0.1:8001', 3, false, 'one.test:8001'],
      ['127.0.0.1:8002', 5, true, 'two.test:8002'],
      ['127.0.0.2:8001', 3, false, 'one.test:8001'],
    ],
  )
  server.breakName('one.test', 'failing')
  t.same(await lookups.find(service, 'auto', all), all)
  server.remove('_http._tcp.app.test')
  t.same(await lookups.find(service, 'auto', all), [])
  server.breakName('_http._tcp.app.test', 'failing')
  await t.rejects(lookups.find(service, 'auto', all), { code: 'ESERVFAIL' })
})

t.test('without name servers of its own the system is asked, /etc/hosts and all', async t => {
  const lookups = new SystemLookups()
  t.same(hosts(await lookups.find(named('localhost:1'), 'ipv4', [])), ['127.0.0.1'])
  await t.rejects(lookups.find(named('no-such-name.invalid:1'), 'auto', []))
})

/** Answers when the test says so. */
class HeldLookups implements Lookups {
  readonly waiting: PromiseWithResolvers<readonly Found[]>[] = []
  asked = 0

  find(): Promise<readonly Found[]> {
    this.asked += 1
    const answer = Promise.withResolvers<readonly Found[]>()
    this.waiting.push(answer)
    return answer.promise
  }

  async answer(...list: readonly string[]): Promise<void> {
    this.waiting.shift()?.resolve(settled(list.map(host => found(host))))
    await settle()
  }

  async fail(code: string): Promise<void> {
    this.waiting.shift()?.reject(Object.assign(new Error(code), { code }))
    await settle()
  }
}

/** Lets promises that are due run. */
const settle = () => new Promise<void>(resolve => setImmediate(resolve))

function makeWatch({ intervalMs = 5000, random = 0.5 } = {}) {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const lookups = new HeldLookups()
  const events: string[] = []
  const parts = {
    clock,
    timers,
    random: () => random,
    observer: {
      changed: (_upstream: string, name: string, added: readonly string[], removed: readonly string[]) => {
        events.push(`${name} +${added.join(',')} -${removed.join(',')}`)
      },
      troubled: (_upstream: string, _name: string, problem: string | undefined) => {
        events.push(problem ?? 'fine')
      },
    },
  }
  const wanted = {
    upstream: 'app',
    named: named('app:8000'),
    discovery: { intervalMs, family: 'auto' },
  } as const
  const pass = (ms: number) => {
    clock.pass(ms)
    timers.advance()
  }
  return { watch: new NameWatch(wanted, lookups, parts), wanted, lookups, events, pass, parts }
}

t.test('a name is asked for again after its interval, and a change is told once', async t => {
  const { watch, lookups, events, pass } = makeWatch()
  t.equal(lookups.asked, 1, 'at once')
  await lookups.answer('10.0.0.1')
  await watch.first
  pass(4900)
  t.equal(lookups.asked, 1)
  pass(150)
  t.equal(lookups.asked, 2)
  await lookups.answer('10.0.0.1')
  pass(5050)
  await lookups.answer('10.0.0.2', '10.0.0.1')
  pass(5050)
  await lookups.answer('10.0.0.1', '10.0.0.2')
  t.same(events, ['app:8000 +10.0.0.1:8000 -', 'app:8000 +10.0.0.2:8000 -'])
  t.same(
    watch.members.map(({ name }) => name),
    ['app:8000', 'app:8000/2'],
  )
})

t.test(
  'the last good answer goes on through failures, silence and empty answers; each trouble is told once',
  async t => {
    const { watch, lookups, events, pass } = makeWatch()
    await lookups.answer('10.0.0.1')
    events.length = 0
    pass(5050)
    await lookups.fail('ESERVFAIL')
    pass(5050)
    pass(5050)
    t.equal(lookups.asked, 3, 'one lookup at a time, however long it takes')
    await lookups.fail('ETIMEOUT')
    pass(5050)
    await lookups.answer()
    t.same(hosts(watch.found), ['10.0.0.1'])
    t.same(events, ['the name server failed'])
    t.equal(watch.problem, 'the name has no address')
    pass(5050)
    await lookups.answer('10.0.0.1')
    t.same(events, ['the name server failed', 'fine'])
    pass(5050)
    pass(5050)
    t.same(events.at(-1), 'no response within 5 s')
  },
)

t.test('a name that nobody knows yet is asked for every half to whole second', async t => {
  for (const [random, afterMs] of [
    [0, 500],
    [0.999, 1000],
  ] as const) {
    const { watch, lookups, pass } = makeWatch({ intervalMs: 3_600_000, random })
    await lookups.fail('ENOTFOUND')
    await watch.first
    for (let round = 2; round < 10; round += 1) {
      pass(afterMs - 100)
      t.equal(lookups.asked, round - 1)
      pass(150)
      t.equal(lookups.asked, round)
      await lookups.fail('ENOTFOUND')
    }
    pass(afterMs + 50)
    await lookups.answer('10.0.0.1')
    pass(60_000)
    t.equal(lookups.asked, 10)
  }
})

t.test('a doubt asks at once, then each second for half a minute, and never more often', async t => {
  const { watch, lookups, pass } = makeWatch({ intervalMs: 3_600_000 })
  await lookups.answer('10.0.0.1')
  pass(10_000)
  for (let i = 0; i < 100; i += 1) watch.doubt()
  pass(50)
  t.equal(lookups.asked, 2)
  await lookups.answer('10.0.0.1')
  watch.doubt()
  pass(900)
  t.equal(lookups.asked, 2)
  for (let second = 0; second < 60; second += 1) {
    pass(1050)
    await lookups.answer('10.0.0.1')
  }
  t.ok(lookups.asked > 28 && lookups.asked < 34, `${lookups.asked}`)
})

t.test('a doubt while a lookup runs begins no second one', async t => {
  const { watch, lookups, pass } = makeWatch()
  pass(2000)
  watch.doubt()
  pass(2000)
  t.equal(lookups.asked, 1)
})

t.test('a reload that changes what is asked for asks at once; any other does not', async t => {
  const { watch, wanted, lookups, pass, parts } = makeWatch()
  await lookups.answer('10.0.0.1')
  watch.configure({ ...wanted, discovery: { intervalMs: 60_000, family: 'auto' } }, lookups)
  pass(6000)
  t.equal(lookups.asked, 1)
  watch.configure({ ...wanted, discovery: { intervalMs: 60_000, family: 'ipv6' } }, lookups)
  t.equal(lookups.asked, 2)
  const others = new HeldLookups()
  watch.configure({ ...wanted, discovery: { intervalMs: 60_000, family: 'ipv6' } }, others)
  t.equal(others.asked, 0, 'not while one runs')
  await lookups.answer('10.0.0.1')
  t.equal(others.asked, 1)
  watch.stop()
  await others.answer('10.0.0.9')
  t.same(hosts(watch.found), ['10.0.0.1'], 'what comes after the end counts no more')
  const watches = new NameWatches(parts)
  const added = watches.add([wanted], others)
  const same = watches.of('app', 'app:8000')
  watches.keep([wanted], others)
  t.equal(watches.of('app', 'app:8000'), same)
  watches.keep([], others)
  await added
  t.equal(watches.of('app', 'app:8000'), undefined)
  watches.stop()
})
