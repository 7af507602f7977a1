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
  t.equal(queue.take('a'), 150)
  t.equal(queue.peek(), 'b')
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
  for (let item = queue.peek(); item !== undefined; item = queue.peek()) {
    order.push(item)
    queue.take(item)
  }
  t.same(order, ['high', 'normal', 'low'])
})

t.test('it shows those behind the next one in the order of their turns', async t => {
  const { queue, pass } = bench(1_000)
  queue.push('low', 'low')
  queue.push('a')
  queue.push('b')
  const order = () => [0, 1, 2, 3].map(turnsLater => queue.peek(turnsLater))
  t.same(order(), ['a', 'b', 'low', undefined])
  pass(600)
  t.same(order(), ['b', 'a', 'low', undefined], 'of a late queue too')
})

t.test('a queue that does not keep up serves the newest first, until nobody waits', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('a')
  pass(400)
  queue.push('b')
  t.equal(queue.peek(), 'a', 'less than half of the longest wait')
  pass(200)
  t.equal(queue.peek(), 'b')
  queue.take('b')
  queue.push('c')
  t.equal(queue.peek(), 'c')
  pass(500)
  t.same(late, ['a'], 'the oldest has waited in vain')
  queue.take('c')
  t.equal(queue.size, 0)
  queue.push('d')
  queue.push('e')
  t.equal(queue.peek(), 'd', 'first come, first served again')
})

t.test('while no endpoint is ready the queue is not late: all that were held go in their order', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('a')
  pass(700)
  queue.push('b')
  queue.held()
  pass(100)
  t.equal(queue.peek(), 'a', 'held until a moment ago')
  queue.take('a')
  t.equal(queue.peek(), 'b')
  pass(600)
  queue.push('c')
  t.equal(queue.peek(), 'c', 'endpoints are there, and it still does not keep up')
  t.same(late, [])
})

t.test('who has waited before waits the less now', async t => {
  const { queue, late, pass } = bench(1_000)
  queue.push('new')
  queue.push('again', 'normal', 400)
  t.equal(queue.peek(), 'again', 'it is the one that has waited longer')
  pass(650)
  t.same(late, ['again'])
  pass(400)
  t.same(late, ['again', 'new'])
})

t.test(
  'a full queue makes room for the more urgent, and for the newest while it does not keep up',
  async t => {
    const { queue, pass } = bench(1_000)
    queue.push('low 1', 'low')
    pass(10)
    queue.push('low 2', 'low')
    queue.push('normal')
    t.same(queue.evict('normal'), { item: 'low 1', waitedMs: 10 }, 'the oldest of the least urgent')
    t.equal(queue.evict('low'), undefined, 'nobody is less urgent, and the queue keeps up')
    pass(600)
    t.same(queue.evict('low'), { item: 'low 2', waitedMs: 600 })
    t.equal(queue.evict('low'), undefined, 'never one that is more urgent')
    t.same(queue.evict('high'), { item: 'normal', waitedMs: 600 })
    t.equal(queue.size, 0)
  },
)

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
        const first = queue.peek()
        if (first !== undefined) queue.take(first)
        if (first !== undefined) out(first)
        break
      }
      case 3: {
        const evicted = queue.evict(priorities[next(3)] ?? 'low')
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
