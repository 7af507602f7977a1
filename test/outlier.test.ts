import t from 'tap'
import { outliers, type Suspect } from '../upstreams/outlier/outlier.ts'
import { type Sample, SampleWindow } from '../upstreams/outlier/window.ts'

const RULES = { failureRateShare: 0.5, latencyFactor: 0 }
const SLOWNESS = { failureRateShare: 0, latencyFactor: 3 }

const sample = (requests: number, failures = 0, meanMs = 10): Sample => {
  return { requests, failures, firstBytes: requests, firstByteSumMs: requests * meanMs }
}
const suspect = (name: string, window: Sample, lastSecond = sample(0)): Suspect => {
  return { name, window, lastSecond }
}
const named = (suspects: readonly Suspect[], rules = RULES, room = 9) =>
  outliers(suspects, rules, room, 10).map(({ name }) => name)

t.test('an endpoint that fails where the others do not', async t => {
  const good = [suspect('b', sample(100)), suspect('c', sample(100, 5))]
  const bad = (requests: number, failures: number) => [suspect('a', sample(requests, failures)), ...good]
  t.same(outliers(bad(25, 20), RULES, 9, 10), [{ name: 'a', reason: '80 % of 25 requests failed in 10 s' }])
  t.same(named(bad(20, 10)), ['a'], 'at the limit')
  t.same(named(bad(20, 9)), [], 'below it')
  t.same(named(bad(19, 19)), [], 'too few to tell')
  t.same(named(bad(25, 20), { ...RULES, failureRateShare: 0 }), [], 'switched off')
})

t.test('where all do badly it is the app', async t => {
  t.same(named([suspect('a', sample(100, 80)), suspect('b', sample(100, 70))]), [])
  t.same(
    named([suspect('a', sample(100, 80)), suspect('b', sample(100, 40))]),
    [],
    'half as bad is not clearly better',
  )
  t.same(named([suspect('a', sample(100, 80)), suspect('b', sample(100, 39))]), ['a'])
  t.same(
    named([suspect('a', sample(100, 80), sample(10, 10)), suspect('b', sample(100, 9), sample(10, 9))]),
    [],
    'it has broken down for the others, too, a moment ago',
  )
})

t.test('an endpoint alone, or one whose others have no traffic, is not judged', async t => {
  t.same(named([suspect('a', sample(100, 100), sample(50, 50))]), [])
  t.same(named([suspect('a', sample(100, 100), sample(50, 50)), suspect('b', sample(4))]), [])
  t.same(named([]), [])
})

t.test('five of five in the last second are enough', async t => {
  const others = [suspect('b', sample(100), sample(10))]
  const bad = (requests: number, failures: number) => [
    suspect('a', sample(100, failures), sample(requests, failures)),
    ...others,
  ]
  t.same(outliers(bad(5, 5), RULES, 9, 10), [{ name: 'a', reason: '100 % of 5 requests failed in 1 s' }])
  t.same(named(bad(4, 4)), [], 'four are not')
  t.same(named(bad(5, 4)), [], 'nor is one that works: a worker has died, the others serve')
})

t.test('an endpoint that is many times slower than the others', async t => {
  const pool = (...meansMs: readonly number[]) =>
    meansMs.map((meanMs, i) => suspect('abcdef'.charAt(i), sample(50, 0, meanMs)))
  t.same(outliers(pool(10, 10, 100), SLOWNESS, 9, 10), [
    { name: 'c', reason: 'first byte after 100 ms, while the others need 10 ms' },
  ])
  t.same(named(pool(10, 10, 30), SLOWNESS), [], 'at the factor')
  t.same(named(pool(1, 1, 20), SLOWNESS), [], 'nobody feels 20 ms')
  t.same(named(pool(100, 100, 310), SLOWNESS), ['c'])
  t.same(named(pool(10, 200, 400), SLOWNESS), ['c', 'b'], 'one slow endpoint does not hide another')
  t.same(named(pool(100, 100, 310), RULES), [], 'switched off')
  const few = [suspect('a', sample(19, 0, 500)), suspect('b', sample(100))]
  t.same(named(few, SLOWNESS), [], 'too few to tell')
  const fewOthers = [suspect('a', sample(100, 0, 500)), suspect('b', sample(19))]
  t.same(named(fewOthers, SLOWNESS), [], 'too few to compare with')
})

t.test('only so many as there is room for, the worst first', async t => {
  const pool = [
    suspect('slow', sample(100, 0, 500)),
    suspect('bad', sample(100, 60)),
    suspect('worse', sample(100, 70)),
    ...['d', 'e', 'f', 'g'].map(name => suspect(name, sample(100))),
  ]
  const rules = { failureRateShare: 0.5, latencyFactor: 3 }
  t.same(named(pool, rules), ['worse', 'bad', 'slow'])
  t.same(named(pool, rules, 1), ['worse'])
  t.same(named(pool, rules, 0), [])
  t.same(named(pool, rules, -1), [])
})

t.test('SampleWindow', async t => {
  const window = new SampleWindow(3)
  t.match(window.sum, { requests: 0, failures: 0, firstBytes: 0, firstByteSumMs: 0 })
  window.push(sample(1000, 500))
  t.match(window.sum, { requests: 0 }, 'what was before is no measure')
  window.push(sample(1010, 501))
  window.push(sample(1030, 501))
  t.match(window.sum, { requests: 30, failures: 1, firstBytes: 30, firstByteSumMs: 300 })
  t.match(window.last, { requests: 20, failures: 0 })
  window.push(sample(1031, 502))
  window.push(sample(1031, 502))
  t.match(window.sum, { requests: 21, failures: 1 }, 'three seconds')
  t.match(window.last, { requests: 0 })
  window.clear()
  window.push(sample(2000))
  t.match(window.sum, { requests: 0 })
})
