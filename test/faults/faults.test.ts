import t, { type Test } from 'tap'
import { missing } from '../real/support.ts'
import { assertClean } from '../support/causeway.ts'
import { lineOf } from './account.ts'
import { CausewayFront } from './front.ts'
import { type Played, play, type Scene } from './play.ts'
import { SCENES } from './scenes.ts'

// Every scene under 200 requests a second, or what the apps can do on a busy machine, and an account of each
// of them: none lost, no POST twice.

const skip = missing('gunicorn')
/** Shorter while one works on a scene; only the whole length counts. */
const DURATION_MS = Number(process.env['FAULTS_SECONDS'] ?? 20) * 1000
const FAILURES_SHOWN = 12
t.setTimeout(600_000)

for (const scene of SCENES) {
  t.test(scene.name, { skip, timeout: DURATION_MS + 60_000 }, async t => {
    const front: { started?: CausewayFront } = {}
    const kind = {
      start: async (...args: Parameters<typeof CausewayFront.start>) => {
        front.started = await CausewayFront.start(...args)
        return front.started
      },
    }
    const played = await play(t, scene, kind, DURATION_MS)
    holds(t, scene, played)
    if (played.account.failed > 0) explain(t, played, front.started)
    if (front.started !== undefined) await assertClean(t, front.started.running)
  })
}

/** Nothing lost, nothing twice, and no more uncertain than could not be known. */
function holds(t: Test, { mostInside }: Scene, { account, planned }: Played): void {
  t.comment(lineOf(account))
  t.equal(account.sent, planned, 'all were sent')
  t.equal(account.lost.length, 0, 'none lost')
  t.equal(account.twice, 0, 'no POST executed twice')
  t.equal(account.unexecuted, 0, 'whatever was answered had been executed')
  const uncertain = account.insidePosts + account.unreadPosts
  t.ok(uncertain <= mostInside, `${uncertain} POSTs ended inside a broken app, at most ${mostInside} may`)
}

/**
 * What a run with failures says: the first losses on the load's clock, the faults, and how Causeway saw it.
 */
function explain(t: Test, { account, faults, startMs }: Played, front: CausewayFront | undefined): void {
  const sinceStart = (ms: number) => Math.round(ms - startMs)
  for (const { endpoint, fromMs, toMs } of faults) {
    t.comment(`${endpoint} broken from ${sinceStart(fromMs)} to ${sinceStart(toMs)} ms`)
  }
  for (const { id, dueMs, endMs, outcome } of account.lost.slice(0, FAILURES_SHOWN)) {
    t.comment(`lost ${id}: due ${sinceStart(dueMs)}, ended ${sinceStart(endMs)} ms: ${outcome}`)
  }
  const ends = new Map<string, number>()
  for (const { end, method, status } of front?.running.access ?? []) {
    const key = `${method} ${status} ${end}`
    ends.set(key, (ends.get(key) ?? 0) + 1)
  }
  t.comment([...ends].map(([end, count]) => `${count} x ${end}`).join(', '))
}
