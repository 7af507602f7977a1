import { join } from 'node:path'
import t from 'tap'
import { accountFor, type Evidence, type Fault } from './account.ts'
import { Journal } from './journal.ts'
import type { Asked } from './load.ts'

// The judge of the fault runs, judged: each kind of failure is counted where it belongs.

const asked = (id: string, outcome: number | string, dueMs = 100, endMs = 110): Asked => ({
  ...{ id, outcome, dueMs, endMs },
  method: id.startsWith('GET') ? 'GET' : 'POST',
})
const noted = (arrivedAt: readonly string[], executed: number) => ({ arrivedAt, executed })
const BROKEN: Fault = { endpoint: 'a:1', fromMs: 200, toMs: 300, takesUnread: true }
const account = (all: readonly Asked[], evidence: Partial<Evidence> = {}) =>
  accountFor(all, { journal: new Map(), faults: [], unsent: new Set(), ...evidence })

t.test('a failure is lost, unless a broken app had its POST', async t => {
  const failed = [asked('POST-1', 502), asked('GET-2', 502)]
  const journal = new Map(failed.map(({ id }) => [id, noted(['b:1', 'a:1'], 0)]))
  t.match(account(failed), { failed: 2, failedPosts: 1, insidePosts: 0, unreadPosts: 0 })
  t.equal(account(failed).lost.length, 2)
  const inside = account(failed, { journal, faults: [BROKEN] })
  t.match(inside, { insidePosts: 1, unreadPosts: 0 })
  t.same(
    inside.lost.map(({ id }) => id),
    ['GET-2'],
    'a GET may always be sent again',
  )
  const elsewhere = new Map([['POST-1', noted(['a:1', 'b:1'], 0)]])
  t.equal(account(failed, { journal: elsewhere, faults: [BROKEN] }).lost.length, 2, 'a sound app had it last')
})

t.test('a POST may lie unread only where and while a broken endpoint takes requests', async t => {
  const of = (post: Asked, evidence: Partial<Evidence> = {}) =>
    account([post], { faults: [BROKEN], ...evidence }).unreadPosts
  t.equal(of(asked('POST-1', 502, 190, 210)), 1)
  t.equal(of(asked('POST-1', 504, 290, 2290)), 1)
  t.equal(of(asked('POST-1', 502, 180, 199)), 0, 'ended before')
  t.equal(of(asked('POST-1', 502, 301, 310)), 0, 'sent later')
  t.equal(of(asked('GET-1', 502, 190, 210)), 0)
  t.equal(of(asked('POST-1', 502, 190, 210), { unsent: new Set(['POST-1']) }), 0, 'was never sent')
  t.equal(of(asked('POST-1', 502, 190, 210), { faults: [{ ...BROKEN, takesUnread: false }] }), 0)
})

t.test('what was executed is counted against what was told', async t => {
  const all = [asked('POST-1', 200), asked('POST-2', 502), asked('POST-3', 200), asked('GET-4', 200)]
  const journal = new Map([
    ['POST-1', noted(['a:1', 'a:1'], 2)],
    ['POST-2', noted(['a:1'], 1)],
    ['GET-4', noted(['a:1', 'b:1'], 2)],
  ])
  t.match(account(all, { journal }), { sent: 4, answered: 3, twice: 1, unexecuted: 1, executedUntold: 1 })
  t.same(account(all).failures, { 'POST 502': 1 })
})

t.test('waits count from the time at which a request was due', async t => {
  t.equal(account([asked('GET-1', 200, 100, 350), asked('GET-2', 'ECONNRESET', 100, 101)]).longestMs, 250)
})

t.test('the journal gives back what apps noted', async t => {
  const journal = new Journal(join(t.testdir(), 'journal'))
  journal.note('arrived', 'POST-1', 'a:1')
  journal.note('arrived', 'POST-1', 'b:1')
  journal.note('executed', 'POST-1', 'b:1')
  journal.note('arrived', 'GET-2', 'a:1')
  t.same(
    [...journal.read()],
    [
      ['POST-1', noted(['a:1', 'b:1'], 1)],
      ['GET-2', noted(['a:1'], 0)],
    ],
  )
  journal.close()
})
