import t from 'tap'
import { mayRetry, RetryBudget } from '../upstreams/retry.ts'

const fresh = {
  attemptsLeft: 1,
  idempotent: true,
  repeatable: true,
  othersReady: false,
  firstThere: false,
}

t.test('what was surely not acted on goes to another endpoint, a POST too', async t => {
  t.ok(mayRetry('CONNECT_FAILED', { ...fresh, idempotent: false }))
  t.ok(mayRetry('CONNECT_TIMEOUT', { ...fresh, idempotent: false }))
})

t.test('a POST that may have been acted on is not repeated (RFC 9110 9.2.2)', async t => {
  t.notOk(mayRetry('REUSED_CLOSED', { ...fresh, idempotent: false }))
  t.ok(mayRetry('REUSED_CLOSED', fresh), 'a GET is')
})

t.test(
  'a request whose app dies is repeated by another endpoint, or once more by the only one, and only if it may be acted on twice',
  async t => {
    t.ok(mayRetry('UPSTREAM_CLOSED', { ...fresh, othersReady: true }))
    t.notOk(mayRetry('UPSTREAM_CLOSED', fresh), 'one that kills its worker does not go through all workers')
    t.ok(mayRetry('UPSTREAM_CLOSED', { ...fresh, firstThere: true }), 'it may be restarting')
    t.notOk(mayRetry('UPSTREAM_CLOSED', { ...fresh, othersReady: true, firstThere: true, idempotent: false }))
  },
)

t.test('an app that took the request and failed is not asked again', async t => {
  for (const code of ['UPSTREAM_BAD', 'UPSTREAM_TIMEOUT', 'UPSTREAM_TRUNCATED'] as const) {
    t.notOk(mayRetry(code, { ...fresh, firstThere: true }), code)
  }
  t.ok(
    mayRetry('UPSTREAM_TIMEOUT', { ...fresh, othersReady: true }),
    'but another one is, if it was only slow',
  )
})

t.test('a body that began to flow, or no attempt left, ends it', async t => {
  t.notOk(mayRetry('CONNECT_FAILED', { ...fresh, repeatable: false }))
  t.notOk(mayRetry('CONNECT_FAILED', { ...fresh, attemptsLeft: 0 }))
})

t.test('retries are at most a share of the requests, once the reserve is used up', async t => {
  const budget = new RetryBudget(0.2, 0)
  let taken = 0
  while (budget.take(0)) taken += 1
  t.equal(taken, 100, 'the reserve covers the requests that run when an endpoint dies')
  for (let i = 0; i < 50; i += 1) budget.requested()
  taken = 0
  while (budget.take(0)) taken += 1
  t.ok(taken === 10 || taken === 9, `50 requests bring about 10 retries, got ${taken}`)
})

t.test('tokens come back with time, and a budget of nothing allows none', async t => {
  const budget = new RetryBudget(0.2, 0)
  while (budget.take(0)) {
    // Use them up.
  }
  t.notOk(budget.take(50))
  t.ok(budget.take(1_000))
  t.notOk(new RetryBudget(0, 0).take(0))
})
