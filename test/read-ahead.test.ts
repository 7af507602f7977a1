import { createHash, randomBytes } from 'node:crypto'
import { ftruncateSync, readdirSync, readlinkSync } from 'node:fs'
import t, { type Test } from 'tap'
import { CellColumn, createCellMemory } from '../lib/base/cells.ts'
import { Descriptors } from '../lib/base/descriptors.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import { Timers } from '../lib/base/timers.ts'
import { FieldList } from '../lib/http/field-list.ts'
import type { ResponseHead } from '../lib/http/message.ts'
import { Forwarding } from '../lib/proxy/forwarding.ts'
import { Spool } from '../lib/proxy/spool.ts'
import { SPOOL_BLOCK, SPOOL_OUTCOMES } from '../lib/proxy/spool-measures.ts'
import { CountingAttempt } from './support/counting-attempt.ts'
import { FakeClock } from './support/fake-clock.ts'
import { type RecordedRequest, RecordingExchange } from './support/recording-exchange.ts'
import { until } from './support/until.ts'

const KIB = 1024
const MIB = KIB * KIB
/** Longer than an app waits for a client before its response is taken ahead. */
const LONG_MS = 500
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

interface Setup {
  readonly maxBytes?: number
  readonly diskBytes?: number
  readonly folder?: string
  readonly fields?: readonly (readonly [string, string])[]
  readonly request?: Partial<RecordedRequest>
}

/** One answer between an app and a client of which the test is both. */
class Bench {
  readonly clock = new FakeClock()
  readonly timers = new Timers(this.clock)
  readonly cells = new CellColumn(createCellMemory(1, SPOOL_BLOCK.size), 0)
  readonly attempt = new CountingAttempt()
  readonly exchange: RecordingExchange
  readonly job: Forwarding
  readonly spool: Spool

  constructor(t: Test, setup: Setup = {}) {
    const { maxBytes = 1024 * MIB, diskBytes = 1024 * MIB, folder = t.testdir() } = setup
    const { cells, clock, timers } = this
    const limits = { folder, memoryBytes: 64 * KIB, memoryTotalBytes: 64 * MIB, diskBytes }
    const shared = new SharedState(createSharedState(1))
    const descriptors = new Descriptors(shared, 0)
    const env = { clock, timers, cells, shared, descriptors, thread: 0, random: Math.random }
    this.exchange = new RecordingExchange({ target: '/', window: 64 * KIB - 1, ...setup.request })
    this.spool = new Spool(cells, limits, 0)
    this.job = new Forwarding(this.exchange, 0, undefined, {
      room: { spool: this.spool, env, maxBytes },
      mount: undefined,
      files: { serve: () => false },
      priority: 'normal',
    })
    this.job.attempting(this.attempt)
    this.job.answered(headOf(setup.fields ?? []))
  }

  /** The app gives bytes. False: it has to wait. */
  give(bytes: Buffer): boolean {
    const goOn = this.job.answerBytes(bytes, 0, bytes.length)
    this.job.answerFlush()
    return goOn
  }

  pass(ms: number): void {
    this.clock.pass(ms)
    this.timers.advance()
  }

  /** The client takes bytes until there are no more. */
  async drainAll(): Promise<void> {
    await until('the exchange to end', () => {
      this.exchange.drain()
      return this.exchange.ended
    })
  }

  outcome(name: (typeof SPOOL_OUTCOMES)[number]): number {
    const { bodies } = SPOOL_BLOCK.at
    return this.cells.get(bodies + SPOOL_OUTCOMES.length + SPOOL_OUTCOMES.indexOf(name))
  }

  get held(): number[] {
    return [this.cells.get(SPOOL_BLOCK.at.memory), this.cells.get(SPOOL_BLOCK.at.disk)]
  }
}

function headOf(fields: readonly (readonly [string, string])[]): ResponseHead {
  return {
    status: 200,
    reason: 'OK',
    minor: 1,
    fields: FieldList.of(fields),
    framing: 'chunked',
    contentLength: 0,
    declaredLength: undefined,
    connectionNamed: undefined,
    keepAlive: true,
    size: 0,
  }
}

t.test('a client that is slow only for a moment makes the app wait, and nothing is held', async t => {
  const bench = new Bench(t)
  const bytes = randomBytes(64 * KIB)
  t.notOk(bench.give(bytes))
  bench.pass(2)
  bench.exchange.drain()
  t.equal(bench.attempt.resumed, 1)
  t.notOk(bench.give(bytes))
  bench.exchange.drain()
  bench.job.answerEnd()
  t.ok(bench.exchange.complete)
  t.equal(bench.exchange.body.length, 2 * bytes.length)
  t.same(bench.held, [0, 0])
  t.same(
    SPOOL_OUTCOMES.map(name => bench.outcome(name)),
    [0, 0, 0, 0],
  )
})

t.test('a client that stays slow: the app goes on to its end, the client gets it all later', async t => {
  const bench = new Bench(t)
  const bytes = randomBytes(3 * MIB)
  t.notOk(bench.give(bytes.subarray(0, 64 * KIB)))
  bench.pass(LONG_MS)
  t.equal(bench.attempt.resumed, 1, 'goes on')
  for (let at = 64 * KIB; at < bytes.length; at += 50_000) {
    const before = bench.attempt.resumed
    if (!bench.give(bytes.subarray(at, at + 50_000)))
      await until('the app to go on', () => bench.attempt.resumed > before)
  }
  bench.job.answerEnd()
  t.notOk(bench.exchange.ended)
  t.equal(bench.exchange.body.length, 64 * KIB - 1, 'the client has taken nothing more')
  t.ok((bench.held[0] as number) <= 512 * KIB, `in memory: ${bench.held[0]}`)
  await bench.drainAll()
  t.ok(bench.exchange.complete)
  t.equal(hash(bench.exchange.body), hash(bytes))
  t.equal(bench.outcome('file'), 1)
  t.same(bench.held, [0, 0])
})

t.test('short moments add up: an app does not wait for ever in small steps', async t => {
  const bench = new Bench(t)
  const bytes = randomBytes(64 * KIB)
  const waits = Array.from({ length: 10 }, () => {
    const goOn = bench.give(bytes)
    bench.pass(0.5)
    bench.exchange.drain()
    return !goOn
  })
  t.same(waits.slice(0, 3), [true, true, true])
  t.equal(waits.at(-1), false, 'no longer')
  bench.job.answerEnd()
  await bench.drainAll()
  t.equal(bench.exchange.body.length, 10 * bytes.length)
})

t.test('when the client has caught up, bytes go straight to it again', async t => {
  const bench = new Bench(t)
  t.notOk(bench.give(randomBytes(64 * KIB)))
  bench.pass(LONG_MS)
  t.ok(bench.give(randomBytes(1000)))
  bench.exchange.drain()
  t.equal(bench.exchange.body.length, 64 * KIB + 1000)
  t.ok(bench.give(randomBytes(500)))
  t.equal(bench.exchange.body.length, 64 * KIB + 1500)
  t.same(bench.held, [0, 0])
})

t.test('a live stream is never held: its app feels its client', async t => {
  for (const field of [
    ['Content-Type', 'text/event-stream; charset=utf-8'],
    ['content-type', 'Text/Event-Stream'],
    ['X-Accel-Buffering', 'no'],
  ] as const) {
    const bench = new Bench(t, { fields: [field] })
    t.notOk(bench.give(randomBytes(64 * KIB)))
    bench.pass(LONG_MS)
    t.equal(bench.attempt.resumed, 0, field.join(': '))
    t.notOk(bench.give(randomBytes(10)))
    bench.exchange.drain()
    t.equal(bench.attempt.resumed, 1)
    t.equal(bench.exchange.body.length, 64 * KIB + 10)
  }
})

t.test('switched off it holds nothing', async t => {
  const bench = new Bench(t, { maxBytes: 0 })
  t.notOk(bench.give(randomBytes(64 * KIB)))
  bench.pass(LONG_MS)
  t.equal(bench.attempt.resumed, 0)
  bench.exchange.drain()
  t.equal(bench.attempt.resumed, 1)
})

t.test(
  'switched off, or live: of what was read the client gets what it takes, and the rest lies in the account of bodies',
  async t => {
    for (const setup of [{ maxBytes: 0 }, { fields: [['Content-Type', 'text/event-stream']] }] as const) {
      const bench = new Bench(t, setup)
      const bytes = randomBytes(100 * KIB)
      t.notOk(bench.give(bytes))
      t.equal(bench.exchange.body.length, 64 * KIB - 1)
      t.ok((bench.held[0] as number) > 36 * KIB, `${bench.held[0]} bytes in memory`)
      bench.pass(LONG_MS)
      t.equal(bench.held[1], 0, 'nothing in files')
      bench.exchange.drain()
      t.ok(bench.exchange.body.equals(bytes))
      t.same(bench.held, [0, 0])
      t.equal(bench.attempt.resumed, 1)
      t.same(
        SPOOL_OUTCOMES.map(name => bench.outcome(name)),
        [0, 0, 0, 0],
        'that is no answer read ahead',
      )
    }
  },
)

t.test('a client that takes nothing is the first to go when there is no more memory', async t => {
  const bench = new Bench(t, { diskBytes: 0 })
  bench.spool.takeMemory(59 * MIB)
  t.notOk(bench.give(randomBytes(64 * KIB + 5000)))
  t.notOk(bench.exchange.ended)
  bench.spool.takeMemory(4 * MIB)
  t.notOk(bench.give(randomBytes(64 * KIB)))
  t.ok(bench.exchange.ended)
  t.equal(bench.exchange.failure, 'SPOOL_FAILED')
  t.match(bench.exchange.record.detail, /server\.spool\.memory_total is exhausted/)
  t.equal(bench.attempt.cancelled, 1)
  t.equal(bench.held[0], 63 * MIB, 'it has given back what it had')
  t.equal(bench.outcome('full'), 1)
})

t.test('at its limit the app waits until the client has taken what is held', async t => {
  const bench = new Bench(t, { maxBytes: 200 * KIB })
  const bytes = randomBytes(2 * MIB)
  let at = 64 * KIB
  t.notOk(bench.give(bytes.subarray(0, at)))
  bench.pass(LONG_MS)
  const give = () => {
    const goOn = bench.give(bytes.subarray(at, at + 32 * KIB))
    at += 32 * KIB
    return goOn
  }
  let stops = 0
  while (at < bytes.length) {
    const before = bench.attempt.resumed
    if (give()) continue
    stops += 1
    t.ok((bench.held[1] as number) <= 200 * KIB, `in the file: ${bench.held[1]}`)
    await until('the app to go on', () => {
      bench.exchange.drain()
      return bench.attempt.resumed > before
    })
  }
  t.ok(stops > 2, `stopped ${stops} times`)
  bench.job.answerEnd()
  await bench.drainAll()
  t.equal(hash(bench.exchange.body), hash(bytes))
  t.same(bench.held, [0, 0])
})

for (const [what, setup, detail] of [
  ['no room in files', { diskBytes: 1000 }, /server\.spool\.disk is exhausted/],
  ['a folder that cannot be written', { folder: '/nowhere/at/all' }, /server\.spool\.folder: ENOENT/],
] as const) {
  t.test(`${what} is no error: the app waits for the client`, async t => {
    const bench = new Bench(t, setup)
    const bytes = randomBytes(MIB)
    let at = 64 * KIB
    t.notOk(bench.give(bytes.subarray(0, at)))
    bench.pass(LONG_MS)
    while (at < bytes.length) {
      const before = bench.attempt.resumed
      const goOn = bench.give(bytes.subarray(at, at + 32 * KIB))
      at += 32 * KIB
      if (!goOn)
        await until('the app to go on', () => {
          bench.exchange.drain()
          return bench.attempt.resumed > before
        })
    }
    t.ok((bench.held[0] as number) <= 512 * KIB, `in memory: ${bench.held[0]}`)
    bench.job.answerEnd()
    await bench.drainAll()
    t.ok(bench.exchange.complete)
    t.equal(hash(bench.exchange.body), hash(bytes))
    t.match(bench.exchange.record.detail, detail)
    t.equal(bench.outcome('full'), 1)
    t.same(bench.held, [0, 0])
  })
}

for (const [what, setup] of [
  ['succeeds', {}],
  ['fails', { folder: '/nowhere/at/all' }],
] as const) {
  t.test(`a client that has taken all before a write to the file ${what} leaves no app waiting`, async t => {
    const bench = new Bench(t, setup)
    t.notOk(bench.give(randomBytes(64 * KIB)))
    bench.pass(LONG_MS)
    t.ok(bench.give(randomBytes(130 * KIB)), 'a write begins')
    const before = bench.attempt.resumed
    t.notOk(bench.give(randomBytes(200 * KIB)), 'and more is waiting than may')
    for (let i = 0; i < 10; i += 1) bench.exchange.drain()
    t.equal(bench.exchange.body.length, 394 * KIB, 'all in this turn')
    await until('the app to go on', () => bench.attempt.resumed > before)
    bench.give(randomBytes(KIB))
    bench.job.answerEnd()
    await bench.drainAll()
    t.ok(bench.exchange.complete)
    t.equal(bench.exchange.body.length, 395 * KIB)
    t.same(bench.held, [0, 0])
  })
}

t.test(
  'an app that dies in mid-answer: what it gave is delivered, then the message is broken off',
  async t => {
    const bench = new Bench(t)
    const bytes = randomBytes(500_000)
    t.notOk(bench.give(bytes.subarray(0, 64 * KIB)))
    bench.pass(LONG_MS)
    bench.give(bytes.subarray(64 * KIB))
    bench.job.failed('UPSTREAM_TRUNCATED', 'closed the connection within its response')
    t.notOk(bench.exchange.ended)
    await bench.drainAll()
    t.equal(bench.exchange.failure, 'UPSTREAM_TRUNCATED')
    t.notOk(bench.exchange.complete)
    t.equal(hash(bench.exchange.body), hash(bytes))
    t.same(bench.held, [0, 0])
  },
)

t.test('a file that cannot be read breaks the answer off: never a shorter one', async t => {
  const folder = t.testdir()
  const bench = new Bench(t, { folder })
  t.notOk(bench.give(randomBytes(64 * KIB)))
  bench.pass(LONG_MS)
  bench.give(randomBytes(MIB))
  bench.job.answerEnd()
  await until('it to be written', () => bench.held[0] === 0)
  for (const fd of readdirSync('/proc/self/fd')) if (isIn(folder, fd)) ftruncateSync(Number(fd), 1000)
  await bench.drainAll()
  t.equal(bench.exchange.failure, 'SPOOL_FAILED')
  t.notOk(bench.exchange.complete)
  t.equal(bench.outcome('full'), 1)
  t.equal(bench.outcome('abandoned'), 0)
  t.same(bench.held, [0, 0])
})

function isIn(folder: string, fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder)
  } catch {
    return false
  }
}

t.test('a client that leaves frees what is held and ends the attempt', async t => {
  const bench = new Bench(t)
  t.notOk(bench.give(randomBytes(64 * KIB)))
  bench.pass(LONG_MS)
  bench.give(randomBytes(MIB))
  bench.exchange.leave()
  t.equal(bench.attempt.cancelled, 1)
  t.equal(bench.outcome('abandoned'), 1)
  await until('all to be given back', () => bench.held.every(bytes => bytes === 0))
})

t.test('a client that leaves after the app has ended frees what is held', async t => {
  const bench = new Bench(t)
  t.notOk(bench.give(randomBytes(64 * KIB)))
  bench.pass(LONG_MS)
  bench.give(randomBytes(MIB))
  bench.job.answerEnd()
  bench.exchange.leave()
  t.equal(bench.attempt.cancelled, 0, 'there is none any more')
  await until('all to be given back', () => bench.held.every(bytes => bytes === 0))
})
