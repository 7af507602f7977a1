import t from 'tap'
import {
  afterAdvice,
  afterFailure,
  afterIssue,
  afterSilence,
  challengesFor,
  type NameRecord,
  NEW_RECORD,
  nextStep,
  recordOf,
} from '../lib/acme/plan.ts'
import { type Occasion, type Remedy, readProblem, remedyFor, retryAfterMs } from '../lib/acme/problem.ts'
import type { KeyPair } from '../lib/base/key-pair.ts'

// Every decision about a certificate: when to order, to ask and to wait, and what an error means.

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 0, 1)
const DIRECTORY = 'https://acme.test/dir'
const never = () => 0

/** Of 90 days. */
const PAIR: KeyPair = {
  names: ['site.test'],
  certificate: '',
  key: '',
  keyType: 'ec',
  notBeforeMs: START_MS,
  notAfterMs: START_MS + 90 * DAY_MS,
}

const step = (record: NameRecord, pair: KeyPair | undefined, nowMs: number) =>
  nextStep(record, pair, { directory: DIRECTORY, nowMs })
const issued = (random: () => number = never) =>
  afterIssue(PAIR, { directory: DIRECTORY, challenge: 'http-01', nowMs: START_MS }, random)
const asked = (record: NameRecord) => ({ ...record, askAtMs: PAIR.notAfterMs })

t.test('a name without a certificate is ordered at once', async t => {
  t.same(step(NEW_RECORD, undefined, START_MS), { kind: 'order' })
})

t.test(
  'without advice a certificate is renewed when a third of its life is left, or a little earlier by chance',
  async t => {
    t.equal(issued().renewAtMs, START_MS + 60 * DAY_MS)
    t.equal(issued(() => 1).renewAtMs, START_MS + 57 * DAY_MS)
    const record = asked(issued())
    t.same(step(record, PAIR, START_MS + 60 * DAY_MS - 1), { kind: 'wait', untilMs: START_MS + 60 * DAY_MS })
    t.same(step(record, PAIR, START_MS + 60 * DAY_MS), { kind: 'order' })
  },
)

t.test('after an order there is none for a while, whatever is advised', async t => {
  const window = { startMs: 0, endMs: 1 }
  const record = afterAdvice(
    issued(),
    { window, explanation: undefined },
    { nowMs: START_MS, random: never, retryAfterMs: undefined },
  )
  t.same(step(record, PAIR, START_MS + 1), { kind: 'wait', untilMs: START_MS + HOUR_MS })
  t.same(step(record, PAIR, START_MS + HOUR_MS), { kind: 'order' })
})

t.test(
  'the issuer is asked at once, then when it wants to be asked, within reason (RFC 9773 4.3)',
  async t => {
    t.same(step(issued(), PAIR, START_MS), { kind: 'ask' })
    const window = { startMs: START_MS + 50 * DAY_MS, endMs: START_MS + 52 * DAY_MS }
    const after = (wishMs: number | undefined) =>
      afterAdvice(
        issued(),
        { window, explanation: undefined },
        { nowMs: START_MS, random: () => 0.5, retryAfterMs: wishMs },
      )
    t.equal(after(undefined).askAtMs, START_MS + 6 * HOUR_MS)
    t.equal(after(2 * HOUR_MS).askAtMs, START_MS + 2 * HOUR_MS)
    t.equal(after(1).askAtMs, START_MS + 60_000)
    t.equal(after(100 * DAY_MS).askAtMs, START_MS + DAY_MS)
    t.equal(after(undefined).renewAtMs, START_MS + 51 * DAY_MS, 'by chance inside of the window')
    t.equal(afterSilence(issued(), true, START_MS).askAtMs, START_MS + HOUR_MS, 'soon again after an error')
    t.equal(
      afterSilence(issued(), false, START_MS).askAtMs,
      START_MS + DAY_MS,
      'seldom where it knows nothing of it',
    )
  },
)

t.test('the time that was chosen stays while the window does, and a new window means a new time', async t => {
  const advise = (record: NameRecord, startDay: number, random: () => number) => {
    const window = { startMs: START_MS + startDay * DAY_MS, endMs: START_MS + (startDay + 2) * DAY_MS }
    return afterAdvice(
      record,
      { window, explanation: undefined },
      { nowMs: START_MS, random, retryAfterMs: undefined },
    )
  }
  const first = advise(issued(), 50, () => 0.5)
  t.equal(advise(first, 50, () => 0.9).renewAtMs, first.renewAtMs)
  t.equal(advise(first, 40, () => 0.5).renewAtMs, START_MS + 41 * DAY_MS)
  t.equal(advise(issued(), 91, never).renewAtMs, issued().renewAtMs, 'not after the end of the certificate')
})

t.test('whatever was advised, the last twentieth of a life is not used up', async t => {
  const late = { ...asked(issued()), renewAtMs: START_MS + 89 * DAY_MS }
  t.same(step(late, PAIR, START_MS + 85 * DAY_MS), { kind: 'wait', untilMs: START_MS + 85.5 * DAY_MS })
  t.same(step(late, PAIR, START_MS + 85.5 * DAY_MS), { kind: 'order' })
})

t.test(
  'after failures waits grow from a minute to hours, five failed challenges in the first hour at most',
  async t => {
    let record = NEW_RECORD
    const waits: number[] = []
    for (let i = 0; i < 8; i += 1) {
      record = afterFailure(
        record,
        { message: 'no', retryAfterMs: undefined, patience: false },
        { nowMs: 0, random: never },
      )
      waits.push((record.nextTryMs ?? 0) / 60_000)
    }
    t.same(waits, [1, 5, 15, 60, 180, 360, 360, 360])
    t.match(record, { failures: 8, lastError: 'no' })
    const jittered = afterFailure(
      NEW_RECORD,
      { message: '', retryAfterMs: undefined, patience: false },
      { nowMs: 0, random: () => 1 },
    )
    t.equal(jittered.nextTryMs, 66_000)
  },
)

t.test('what the server wants is kept to, and what does not mend itself is tried seldom', async t => {
  const after = (wishMs: number | undefined, patience: boolean) =>
    afterFailure(NEW_RECORD, { message: '', retryAfterMs: wishMs, patience }, { nowMs: 0, random: never })
      .nextTryMs
  t.equal(after(5 * HOUR_MS, false), 5 * HOUR_MS)
  t.equal(after(1000, false), 60_000, 'never sooner than of our own')
  t.equal(after(365 * DAY_MS, false), 7 * DAY_MS)
  t.equal(after(undefined, true), 6 * HOUR_MS)
})

t.test(
  'an order waits for its next try, with a certificate or without; then nobody is asked about renewal',
  async t => {
    const failed = { ...issued(), failures: 2, nextTryMs: START_MS + 70 * DAY_MS }
    t.same(step(failed, PAIR, START_MS + 65 * DAY_MS), { kind: 'wait', untilMs: START_MS + 70 * DAY_MS })
    t.same(step(failed, PAIR, START_MS + 70 * DAY_MS), { kind: 'order' })
    t.same(step(failed, undefined, START_MS), { kind: 'wait', untilMs: START_MS + 70 * DAY_MS })
  },
)

t.test(
  'a certificate from another issuer is replaced; one that an operator has put there may stay',
  async t => {
    const elsewhere = { ...asked(issued()), directory: 'https://staging.test/dir', nextTryMs: undefined }
    t.same(step(elsewhere, PAIR, START_MS + DAY_MS), { kind: 'order' })
    const byHand = asked(recordOf(NEW_RECORD, PAIR, never))
    t.equal(step(byHand, PAIR, START_MS + DAY_MS).kind, 'wait')
  },
)

t.test('another certificate in the place of the one before starts anew', async t => {
  const other = { ...PAIR, notAfterMs: START_MS + 180 * DAY_MS }
  const record = issued()
  t.equal(
    recordOf(record, PAIR, () => 1),
    record,
    'the same one does not',
  )
  t.equal(
    recordOf(record, undefined, () => 1),
    record,
  )
  t.match(recordOf(issued(), other, never), {
    notAfterMs: other.notAfterMs,
    renewAtMs: START_MS + 120 * DAY_MS,
  })
})

t.test(
  'challenges: all at first, what went through last time before the others, one at a time after a failure',
  async t => {
    const both = ['tls-alpn-01', 'http-01'] as const
    t.same(challengesFor(NEW_RECORD, both), both)
    t.same(challengesFor({ ...NEW_RECORD, challenge: 'http-01' }, both), ['http-01', 'tls-alpn-01'])
    t.same(challengesFor({ ...NEW_RECORD, challenge: 'http-01' }, ['tls-alpn-01']), ['tls-alpn-01'])
    t.same(challengesFor({ ...NEW_RECORD, failures: 1 }, both), ['http-01'])
    t.same(challengesFor({ ...NEW_RECORD, failures: 2 }, both), ['tls-alpn-01'])
    t.same(challengesFor({ ...NEW_RECORD, failures: 3 }, ['http-01']), ['http-01'])
  },
)

t.test('what an error asks for (RFC 8555 6.7)', async t => {
  const cases: [kind: string, occasion: Occasion, remedy: Remedy][] = [
    ['accountDoesNotExist', 'request', 'new-account'],
    ['unauthorized', 'request', 'new-account'],
    ['unauthorized', 'challenge', 'other-challenge'],
    ['unauthorized', 'account', 'patience'],
    ['externalAccountRequired', 'account', 'patience'],
    ['connection', 'challenge', 'other-challenge'],
    ['dns', 'challenge', 'other-challenge'],
    ['caa', 'challenge', 'patience'],
    ['rejectedIdentifier', 'request', 'patience'],
    ['rateLimited', 'request', 'again'],
    ['rateLimited', 'account', 'again'],
    ['serverInternal', 'request', 'again'],
    ['unreachable', 'request', 'again'],
  ]
  for (const [kind, occasion, remedy] of cases)
    t.equal(remedyFor({ kind, occasion }), remedy, `${kind} of ${occasion}`)
})

t.test('problem documents are read as far as they are any', async t => {
  const facts = { occasion: 'request' } as const
  const read = (body: unknown) => readProblem(body, 'status 500', facts)
  const limited = read({ type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too\nmany\u001b[0m' })
  t.match(limited, { kind: 'rateLimited', message: 'too many [0m (rateLimited)' })
  t.match(read({ type: 'about:blank', detail: 'no' }), { kind: 'unknown', message: 'no' })
  for (const body of [undefined, null, 'text', [], { detail: 5 }])
    t.match(read(body), { kind: 'unknown', message: 'status 500' })
  t.ok(read({ detail: 'x'.repeat(5000) }).message.length < 600)
})

t.test('Retry-After: seconds or a date (RFC 9110 10.2.3)', async t => {
  t.equal(retryAfterMs('120', START_MS), 120_000)
  t.equal(retryAfterMs('Thu, 01 Jan 2026 00:01:00 GMT', START_MS), 60_000)
  for (const value of [undefined, '', '0', '-5', 'soon', 'Wed, 01 Jan 2025 00:00:00 GMT'])
    t.equal(retryAfterMs(value, START_MS), undefined, String(value))
})
