import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { Timers } from '../lib/base/timers.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { ManagedWorkers } from '../lib/server/workers/managed-workers.ts'
import { OrphanGuard } from '../lib/server/workers/orphan-guard.ts'
import { WorkerProcess } from '../lib/server/workers/worker-process.ts'
import { until } from './support/until.ts'

/** Listens where it is told to, says so, and goes when it is asked. */
const APP = `
const { createServer } = require('node:net')
const { PORT, SOCKET, WORD } = process.env
createServer(() => {}).listen(SOCKET ?? Number(PORT), '127.0.0.1', () => console.log(WORD + ' ' + (SOCKET ?? PORT)))
process.on('SIGTERM', () => process.exit(0))
`
/** Takes no notice of SIGTERM, and has a child that does not either. */
const STUBBORN = `
const { spawn } = require('node:child_process')
process.on('SIGTERM', () => {})
const idle = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('child ' + process.pid)"
spawn(process.execPath, ['-e', idle], { stdio: ['ignore', 'inherit', 'inherit'] })
require('node:net').createServer(() => {}).listen(Number(process.env.PORT), '127.0.0.1')
`

function make(t: Test) {
  const timers = new Timers(systemClock)
  timers.start()
  const events: string[] = []
  const lines: string[] = []
  const managed = new ManagedWorkers({
    env: process.env,
    clock: systemClock,
    timers,
    observer: {
      workerUp: (upstream, worker) => events.push(`up ${upstream} ${worker}`),
      workerDown: (upstream, worker, reason) => events.push(`down ${upstream} ${worker} ${reason}`),
      workerLine: (_upstream, worker, stream, text) => lines.push(`${worker} ${stream} ${text}`),
      workerDropped: (_upstream, worker, count) => lines.push(`${worker} dropped ${count}`),
    },
  })
  t.teardown(async () => {
    await managed.stop()
    timers.stop()
  })
  return { managed, events, lines, timers }
}

async function snapshotOf(t: Test, command: readonly string[], count = 2, word = 'at'): Promise<Snapshot> {
  const folder = t.testdir({
    'a.toml': `
      [listeners.web]
      address = "127.0.0.1:0"
      [upstreams.app]
      run = { command = ${JSON.stringify(command)}, count = ${count}, env = { WORD = ${JSON.stringify(word)} } }
      [routes.app]
      path = "/"
      upstream = "app"`,
  })
  const loaded = await loadConfig(`${folder}/a.toml`, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.snapshot
}

const pidsOf = (managed: ManagedWorkers) => managed.status().map(it => it.pid)

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

t.test('workers become endpoints with addresses of their own, and are up once they accept', async t => {
  const { managed, events, lines } = make(t)
  const prepared = await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP]))
  managed.adopt()
  const endpoints = prepared.upstreams[0]?.endpoints ?? []
  t.same(
    endpoints.map(it => it.name),
    ['worker-1', 'worker-2'],
  )
  t.not(endpoints[0]?.address, endpoints[1]?.address)
  await until('both workers', () => events.length === 2)
  t.same(events.toSorted(), ['up app worker-1', 'up app worker-2'])
  const address = endpoints[0]?.address
  await until('its word', () =>
    lines.includes(`worker-1 stdout at ${address?.kind === 'tcp' ? address.port : ''}`),
  )
})

t.test('a worker that dies is started again at the same address', async t => {
  const { managed, events, lines } = make(t)
  await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP], 1))
  managed.adopt()
  await until('the worker', () => events.length === 1)
  const [pid] = pidsOf(managed)
  process.kill(pid as number, 'SIGKILL')
  await until('its successor', () => events.length === 3)
  t.same(events, ['up app worker-1', 'down app worker-1 terminated by SIGKILL', 'up app worker-1'])
  t.not(pidsOf(managed)[0], pid)
  await until('two words', () => lines.length === 2)
  t.equal(lines[0], lines[1], 'both name the same port')
})

t.test('sockets lie in a folder that only we may enter, and that goes with the workers', async t => {
  const { managed, events } = make(t)
  const prepared = await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP, '{socket}'], 1))
  managed.adopt()
  const address = prepared.upstreams[0]?.endpoints[0]?.address
  const path = address?.kind === 'unix' ? address.path : ''
  await until('the worker', () => events.length === 1)
  t.ok(existsSync(path))
  await managed.stop()
  t.notOk(existsSync(dirname(path)))
})

t.test('a reload with the same run keeps the processes', async t => {
  const { managed, events } = make(t)
  const snapshot = await snapshotOf(t, [process.execPath, '-e', APP])
  const before = await managed.prepare(snapshot)
  managed.adopt()
  await until('both workers', () => events.length === 2)
  const pids = pidsOf(managed)
  t.same(await managed.prepare(snapshot), before)
  t.equal(await managed.whenReachable(), undefined)
  managed.adopt()
  await managed.stopLeaving()
  t.same(pidsOf(managed), pids)
  t.ok(pids.every(pid => isAlive(pid as number)))
})

t.test('a changed run is answered by new processes before the old ones go', async t => {
  const { managed, events } = make(t)
  await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP], 1, 'old'))
  managed.adopt()
  await until('the old worker', () => events.length === 1)
  const [old] = pidsOf(managed)
  await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP], 1, 'new'))
  t.equal(await managed.whenReachable(), undefined)
  t.ok(isAlive(old as number))
  t.same(pidsOf(managed), [old], 'until it is taken nothing has changed')
  managed.adopt()
  await managed.stopLeaving()
  t.notOk(isAlive(old as number))
  t.ok(isAlive(pidsOf(managed)[0] as number))
  t.same(events, ['up app worker-1', 'up app worker-1'], 'nobody was told of a death')
})

t.test('a changed run that does not come up is refused, and the old workers go on', async t => {
  const { managed, events } = make(t)
  await managed.prepare(await snapshotOf(t, [process.execPath, '-e', APP], 1))
  managed.adopt()
  await until('the worker', () => events.length === 1)
  const pids = pidsOf(managed)
  await managed.prepare(await snapshotOf(t, ['/nonexistent/app', '{port}'], 1))
  t.match(
    await managed.whenReachable(),
    /worker-1 of upstream "app" keeps exiting: program "\/nonexistent\/app" not found/,
  )
  await managed.abandon()
  t.same(pidsOf(managed), pids)
  t.ok(isAlive(pids[0] as number))
})

t.test('a worker that takes no notice of SIGTERM is ended, and so is what it started', async t => {
  const { timers } = make(t)
  const lines: string[] = []
  const [run] = (await snapshotOf(t, [process.execPath, '-e', STUBBORN], 1)).upstreams.map(it => it.run)
  const server = await until('a port', async () => {
    const { createServer } = await import('node:net')
    const it = createServer()
    await new Promise<void>(done => it.listen(0, '127.0.0.1', done))
    return it
  })
  const bound = server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0
  await new Promise(done => server.close(done))
  const worker = new WorkerProcess({
    upstream: 'app',
    name: 'worker-1',
    run: run as NonNullable<typeof run>,
    address: { kind: 'tcp', host: '127.0.0.1', port },
    env: process.env,
    clock: systemClock,
    timers,
    observer: {
      reachable: () => {},
      ended: () => {},
      line: (_worker, _stream, text) => lines.push(text),
      dropped: () => {},
    },
    guard: new OrphanGuard(),
  })
  worker.start()
  await until('worker and child', () => worker.reachable && lines.length === 1)
  const child = Number(lines[0]?.split(' ')[1])
  const pid = worker.pid as number
  t.ok(isAlive(pid) && isAlive(child))
  await worker.stop(100)
  t.notOk(isAlive(pid))
  await until('the end of the child', () => !isAlive(child))
})
