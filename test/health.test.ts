import t from 'tap'
import { hintOfStatus, reasonOfError } from '../upstreams/health/failure-reason.ts'
import { afterProbe, type Health, isFlip, type Probe, serving, UNKNOWN } from '../upstreams/health/health.ts'
import { type Pace, paceMs } from '../upstreams/health/pace.ts'

const TWO_THREE = { rise: 2, fall: 3 }
const pass: Probe = { ok: true }
const fail = (reason = 'connect refused'): Probe => ({ ok: false, reason })
const up = (fails = 0): Health => ({ state: 'up', fails })
const down = (passes = 0, reason = 'connect refused'): Health => ({ state: 'down', passes, reason })
const next = (now: Health, probe: Probe) => afterProbe(now, probe, TWO_THREE)

t.test('a healthy endpoint', async t => {
  const healthy = up()
  t.equal(next(healthy, pass), healthy, 'stays the same object while it passes')
  t.same(next(up(), fail()), up(1), 'survives the first failure')
  t.same(next(up(1), fail()), up(2), 'and the second')
  t.same(next(up(2), fail('status 500')), down(0, 'status 500'), 'the third takes it out, with its reason')
  t.same(next(up(2), pass), up(0), 'only consecutive failures count')
})

t.test('a probe without an answer that has an alibi', async t => {
  const alive: Probe = { ok: false, reason: 'timed out', unanswered: true, alibi: 'alive' }
  const patient: Probe = { ok: false, reason: 'timed out', unanswered: true, alibi: 'patient' }
  t.same(next(up(2), alive), up(0), 'answers in traffic are as good as a pass')
  const before = up(2)
  t.equal(next(before, patient), before, 'silence for a while says nothing either way')
  t.same(next(down(1), alive), down(0, 'timed out'), 'one that is out has to pass')
  t.same(next(UNKNOWN, alive), { state: 'new', reason: 'timed out' })
})

t.test('an endpoint that is out', async t => {
  const out = down()
  t.equal(next(out, fail()), out, 'stays the same object while it fails in the same way')
  t.same(next(out, fail('timed out')), down(0, 'timed out'), 'tells the newest reason')
  t.same(next(out, pass), down(1), 'is not back after one pass')
  t.same(next(down(1), pass), up(), 'is back after the second')
  t.same(next(down(1), fail()), down(0), 'only consecutive passes count')
})

t.test('thresholds of one change sides at once', async t => {
  const at = { rise: 1, fall: 1 }
  t.same(afterProbe(up(), fail('x'), at), down(0, 'x'))
  t.same(afterProbe(down(), pass, at), up())
})

t.test(
  'an endpoint that served before it was probed goes on until its first probe, which decides alone',
  async t => {
    for (const thresholds of [TWO_THREE, { rise: 1, fall: 1 }, { rise: 9, fall: 9 }]) {
      const fresh = serving(thresholds)
      t.equal(fresh.state, 'up')
      t.equal(afterProbe(fresh, fail(), thresholds).state, 'down')
      t.same(afterProbe(fresh, pass, thresholds), up())
    }
  },
)

t.test('an endpoint that nobody knows waits for its first pass, and that is enough', async t => {
  const tried = next(UNKNOWN, fail('connect refused'))
  t.same(tried, { state: 'new', reason: 'connect refused' })
  t.equal(next(tried, fail('connect refused')), tried, 'the same object while it fails in the same way')
  t.same(next(tried, fail('status 503')), { state: 'new', reason: 'status 503' })
  for (const before of [UNKNOWN, tried]) t.same(afterProbe(before, pass, { rise: 9, fall: 9 }), up())
})

t.test('what is worth telling: another side, and the first reason of one that never came up', async t => {
  const tried: Health = { state: 'new', reason: 'connect refused' }
  t.ok(isFlip(UNKNOWN, tried))
  t.notOk(isFlip(tried, { state: 'new', reason: 'status 503' }))
  t.notOk(isFlip(UNKNOWN, UNKNOWN))
  t.ok(isFlip(UNKNOWN, up()))
  t.ok(isFlip(tried, up()))
  t.ok(isFlip(up(2), down()))
  t.ok(isFlip(down(1), up()))
  t.notOk(isFlip(up(), up(1)))
  t.notOk(isFlip(down(), down(1)))
})

t.test('how soon an endpoint is probed again', async t => {
  const pace = (changes: Partial<Pace>) =>
    paceMs({ intervalMs: 5000, health: up(), lastedMs: 0, held: false, suspected: false, ...changes })
  t.equal(pace({}), 5000, 'all is well')
  t.equal(pace({ suspected: true }), 5000, 'a probe has passed since')
  t.equal(pace({ suspected: true, health: up(1) }), 100, 'and one has not')
  t.equal(pace({ health: up(1) }), 5000, 'a failure that traffic knows nothing of')
  t.equal(pace({ health: UNKNOWN }), 150, 'a start')
  t.equal(pace({ health: UNKNOWN, lastedMs: 4999 }), 150)
  t.equal(pace({ health: UNKNOWN, lastedMs: 5000 }), 500, 'a slow start')
  t.equal(pace({ health: UNKNOWN, lastedMs: 60_000 }), 5000, 'that is no start')
  t.equal(pace({ health: down() }), 5000, 'others serve')
  t.equal(pace({ health: down(), held: true }), 150, 'requests wait')
  t.equal(pace({ health: UNKNOWN, held: true, lastedMs: 59_999 }), 150)
  t.equal(pace({ health: down(), held: true, lastedMs: 60_000 }), 1000, 'it has gone')
  t.equal(pace({ health: up(), held: true }), 5000, 'something else keeps it out')
  for (const health of [UNKNOWN, down(), up(1)]) {
    for (const lastedMs of [0, 10_000, 90_000])
      t.equal(pace({ intervalMs: 60, health, lastedMs, held: true, suspected: true }), 60, 'never slower')
  }
})

t.test('an endpoint that fails every other probe keeps its side', async t => {
  let now = up()
  for (let i = 0; i < 20; i += 1) now = next(now, i % 2 === 0 ? fail() : pass)
  t.equal(now.state, 'up')
  now = down()
  for (let i = 0; i < 20; i += 1) now = next(now, i % 2 === 0 ? pass : fail())
  t.equal(now.state, 'down')
})

t.test('errors become words that say where to look', async t => {
  const tcp = { kind: 'tcp', host: 'app', port: 8000 } as const
  const unix = { kind: 'unix', path: '/run/app.sock' } as const
  const error = (code: string) => Object.assign(new Error('text of a library'), { code })
  t.equal(reasonOfError(error('ECONNREFUSED'), tcp), 'connect refused')
  t.equal(reasonOfError(error('ENOTFOUND'), tcp), 'host name "app" does not resolve')
  t.equal(reasonOfError(error('EAI_AGAIN'), tcp), 'the name server does not respond for "app"')
  t.equal(reasonOfError(error('ENOENT'), unix), 'no socket at /run/app.sock')
  t.equal(reasonOfError(error('EACCES'), unix), 'no permission to connect to /run/app.sock')
  const parsing = Object.assign(error('HPE_INVALID_VERSION'), { name: 'HTTPParserError' })
  t.equal(reasonOfError(parsing, tcp), 'the response is not HTTP: text of a library')
  t.match(reasonOfError(new Error('wrapped', { cause: error('ECONNRESET') }), tcp), 'reset')
  t.equal(reasonOfError(error('ESOMETHING'), tcp), 'text of a library')
  t.equal(reasonOfError('no error at all', tcp), 'no error at all')
})

t.test('a status that was not expected names the setting that usually helps', async t => {
  const hint = (status: number, location?: string) => hintOfStatus(status, location, '10.0.0.3', '/healthz')
  t.match(hint(400), 'ALLOWED_HOSTS rejects the Host "10.0.0.3"; set health.host')
  t.match(hint(301, 'https://10.0.0.3/healthz'), 'X-Forwarded-Proto = "https"')
  t.equal(hint(302, '/healthz/'), ': it redirects to "/healthz/"; set health.path')
  t.notMatch(hint(302, '/x\r\ny'), '\n', 'what the app sends cannot break a log line')
  t.match(hint(404), 'no page at "/healthz"')
  t.equal(hint(500), '')
  t.equal(hint(304), '')
})
