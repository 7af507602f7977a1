import t from 'tap'
import { busyShare } from '../lib/server/threads/loop-share.ts'

const reading = (idle: number, active: number) => ({ idle, active, utilization: active / (idle + active) })

t.test('the share of a thread between two readings, never beyond 0 to 1', async t => {
  t.equal(busyShare(reading(100, 100), reading(175, 125)), 0.25)
  t.equal(busyShare(reading(0, 0), reading(0, 10)), 1)
  t.equal(busyShare(reading(5, 5), reading(15, 5)), 0)
})

t.test('the first reading of a thread says nothing, and nor does one that goes backwards', async t => {
  t.equal(busyShare(undefined, reading(100, 100)), undefined)
  t.equal(busyShare(reading(5, 5), reading(5, 5)), undefined)
  t.equal(busyShare(reading(120, 10), reading(100, 30)), undefined)
  t.equal(busyShare(reading(10, 30), reading(100, 20)), undefined)
})
