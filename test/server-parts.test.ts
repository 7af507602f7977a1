import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { CellColumn, createCellMemory } from '../lib/base/cells.ts'
import { Descriptors } from '../lib/base/descriptors.ts'
import { LineRingWriter } from '../lib/base/line-ring.ts'
import { createSharedState, SharedState } from '../lib/base/shared-state.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { Timers } from '../lib/base/timers.ts'
import { refuseAdmin } from '../lib/server/admin/admin-guard.ts'
import { Heartbeat } from '../lib/server/data/heartbeat.ts'
import { Ejection } from '../lib/server/health/ejection.ts'
import { SpoolWatch } from '../lib/server/load/spool-watch.ts'
import { type ReloadResult, Reloads } from '../lib/server/rollout/reloads.ts'
import { claimAddress } from '../lib/server/shared/address-claim.ts'
import { Backoff } from '../lib/server/shared/backoff.ts'
import { AccessCollector } from '../lib/server/threads/access-collector.ts'
import { LineSplitter } from '../lib/server/workers/line-splitter.ts'
import { FakeClock } from './support/fake-clock.ts'

t.test('Backoff', async t => {
  t.test('delays double up to the limit, and a long life makes them short again', async t => {
    const backoff = new Backoff({ firstMs: 250, maxMs: 1000, resetAfterMs: 10_000 })
    t.same(
      [0, 0, 0, 0].map(life => backoff.delayAfter(life)),
      [250, 500, 1000, 1000],
    )
    t.equal(backoff.delayAfter(10_000), 250)
    t.equal(backoff.delayAfter(9_999), 500)
  })
})

t.test('LineSplitter', async t => {
  const split = (...pieces: string[]) => {
    const lines: string[] = []
    const splitter = new LineSplitter(line => lines.push(line) > 0)
    for (const piece of pieces) splitter.push(Buffer.from(piece))
    splitter.end()
    return lines
  }
  t.test(
    'lines are put together from pieces, empty ones left out, line ends of any kind removed',
    async t => {
      t.same(split('one\ntw', 'o\r\n\n', 'three'), ['one', 'two', 'three'])
    },
  )
  t.test('an endless line is cut, and the next one is whole again', async t => {
    const lines = split('x'.repeat(5000), 'x'.repeat(5000), 'x'.repeat(5000), '\nnext\n')
    t.equal(lines.length, 2)
    t.equal(lines[0], `${'x'.repeat(8192)} [cut]`)
    t.equal(lines[1], 'next')
  })
  t.test('characters that come in pieces are put together', async t => {
    const lines: string[] = []
    const splitter = new LineSplitter(line => lines.push(line) > 0)
    for (const byte of Buffer.from('Zoë €\n')) splitter.push(Buffer.from([byte]))
    t.same(lines, ['Zoë €'])
  })
  t.test('lines that are not taken are counted, and none comes torn', async t => {
    const lines: string[] = []
    const splitter = new LineSplitter(line => lines.length < 2 && lines.push(line) > 0)
    t.equal(splitter.push(Buffer.from('a\nb\nc\nd\ne')), 2)
    lines.length = 0
    t.equal(splitter.push(Buffer.from('e\nf\ng')), 1, 'the end of the line whose beginning is lost')
    t.equal(splitter.skip(Buffer.from('g\nh\ni')), 2)
    t.equal(splitter.skip(Buffer.from('i')), 0)
    t.equal(splitter.push(Buffer.from('\nj\n')), 1)
    t.equal(splitter.end(), 0)
    t.same(lines, ['f', 'j'])
    t.equal(splitter.skip(Buffer.from('k')) + splitter.end(), 1)
  })
})

t.test('Heartbeat', async t => {
  const make = () => {
    const clock = new FakeClock()
    const timers = new Timers(clock)
    const shared = new SharedState(createSharedState(1))
    const cells = new CellColumn(createCellMemory(1), 0)
    const descriptors = new Descriptors(shared, 0)
    const env: ThreadEnv = { clock, timers, cells, shared, descriptors, thread: 0, random: () => 0 }
    const reports: number[] = []
    const own: number[] = []
    let cpuMs = 0
    const heartbeat = new Heartbeat(
      env,
      delayMs => reports.push(Math.round(delayMs)),
      delayMs => own.push(Math.round(delayMs)),
      () => cpuMs,
    )
    heartbeat.start()
    const tick = (ms = 50, worksMs = 0) => {
      clock.pass(ms)
      cpuMs += worksMs
      timers.advance()
    }
    return { shared, reports, own, tick }
  }
  t.test('beats four times a second', async t => {
    const { shared, tick } = make()
    const before = shared.beats(0)
    for (let n = 0; n < 40; n += 1) tick()
    t.equal(shared.beats(0) - before, 8)
  })
  t.test('reports every five seconds by how much the latest tick was late, then forgets it', async t => {
    const { reports, tick } = make()
    tick(320)
    for (let n = 0; n < 200; n += 1) tick()
    t.same(reports, [270, 0])
  })
  t.test('a thread is late by its own work, not by what others do on the machine', async t => {
    const { own, tick } = make()
    tick(3050, 3040)
    tick(3050, 5)
    tick(1050, 400)
    const late = own.filter(delayMs => delayMs > 0)
    t.same(late, [3000, 5, 400])
  })
})

t.test('AccessCollector', async t => {
  const make = () => {
    const clock = new FakeClock()
    const timers = new Timers(clock)
    const taken: [string | undefined, number][] = []
    const take = (lines: Buffer | undefined, dropped: number) => taken.push([lines?.toString(), dropped])
    const collector = new AccessCollector({ threads: 2, timers, take })
    const writers = collector.rings.map(ring => new LineRingWriter(ring))
    const look = () => {
      clock.pass(200)
      timers.advance()
    }
    return { collector, writers, taken, look }
  }
  t.test('lines of each thread are taken together, at the next look', async t => {
    const { writers, taken, look } = make()
    writers[0]?.write('a\n')
    writers[1]?.write('b\n')
    writers[0]?.write('c\n')
    t.same(taken, [])
    look()
    t.same(taken, [
      ['a\nc\n', 0],
      ['b\n', 0],
    ])
    look()
    t.equal(taken.length, 2, 'an empty ring is no news')
  })
  t.test('while nobody takes them over lines are dropped and counted, never kept without end', async t => {
    const { writers, taken, look } = make()
    const line = `${'x'.repeat(64 * 1024 - 1)}\n`
    for (let n = 0; n < 70; n += 1) writers[0]?.write(line)
    look()
    const [lines, dropped] = taken[0] as [string, number]
    t.equal(lines.length / line.length + dropped, 70)
    t.ok(dropped >= 6, '4 MiB are kept at most')
    writers[0]?.write('again\n')
    look()
    t.same(taken[1], ['again\n', 0], 'there is room again')
  })
  t.test('the rest is taken at the end', async t => {
    const { collector, writers, taken } = make()
    writers[1]?.write('last\n')
    collector.stop()
    t.same(taken, [['last\n', 0]])
  })
})

t.test('Ejection', async t => {
  const make = () => {
    const clock = new FakeClock()
    const timers = new Timers(clock)
    const over: number[] = []
    const luck = { random: 0.5 }
    const ejection = new Ejection({
      clock,
      timers,
      random: () => luck.random,
      over: () => over.push(clock.nowMs),
    })
    const pass = (ms: number) => {
      clock.pass(ms)
      timers.advance()
    }
    return { ejection, over, pass, luck }
  }
  t.test('each lasts longer than the one before, up to ten times', async t => {
    const { ejection, over, pass } = make()
    const grown: number[] = []
    for (let n = 0; n < 12; n += 1) {
      const forMs = ejection.begin(1000)
      grown.push(forMs)
      t.ok(ejection.running)
      pass(forMs + 100)
      t.notOk(ejection.running)
    }
    t.same(grown, [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 10_000, 10_000])
    t.equal(over.length, 12)
  })
  t.test('a tenth more or less, so that what went out together does not come back together', async t => {
    const { ejection, luck } = make()
    luck.random = 0
    t.equal(ejection.begin(1000), 900)
    luck.random = 0.999
    t.equal(ejection.begin(1000), 1100)
  })
  t.test('a dropped one ends without a word; a forgiven one with', async t => {
    const { ejection, over, pass } = make()
    ejection.begin(1000)
    ejection.drop()
    pass(2000)
    t.same(over, [])
    ejection.begin(1000)
    ejection.forgive()
    ejection.forgive()
    t.equal(over.length, 1)
    pass(5000)
    t.equal(over.length, 1)
  })
  t.test('after a quiet time of ten ejections the next is the first again', async t => {
    const { ejection, pass } = make()
    ejection.begin(1000)
    pass(1100)
    pass(9900)
    t.equal(ejection.begin(1000), 2000)
    pass(2100)
    pass(10_000)
    t.equal(ejection.begin(1000), 1000)
  })
})

t.test('Reloads', async t => {
  t.test('one at a time; whoever asks meanwhile shares exactly one more', async t => {
    const gates: PromiseWithResolvers<void>[] = []
    const reloads = new Reloads(async () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      await gate.promise
      return {
        ok: gates.length === 1,
        at: '',
        generation: gates.length,
        hash: '',
        problems: [],
        warnings: [],
      } satisfies ReloadResult
    })
    const first = reloads.request()
    const second = reloads.request()
    const third = reloads.request()
    t.equal(gates.length, 1, 'the second has not begun')
    gates[0]?.resolve()
    t.equal((await first).generation, 1)
    await new Promise(setImmediate)
    t.equal(gates.length, 2)
    gates[1]?.resolve()
    t.equal(await second, await third)
    t.same(reloads.counts, { success: 1, failure: 1 })
    t.equal(reloads.last?.generation, 2)
  })
})

t.test('SpoolWatch', async t => {
  t.test('a folder that does not answer says nothing about the one that takes its place', async t => {
    const clock = new FakeClock()
    const timers = new Timers(clock)
    const events: string[] = []
    const log = (_facts: object, event: string) => void events.push(event)
    const unanswered: (() => void)[] = []
    let folder = '/gone'
    const watch = new SpoolWatch({
      timers,
      log: { debug: log, info: log, warn: log, error: log, fatal: log },
      folder: () => folder,
      attempt: (tried, done) => {
        if (tried === '/gone') unanswered.push(() => done(undefined))
        else done(undefined)
      },
    })
    const pass = (ms: number) => {
      for (let passedMs = 0; passedMs < ms; passedMs += 50) {
        clock.pass(50)
        timers.advance()
      }
    }
    watch.look()
    pass(10_100)
    t.match(watch.problem, /\/gone does not respond/)
    folder = '/here'
    watch.look()
    t.equal(watch.problem, undefined)
    pass(30_100)
    t.equal(watch.problem, undefined, 'nor later')
    for (const answer of unanswered) answer()
    t.same(events, [
      'spool folder cannot be used: uploads that do not fit into memory get a 503',
      'spool folder can be written again',
    ])
    watch.stop()
  })
})

t.test('refuseAdmin', async t => {
  const loopback = { kind: 'tcp', host: '127.0.0.1', port: 9180 } as const
  const ask = (host: string | undefined, authorization?: string) => ({
    method: 'GET',
    host,
    authorization,
    open: false,
  })
  t.test('without a token: loopback names and the bound address only (DNS rebinding)', async t => {
    for (const host of ['localhost', 'localhost:9180', '127.0.0.1:9180', '[::1]:9180', 'LOCALHOST:1']) {
      t.equal(refuseAdmin(ask(host), loopback, undefined), undefined, host)
    }
    for (const host of [
      'evil.example',
      'evil.example:9180',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '',
      undefined,
    ]) {
      t.equal(refuseAdmin(ask(host), loopback, undefined)?.status, 403, String(host))
    }
    const other = { kind: 'tcp', host: '10.0.0.5', port: 9180 } as const
    t.equal(refuseAdmin(ask('10.0.0.5:9180'), other, undefined), undefined)
  })
  t.test('with a token nothing but the token counts', async t => {
    t.equal(refuseAdmin(ask('evil.example', 'Bearer s3cret'), loopback, 's3cret'), undefined)
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer s3cre',
      'Bearer s3cret2',
      'Basic s3cret',
      's3cret',
    ]) {
      t.equal(
        refuseAdmin(ask('localhost', authorization), loopback, 's3cret')?.status,
        401,
        String(authorization),
      )
    }
  })
  t.test('a unix socket has no names; pages that say only yes or no are for everyone', async t => {
    t.equal(refuseAdmin(ask('anything'), { kind: 'unix', path: '/run/a.sock' }, undefined), undefined)
    t.equal(refuseAdmin({ ...ask('pod.example'), open: true }, loopback, 's3cret'), undefined)
  })
})

t.test('claimAddress', async t => {
  const none = new Set<number>()
  t.test('a port that somebody has is refused, even if they would share it', async t => {
    const server = createServer()
    await new Promise<void>(done => server.listen({ port: 0, host: '127.0.0.1', reusePort: true }, done))
    t.teardown(() => server.close())
    const bound = server.address()
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const
    await t.rejects(claimAddress(address, none), { name: 'AddressTaken', message: / is already in use: / })
    await t.resolves(claimAddress(address, new Set([port])), 'but it may be one of our own')
  })
  t.test('port 0 becomes a free port', async t => {
    const claim = await claimAddress({ kind: 'tcp', host: '127.0.0.1', port: 0 }, none)
    t.teardown(() => claim.release())
    t.ok(claim.address.kind === 'tcp' && claim.address.port > 0)
  })
  t.test('a socket file that nobody listens on is removed; any other file is refused', async t => {
    // Short: a socket's path holds 107 bytes.
    const folder = mkdtempSync(join(tmpdir(), 'claim-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'live.sock')
    const stale = join(folder, 'stale.sock')
    const plain = join(folder, 'plain.sock')
    const server = createServer()
    await new Promise<void>(done => server.listen(path, done))
    await t.rejects(claimAddress({ kind: 'unix', path }, none), /in use by a running process/)
    // The server unlinks the path that it knows: what it was renamed to stays, as after a SIGKILL.
    renameSync(path, stale)
    await new Promise(done => server.close(done))
    t.ok(existsSync(stale))
    await claimAddress({ kind: 'unix', path: stale }, none)
    t.notOk(existsSync(stale))
    writeFileSync(plain, '')
    await t.rejects(claimAddress({ kind: 'unix', path: plain }, none), /is not a socket/)
    t.ok(existsSync(plain))
  })
})
