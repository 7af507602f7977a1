import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const WORKERS = 2
/** In the table of the kernel. */
const LISTEN = '0A'
/** So many that each of 16 sockets is chosen for one, but for one run in 100,000 or less. */
const CLIENTS = 300

const EXTRA = '[listeners.extra]\naddress = "127.0.0.1:0"'

interface World {
  readonly app: RecordingUpstream
  readonly running: Running
  /** Lets the app answer what waits at /held. */
  release(): void
  config(more?: string): string
}

async function start(t: Test, openFiles: number): Promise<World> {
  const app = await RecordingUpstream.start(t)
  const held = Promise.withResolvers<void>()
  app.on('/held', async (line, request) => {
    await held.promise
    await ok()(line, request)
  })
  const config = (more = '') =>
    configText({ endpoints: [app.port], workers: WORKERS, more }).replace('drain = "1s"', 'drain = "1h"')
  const running = await startCauseway(t, { openFiles, config: config(EXTRA) })
  return { app, running, release: held.resolve, config }
}

/** How many sockets of this network listen on a port of IPv4. */
function listening(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address?.endsWith(local) === true && state === LISTEN).length
}

/** A client whose request the app holds. */
async function busy({ app, running }: World, listener: string): Promise<RawClient> {
  const client = await RawClient.connect(running.port(listener))
  const before = app.seen('/held').length
  client.send(get('/held'))
  await until('its request at the app', () => app.seen('/held').length > before)
  return client
}

t.test('where clients may be many each thread accepts on eight sockets, and on all of them', async t => {
  const world = await start(t, 8192)
  const { running, app } = world
  t.equal(listening(running.port()), WORKERS * 8)
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(running.port())))
  for (const client of clients) client.send(get('/each'))
  for (const client of clients) t.equal((await client.response()).status, 200)
  for (const client of clients) client.destroy()
  await assertClean(t, running, [app])
})

t.test('where there can be few clients each thread has one', async t => {
  const { running, app } = await start(t, 256)
  t.equal(listening(running.port()), WORKERS)
  await assertClean(t, running, [app])
})

t.test('a reload leaves them alone where the listener stays, and closes all where it goes', async t => {
  const world = await start(t, 8192)
  const { running, app, config, release } = world
  const [web, extra] = [running.port(), running.port('extra')]
  const client = await busy(world, 'extra')
  t.equal(listening(extra), WORKERS * 8)
  t.equal(await running.reload(config()), 'success')
  await until('the last of them to be closed', () => listening(extra) === 0)
  t.equal(listening(web), WORKERS * 8)
  await t.rejects(RawClient.connect(extra))
  release()
  t.equal((await client.response()).status, 200, 'what runs goes on')
  client.destroy()
  await assertClean(t, running, [app])
})

t.test('a process that drains has none, and its clients get their answers', async t => {
  const world = await start(t, 8192)
  const { running, release } = world
  const port = running.port()
  const client = await busy(world, 'web')
  running.signal('SIGTERM')
  await until('the last of them to be closed', () => listening(port) === 0)
  t.notOk(running.exited)
  release()
  t.equal((await client.response()).status, 200)
  t.equal(await running.exitCode(), 0)
})
