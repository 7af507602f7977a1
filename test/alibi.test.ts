import t from 'tap'
import { alibiOf, type Circumstances, type Traffic } from '../upstreams/health/alibi.ts'

const full: Traffic = { running: 4, slots: 4, signs: 100, timeouts: 0, longestMs: 5_000, responseMs: 60_000 }

/** A probe that got no answer while all four slots were taken, three seconds after the last sign of life. */
function alibi(changes: Partial<Traffic> = {}, others: Partial<Circumstances> = {}) {
  return alibiOf({ before: full, started: full, now: { ...full, ...changes }, silentMs: 3_000, ...others })
}

t.test('an app that answers requests while the probe waits is alive', async t => {
  t.equal(alibi({ signs: 101 }), 'alive')
  t.equal(alibi({ signs: 101, timeouts: 1 }), 'alive', 'even if another one timed out')
  t.equal(alibi({ signs: 101, running: 3 }), 'alive', 'a slot came free as the probe ended')
})

t.test('an app with a free slot had time for the probe', async t => {
  const free = { ...full, running: 3 }
  t.equal(alibi({ signs: 101, running: 3 }, { started: free }), undefined)
  t.equal(alibi({ running: 0 }, { started: { ...full, running: 0 } }), undefined)
})

t.test('a full app may be silent for as long as requests have taken there', async t => {
  t.equal(alibi(), 'patient')
  t.equal(alibi({}, { silentMs: 5_000 }), 'patient')
  t.equal(alibi({}, { silentMs: 5_001 }), undefined, 'it hangs')
  t.equal(alibi({ longestMs: 100 }), undefined, 'an app that is always quick hangs sooner')
})

t.test('before the first answer, and at most, for timeouts.response', async t => {
  t.equal(alibi({ longestMs: undefined }), 'patient')
  t.equal(alibi({ longestMs: undefined, responseMs: 2_000 }), undefined)
  t.equal(alibi({ longestMs: Number.POSITIVE_INFINITY, responseMs: 2_000 }), undefined)
})

t.test('a request that was not answered in time ends the patience', async t => {
  t.equal(alibi({ timeouts: 1 }), undefined)
})

t.test('without a cap only answers count', async t => {
  const uncapped = { ...full, slots: 0 }
  const of = (changes: Partial<Traffic>) =>
    alibi({ slots: 0, ...changes }, { before: uncapped, started: uncapped })
  t.equal(of({ signs: 101 }), 'alive')
  t.equal(of({}), undefined)
})
