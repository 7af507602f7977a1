import t from 'tap'
import { Periodic } from '../lib/base/periodic.ts'
import { type Deadline, Timers } from '../lib/base/timers.ts'
import { FakeClock } from './support/fake-clock.ts'

class Alarm implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly rang: number[] = []
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  expired(): void {
    this.rang.push(this.#clock.now())
  }
}

function bench(failed?: (error: unknown) => void) {
  const clock = new FakeClock()
  const timers = new Timers(clock, failed)
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

t.test('what one deadline throws is reported and does not touch the others of its tick', async t => {
  const reported: unknown[] = []
  const { clock, timers, pass } = bench(error => reported.push(error))
  const alarms = Array.from({ length: 5 }, () => new Alarm(clock))
  const error = new Error('thrown by a deadline')
  for (const at of [0, 2, 4]) {
    ;(alarms[at] as Alarm).expired = () => {
      throw error
    }
  }
  for (const alarm of alarms) timers.arm(alarm, 100)
  pass(200)
  t.same(
    alarms.map(({ rang }) => rang.length),
    [0, 1, 0, 1, 0],
  )
  t.same(reported, [error, error, error])
})

t.test('an error that nobody is told of is thrown, but only when the others have had their turn', async t => {
  const { clock, timers, pass, alarm } = bench()
  const broken = new Alarm(clock)
  broken.expired = () => {
    throw new Error('not swallowed')
  }
  const thrown = new Promise<Error>(resolve => {
    process.once('uncaughtException', resolve)
  })
  const others = process.listeners('uncaughtException').slice(0, -1)
  for (const listener of others) process.off('uncaughtException', listener)
  timers.arm(broken, 100)
  timers.arm(alarm, 100)
  pass(200)
  t.equal(alarm.rang.length, 1)
  t.equal((await thrown).message, 'not swallowed')
  for (const listener of others) process.on('uncaughtException', listener)
})

t.test('periodic work goes on after it has thrown', async t => {
  const reported: unknown[] = []
  const { timers, pass } = bench(error => reported.push(error))
  let runs = 0
  const work = new Periodic(timers, 1_000, () => {
    runs += 1
    if (runs % 2 === 1) throw new Error(`run ${runs}`)
  })
  work.start()
  pass(5_500)
  t.equal(runs, 5)
  t.equal(reported.length, 3)
  work.stop()
  pass(5_000)
  t.equal(runs, 5)
})

t.test('periodic work may stop itself, or be begun by a run that throws', async t => {
  const { timers, pass } = bench()
  let runs = 0
  const once = new Periodic(timers, 1_000, () => {
    runs += 1
    once.stop()
  })
  once.start()
  pass(5_000)
  t.equal(runs, 1)
  t.notOk(once.started)
  const first = new Periodic(timers, 1_000, () => {
    runs += 1
    if (runs === 2) throw new Error('the first time')
  })
  t.throws(() => first.run(), /the first time/)
  pass(1_500)
  t.equal(runs, 3)
})

t.test(
  'periodic work that takes longer than its time is not begun twice, and a rejection ends nothing',
  async t => {
    const reported: unknown[] = []
    const { timers, pass } = bench(error => reported.push(error))
    const turns: PromiseWithResolvers<void>[] = []
    const work = new Periodic(timers, 1_000, () => {
      const turn = Promise.withResolvers<void>()
      turns.push(turn)
      return turn.promise
    })
    work.start()
    pass(5_000)
    t.equal(turns.length, 1)
    const error = new Error('rejected')
    turns[0]?.reject(error)
    await new Promise(resolve => setImmediate(resolve))
    t.same(reported, [error])
    pass(1_500)
    t.equal(turns.length, 2)
  },
)

t.test('a pause of the whole machine makes nobody late: deadlines go on where they were', async t => {
  const clock = new FakeClock()
  const timers = new Timers(clock)
  let cpuMs = 0
  const fired: string[] = []
  const named = (name: string) => ({
    dueMs: Number.POSITIVE_INFINITY,
    tick: undefined,
    expired: () => void fired.push(name),
  })
  const tick = (ms: number, worksMs: number) => {
    clock.pass(ms)
    cpuMs += worksMs
    timers.ticked(cpuMs)
    timers.advance()
  }
  tick(0, 0)
  timers.arm(named('before'), 1000)
  tick(60_000, 1)
  t.same(fired, [], 'nothing is due because the machine slept')
  timers.arm(named('behind'), 1500)
  for (let n = 0; n < 22; n += 1) tick(50, 1)
  t.same(fired, ['before'])
  for (let n = 0; n < 10; n += 1) tick(50, 1)
  t.same(fired, ['before', 'behind'])
  timers.arm(named('busy'), 1000)
  tick(3000, 2950)
  t.same(fired.at(-1), 'busy', 'a thread that has worked all the time is late itself')
})
