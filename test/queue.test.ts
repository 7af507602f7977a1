import t from 'tap'
import { Timers } from '../lib/base/timers.ts'
import { Queue } from '../upstreams/queue.ts'
import { FakeClock } from './support/fake-clock.ts'

function bench(timeoutMs: number) {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const late: string[] = []
  const queue = new Queue<string>({ clock, timers, timeoutMs, timedOut: item => late.push(item) })
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      clock.pass(10)
      timers.advance()
    }
  }
  return { queue, late, pass }
}

t.test('first come, first served, and it knows how long each waited', async t => {
  const { queue, pass } = bench(10_000)
  queue.push('a')
  pass(100)
  queue.push('b')
  pass(50)
  t.equal(queue.peek(), 'a')
  t.equal(queue.shift(), 150)
  t.equal(queue.peek(), 'b')
  t.equal(queue.shift(), 50)
  t.equal(queue.size, 0)
})

t.test('each waits for at most the same time', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('a')
  pass(600)
  queue.push('b')
  pass(500)
  t.same(late, ['a'])
  pass(600)
  t.same(late, ['a', 'b'])
  t.equal(queue.size, 0)
})

t.test('one whose client has gone is taken out, and is not timed out later', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('a')
  queue.push('b')
  t.ok(queue.remove('a'))
  t.notOk(queue.remove('a'))
  pass(2_000)
  t.same(late, ['b'])
})
