import t from 'tap'
import {
  afterLoss,
  afterService,
  type Loss,
  newestFirst,
  oldestFirst,
  type QueueSight,
} from '../upstreams/queue-order.ts'

const TIMEOUT_MS = 1000

function sight(changes: Partial<QueueSight> = {}): QueueSight {
  return { nowMs: 5000, timeoutMs: TIMEOUT_MS, queued: 200, served: 300, ...changes }
}

/** At 100 a second. */
function late(changes: Partial<Loss> = {}): Loss {
  return { why: 'late', waitedMs: 1000, servedMeanwhile: 100, ...changes }
}

const oldest = oldestFirst(0)
const newest = newestFirst(oldest, sight())

t.test('newest first when somebody was not served in time, and not all that wait can be', async t => {
  t.equal(afterLoss(oldest, late(), sight()).first, 'newest')
  t.equal(
    afterLoss(oldest, late(), sight({ queued: 100 })).first,
    'oldest',
    'the others can: one was unlucky',
  )
})

t.test('while nobody is served no order is better', async t => {
  t.equal(afterLoss(oldest, late({ servedMeanwhile: 0 }), sight()), oldest)
})

t.test('who could have been served for a short time only does not count', async t => {
  t.equal(
    afterLoss(oldest, late({ waitedMs: 400, servedMeanwhile: 40 }), sight()),
    oldest,
    'no endpoint was ready',
  )
})

t.test('a full queue is too slow when its first has waited for long', async t => {
  const full = (waitedMs: number) => late({ why: 'full', waitedMs, servedMeanwhile: waitedMs / 10 })
  t.equal(afterLoss(oldest, full(600), sight({ queued: 60 })).first, 'newest')
  t.equal(afterLoss(oldest, full(300), sight({ queued: 30 })).first, 'oldest')
})

t.test('what is newest first stays so under further losses', async t => {
  t.equal(afterLoss(newest, late(), sight()), newest)
})

t.test('oldest first again when nobody waits', async t => {
  t.equal(afterService(newest, sight({ nowMs: 5001, queued: 0 })).first, 'oldest')
  t.equal(afterService(oldest, sight()), oldest)
})

t.test(
  'oldest first again when all that wait can be served soon, and not before the rate is known',
  async t => {
    const after = (nowMs: number, queued: number) =>
      afterService(newest, sight({ nowMs, queued, served: 400 }))
    t.equal(after(5900, 10).first, 'newest', 'too early to say')
    t.equal(after(6000, 50).first, 'oldest', '100 were served in the second: 50 take half of one')
    t.equal(after(6000, 51).first, 'newest')
  },
)

t.test('a trial that fails makes the next one come later, one that lasts does not', async t => {
  const first = newestFirst(oldestFirst(0), sight({ nowMs: 20_000 }))
  t.equal(first.holdMs, 1000)
  const trial = afterService(first, sight({ nowMs: 21_000, queued: 10, served: 400 }))
  t.equal(trial.first, 'oldest')
  const second = newestFirst(trial, sight({ nowMs: 24_000 }))
  t.equal(second.holdMs, 4000)
  t.equal(newestFirst({ ...trial, holdMs: 30_000 }, sight({ nowMs: 24_000 })).holdMs, 32_000, 'at most')
  t.equal(newestFirst(trial, sight({ nowMs: 30_000 })).holdMs, 1000, 'it had gone well for long')
  const early = afterService(second, sight({ nowMs: 26_000, queued: 10, served: 400 }))
  t.equal(early.first, 'newest', 'not yet')
  t.equal(afterService(early, sight({ nowMs: 28_000, queued: 10, served: 500 })).first, 'oldest')
})
