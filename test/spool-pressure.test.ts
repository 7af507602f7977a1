import t from 'tap'
import { type PressedLog, SpoolPressure } from '../lib/proxy/spool-pressure.ts'

const MIB = 1024 * 1024
const TOTAL = 64 * MIB
/** Less than an eighth of it; enough of it that all is well. */
const SHORT = 7 * MIB
const PLENTY = 40 * MIB

/** Memory as it is said to be, and logs that say what was asked of them. */
class Bench {
  readonly room = { memoryTotalBytes: TOTAL, freeBytes: PLENTY, isNearlyOut: false }
  readonly pressure = new SpoolPressure(this.room)
  readonly calls: string[] = []
  /** Clocks count from when the machine started. */
  nowMs = 100_000_000

  /** A log that takes bytes. */
  log(name: string, on: Partial<PressedLog> = {}): PressedLog {
    const log: PressedLog = {
      evict: () => this.calls.push(`evict ${name}`),
      hold: () => this.calls.push(`hold ${name}`),
      release: () => this.calls.push(`release ${name}`),
      diskRoom: () => this.calls.push(`room ${name}`),
      giveUp: () => this.calls.push(`give up ${name}`),
      yields: false,
      isTaken: false,
      giveWay: () => this.calls.push(`give way ${name}`),
      ...on,
    }
    this.pressure.begins(log)
    return log
  }

  /** In ticks of 100 ms. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 100) this.jump(100)
  }

  jump(ms: number): void {
    this.nowMs += ms
    this.pressure.ticked(this.nowMs)
  }

  /** What was asked since the last time, once each. */
  asked(): string[] {
    return [...new Set(this.calls.splice(0))]
  }
}

const asked = (what: string, names: readonly string[]) => names.map(name => `${what} ${name}`)

t.test('while there is memory nobody is stopped', async t => {
  const bench = new Bench()
  bench.room.freeBytes = TOTAL / 8
  bench.pressure.took(bench.log('a'))
  t.same(bench.asked(), [])
  t.notOk(bench.pressure.tight)
})

t.test('when it is short all are stopped, and the oldest go to files, a few at a time', async t => {
  const bench = new Bench()
  const names = Array.from({ length: 20 }, (_, i) => `${i}`)
  const logs = names.map(name => bench.log(name, { evict: () => undefined }))
  const written: string[] = []
  for (const [i, log] of logs.entries()) {
    log.evict = () => {
      written.push(names[i] as string)
      bench.pressure.writes(log)
    }
    bench.pressure.took(log)
  }
  bench.asked()
  bench.room.freeBytes = SHORT
  bench.pressure.took(logs[19] as PressedLog)
  t.ok(bench.pressure.tight)
  t.same(bench.asked(), asked('hold', names), 'in the order in which they began')
  t.same(written, names.slice(0, 16), 'as many as threads may write')
  bench.pressure.written()
  await Promise.resolve()
  t.same(written, names.slice(0, 17), 'the next when one has been written')
  const late = bench.log('late')
  bench.pressure.took(late)
  t.same(bench.asked(), ['hold late'], 'and whoever comes meanwhile')
})

t.test('they go on in the order in which they were stopped, as many as there is room for', async t => {
  const bench = new Bench()
  const names = ['a', 'b', 'c', 'd']
  const logs = names.map(name => bench.log(name))
  bench.room.freeBytes = SHORT
  bench.pressure.took(logs[0] as PressedLog)
  bench.asked()
  bench.room.freeBytes = TOTAL / 4 - 1
  bench.pass(100)
  t.same(bench.asked(), [], 'not before a quarter is free')
  bench.room.freeBytes = TOTAL / 4
  bench.pass(100)
  t.same(bench.asked(), asked('release', names))
  t.notOk(bench.pressure.tight)
  bench.room.freeBytes = SHORT
  bench.pressure.took(logs[2] as PressedLog)
  bench.pressure.settles(logs[1] as PressedLog)
  bench.asked()
  bench.room.freeBytes = TOTAL / 4
  // The first of them takes all that came free.
  const [first] = logs as [PressedLog]
  first.release = () => {
    bench.calls.push('release a')
    bench.room.freeBytes = SHORT
    bench.pressure.took(first)
  }
  bench.pass(100)
  t.same(bench.asked(), ['release a', 'hold a', 'evict a'], 'and nobody behind it')
})

t.test('who has waited for memory in vain for long is given up', async t => {
  const bench = new Bench()
  const logs = ['a', 'b'].map(name => bench.log(name))
  bench.room.freeBytes = SHORT
  bench.pressure.took(logs[0] as PressedLog)
  bench.asked()
  bench.pass(9_900)
  t.same(bench.asked(), [])
  bench.pass(200)
  t.same(bench.asked(), ['give up a', 'give up b'])
})

t.test('room in files is had in the order of asking', async t => {
  const bench = new Bench()
  const [a, b] = ['a', 'b'].map(name => bench.log(name)) as [PressedLog, PressedLog]
  t.ok(bench.pressure.isNextForDisk(a), 'at once, where nobody waits')
  bench.pressure.waitForDisk(a)
  bench.pressure.waitForDisk(b)
  t.ok(bench.pressure.isNextForDisk(a))
  t.notOk(bench.pressure.isNextForDisk(b))
  bench.pressure.diskCameFree()
  await Promise.resolve()
  t.same(bench.asked(), ['room a'], 'the next is not asked before the first has it')
  bench.pass(9_000)
  bench.pressure.hasDisk(a)
  bench.asked()
  bench.pass(2_000)
  t.same(bench.asked(), ['room b'], 'somebody got on: b is not given up')
  bench.pass(9_000)
  t.same(bench.asked(), ['room b', 'give up b'])
  bench.pressure.settles(b)
  t.ok(bench.pressure.isNextForDisk(a))
})

t.test('of those whose length nobody knows the oldest goes on where there is little', async t => {
  const bench = new Bench()
  const [a, b] = ['a', 'b'].map(name => bench.log(name)) as [PressedLog, PressedLog]
  t.ok(bench.pressure.mayGrow(a))
  t.notOk(bench.pressure.mayGrow(b))
  bench.pressure.waitForDisk(b)
  bench.pressure.settles(a)
  await Promise.resolve()
  t.same(bench.asked(), ['room b'])
  t.ok(bench.pressure.mayGrow(b))
})

t.test(
  'the oldest of unknown length is asked although others wait before it: they may wait for what it holds',
  async t => {
    const bench = new Bench()
    const [older, newer] = ['older', 'newer'].map(name => bench.log(name)) as [PressedLog, PressedLog]
    t.ok(bench.pressure.mayGrow(older))
    t.notOk(bench.pressure.mayGrow(newer))
    bench.pressure.waitForDisk(newer)
    bench.pressure.waitForDisk(older)
    bench.pressure.diskCameFree()
    await Promise.resolve()
    t.same(bench.asked(), ['room newer', 'room older'])
  },
)

t.test('what one that is given up leaves behind goes to the next, who is not given up with it', async t => {
  const bench = new Bench()
  const [a, b] = ['a', 'b'].map(name => bench.log(name)) as [PressedLog, PressedLog]
  let free = false
  a.giveUp = () => {
    bench.calls.push('give up a')
    bench.pressure.settles(a)
    free = true
  }
  b.diskRoom = () => {
    bench.calls.push('room b')
    if (free) bench.pressure.hasDisk(b)
  }
  bench.pressure.waitForDisk(a)
  bench.pressure.waitForDisk(b)
  bench.pass(10_100)
  t.same(bench.asked(), ['room a', 'give up a', 'room b'])
})

t.test('nobody is given up for having come before the first tick, or for a pause of the machine', async t => {
  const bench = new Bench()
  const log = bench.log('a')
  bench.pressure.waitForDisk(log)
  bench.jump(100)
  bench.jump(3_600_000)
  t.same(bench.asked(), ['room a'])
  bench.pass(8_900)
  t.notOk(bench.asked().includes('give up a'))
  bench.pass(100)
  t.ok(bench.asked().includes('give up a'))
})

t.test(
  'for one that yields others give way, first those whose readers have taken nothing for longest',
  async t => {
    const bench = new Bench()
    const yields = { yields: true }
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => bench.log(name, yields)) as PressedLog[]
    const upload = bench.log('upload')
    for (const log of [a, upload, b, c, d]) bench.pressure.took(log as PressedLog)
    t.ok(bench.pressure.mayYieldingTake(d as PressedLog))
    bench.asked()
    bench.room.isNearlyOut = true
    bench.pressure.moved(a as PressedLog)
    const giveWay = (log: PressedLog, name: string, enough: boolean) => {
      log.giveWay = () => {
        bench.calls.push(`give way ${name}`)
        bench.pressure.left(log)
        bench.room.isNearlyOut = !enough
      }
    }
    giveWay(b as PressedLog, 'b', false)
    giveWay(c as PressedLog, 'c', true)
    t.ok(bench.pressure.mayYieldingTake(d as PressedLog))
    t.same(bench.asked(), ['give way b', 'give way c'], 'no more than are needed')
    bench.room.isNearlyOut = true
    bench.pressure.writes(a as PressedLog)
    t.notOk(bench.pressure.mayYieldingTake(d as PressedLog), 'there is nobody else')
    t.same(bench.asked(), [], 'neither what is on its way to a file, nor an upload')
  },
)

t.test('those of which nothing was ever taken give way before one whose reader gets on', async t => {
  const bench = new Bench()
  const gone = (name: string): Partial<PressedLog> => ({
    yields: true,
    giveWay: () => bench.calls.push(`give way ${name}`),
  })
  const steady = bench.log('steady', { ...gone('steady'), isTaken: true })
  const [first, newest] = ['first', 'newest'].map(name => bench.log(name, gone(name))) as [
    PressedLog,
    PressedLog,
  ]
  for (const log of [steady, first, newest]) bench.pressure.took(log)
  bench.asked()
  bench.room.isNearlyOut = true
  t.notOk(bench.pressure.mayYieldingTake(newest))
  t.same(bench.asked(), ['give way first', 'give way steady'])
})
