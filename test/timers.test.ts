import t from 'tap'
import { type Deadline, Timers } from '../lib/base/timers.ts'
import { FakeClock } from './support/fake-clock.ts'

class Alarm implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  slot: number | undefined = undefined
  readonly rang: number[] = []
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  expired(): void {
    this.rang.push(this.#clock.now())
  }
}

function bench() {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      clock.pass(10)
      timers.advance()
    }
  }
  return { clock, timers, pass, alarm: new Alarm(clock) }
}

t.test('a deadline fires once, never early, less than a tick late', async t => {
  for (const delay of [1, 49, 50, 51, 999, 5_000, 30_000, 75_000]) {
    const { clock, timers, pass, alarm } = bench()
    const start = clock.now()
    timers.arm(alarm, delay)
    pass(delay + 200)
    t.equal(alarm.rang.length, 1, `${delay} ms`)
    const late = (alarm.rang[0] as number) - start - delay
    t.ok(late >= 0 && late <= 60, `${delay} ms came ${late} ms late`)
  }
})

t.test('arming again to a later time puts it off, to an earlier time brings it forward', async t => {
  const { timers, pass, alarm } = bench()
  timers.arm(alarm, 1_000)
  pass(500)
  timers.arm(alarm, 1_000)
  pass(900)
  t.equal(alarm.rang.length, 0)
  timers.arm(alarm, 10)
  pass(100)
  t.equal(alarm.rang.length, 1)
})

t.test('a disarmed deadline does not fire', async t => {
  const { timers, pass, alarm } = bench()
  timers.arm(alarm, 100)
  timers.disarm(alarm)
  pass(1_000)
  t.equal(alarm.rang.length, 0)
})

t.test('a deadline may arm itself again while it fires', async t => {
  const { clock, timers, pass } = bench()
  const alarm = new Alarm(clock)
  alarm.expired = () => {
    alarm.rang.push(clock.now())
    if (alarm.rang.length < 3) timers.arm(alarm, 100)
  }
  timers.arm(alarm, 100)
  pass(1_000)
  t.equal(alarm.rang.length, 3)
})

t.test('after a stall longer than a whole round everything due fires once', async t => {
  const { clock, timers, alarm } = bench()
  const far = new Alarm(clock)
  timers.arm(alarm, 5_000)
  timers.arm(far, 10 * 60_000)
  clock.pass(120_000)
  timers.advance()
  t.equal(alarm.rang.length, 1)
  t.equal(far.rang.length, 0, 'what is not due stays')
})

t.test('one that is disarmed by another in the same tick does not fire', async t => {
  const { clock, timers, pass } = bench()
  const second = new Alarm(clock)
  const first = new Alarm(clock)
  first.expired = () => timers.disarm(second)
  timers.arm(first, 100)
  timers.arm(second, 100)
  pass(500)
  t.equal(second.rang.length, 0)
})
