import t from 'tap'
import { Timers } from '../lib/base/timers.ts'
import { Queue } from '../upstreams/queue.ts'
import { FakeClock } from './support/fake-clock.ts'

function bench(timeoutMs: number) {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const late: string[] = []
  const queue = new Queue<string>({ clock, timers, timeoutMs, timedOut: ({ item }) => late.push(item) })
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
  t.equal(queue.peek('oldest')?.item, 'a')
  t.equal(queue.take('a'), 150)
  t.equal(queue.peek('oldest')?.item, 'b')
  t.equal(queue.take('b'), 50)
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
  t.type(queue.take('a'), 'number')
  t.equal(queue.take('a'), undefined)
  pass(2_000)
  t.same(late, ['b'])
})

t.test('the most urgent goes first, whenever it came', async t => {
  const { queue, pass } = bench(10_000)
  queue.push('low', 'low')
  pass(50)
  queue.push('normal')
  pass(50)
  queue.push('high', 'high')
  const order: (string | undefined)[] = []
  for (let item = queue.peek('oldest')?.item; item !== undefined; item = queue.peek('oldest')?.item) {
    order.push(item)
    queue.take(item)
  }
  t.same(order, ['high', 'normal', 'low'])
})

t.test('it shows those behind the next one in the order of their turns', async t => {
  const { queue, pass } = bench(1_000)
  queue.push('low', 'low')
  pass(10)
  queue.push('a')
  queue.push('b')
  const order = (first: 'oldest' | 'newest') =>
    [0, 1, 2, 3].map(turnsLater => queue.peek(first, turnsLater)?.item)
  t.same(order('oldest'), ['a', 'b', 'low', undefined])
  t.same(order('newest'), ['b', 'a', 'low', undefined], 'lanes stay lanes')
  pass(10)
  queue.push('high', 'high')
  t.equal(queue.oldest()?.item, 'low', 'whatever its lane')
})

t.test('who has waited before waits the less now', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('new')
  queue.push('again', 'normal', 400)
  t.equal(queue.peek('oldest')?.item, 'again', 'it is the one that has waited longer')
  pass(650)
  t.same(late, ['again'])
  pass(400)
  t.same(late, ['again', 'new'])
})

t.test('a full queue makes room for the more urgent, and for the newest where that goes first', async t => {
  const { queue, pass } = bench(1_000)
  queue.push('low 1', 'low')
  pass(10)
  queue.push('low 2', 'low')
  queue.push('normal')
  t.same(queue.evict('normal', 'oldest'), { item: 'low 1', waitedMs: 10 }, 'the oldest of the least urgent')
  t.equal(queue.evict('low', 'oldest'), undefined, 'nobody is less urgent, and the oldest goes first')
  pass(600)
  t.same(queue.evict('low', 'newest'), { item: 'low 2', waitedMs: 600 })
  t.equal(queue.evict('low', 'newest'), undefined, 'never one that is more urgent')
  t.same(queue.evict('high', 'newest'), { item: 'normal', waitedMs: 600 })
  t.equal(queue.size, 0)
})

t.test('no order of events loses or doubles an item', async t => {
  const { queue, late, pass } = bench(500)
  const priorities = ['high', 'normal', 'low'] as const
  const inside = new Set<string>()
  let random = 7
  const next = (n: number) => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff
    return (random >> 8) % n
  }
  const out = (item: string | undefined) =>
    t.ok(item !== undefined && inside.delete(item), `${item} was inside`)
  for (let n = 0; n < 5_000; n += 1) {
    const before = late.length
    switch (next(5)) {
      case 0:
      case 1:
        queue.push(`${n}`, priorities[next(3)], next(600))
        inside.add(`${n}`)
        break
      case 2: {
        const first = queue.peek(next(2) === 0 ? 'oldest' : 'newest')?.item
        if (first !== undefined) queue.take(first)
        if (first !== undefined) out(first)
        break
      }
      case 3: {
        const evicted = queue.evict(priorities[next(3)] ?? 'low', next(2) === 0 ? 'oldest' : 'newest')
        if (evicted !== undefined) out(evicted.item)
        break
      }
      default:
        pass(10 * next(20))
        for (const item of late.slice(before)) out(item)
    }
    if (queue.size !== inside.size) t.fail(`${queue.size} wait, not ${inside.size}`)
  }
  t.ok(late.length > 100, 'some were late')
})
