import t from 'tap'
import { HostLookup } from '../upstreams/transport/host-lookup.ts'
import { FakeClock } from './support/fake-clock.ts'

type Done = ConstructorParameters<typeof HostLookup>[1] extends infer R | undefined
  ? R extends (hostname: string, done: infer D) => void
    ? D
    : never
  : never

/** A name server that answers when the test says so. */
function bench() {
  const clock = new FakeClock()
  const asked: Done[] = []
  const names = new HostLookup(clock, (_, done) => asked.push(done))
  const find = async () =>
    new Promise<string>(found =>
      names.lookup('app', { all: true }, (error, addresses) =>
        found(error === null ? JSON.stringify(addresses) : `${error.code}`),
      ),
    )
  const answer = (address: string) => asked.shift()?.(null, [{ address, family: 4 }])
  const fail = (code: string) => asked.shift()?.(Object.assign(new Error(code), { code }), [])
  return { clock, asked, names, find, answer, fail }
}

t.test('one lookup serves all connects that wait for it, and those of the next seconds', async t => {
  const { asked, find, answer } = bench()
  const connects = Promise.all([find(), find(), find()])
  t.equal(asked.length, 1)
  answer('10.0.0.1')
  for (const found of [...(await connects), await find()]) t.match(found, '10.0.0.1')
  t.equal(asked.length, 0)
})

t.test('later it asks again, and nobody waits for that', async t => {
  const { clock, asked, find, answer } = bench()
  const first = find()
  answer('10.0.0.1')
  await first
  clock.pass(5_000)
  t.match(await find(), '10.0.0.1')
  t.equal(asked.length, 1)
  answer('10.0.0.2')
  t.match(await find(), '10.0.0.2')
})

t.test('after a failed connect it waits for what the name stands for now', async t => {
  const { clock, asked, names, find, answer } = bench()
  const first = find()
  answer('10.0.0.1')
  await first
  names.doubt()
  t.match(await find(), '10.0.0.1', 'not at once again')
  t.equal(asked.length, 0)
  clock.pass(1_000)
  const second = find()
  answer('10.0.0.2')
  t.match(await second, '10.0.0.2')
})

t.test('while the name server is down the last good addresses stand', async t => {
  const { clock, names, find, answer, fail } = bench()
  const first = find()
  answer('10.0.0.1')
  await first
  clock.pass(5_000)
  names.doubt()
  const second = find()
  fail('EAI_AGAIN')
  t.match(await second, '10.0.0.1')
})

t.test('a name that is not found fails at once for a second, then is asked for again', async t => {
  const { clock, asked, find, answer, fail } = bench()
  const first = find()
  fail('ENOTFOUND')
  t.equal(await first, 'ENOTFOUND')
  t.equal(await find(), 'ENOTFOUND')
  t.equal(asked.length, 0)
  clock.pass(1_000)
  const second = find()
  answer('10.0.0.1')
  t.match(await second, '10.0.0.1')
})

t.test('a name without any address is an error, and a caller may want one address only', async t => {
  const { asked, names, find, answer } = bench()
  const none = find()
  asked.shift()?.(null, [])
  t.equal(await none, 'ENOTFOUND')
  const { names: other, answer: answerOther } = bench()
  const one = new Promise(found =>
    other.lookup('app', {}, (error, address, family) => found({ error, address, family })),
  )
  answerOther('10.0.0.1')
  t.same(await one, { error: null, address: '10.0.0.1', family: 4 })
  t.ok(names)
  t.equal(answer('x'), undefined)
})
