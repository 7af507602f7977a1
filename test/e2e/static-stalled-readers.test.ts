import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { SETTING, windowUpdate } from '../support/http2-frames.ts'
import { get, RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

// Clients that ask for large files and read nothing of them: what they do not take is not read, or not kept.

const MIB = 1024 * 1024
const CONNECTIONS = 15
const STREAMS = 100
const CLIENTS = 800
/** A read of 64 KiB for each stream would be 94 MiB, for each client 50. */
const MOST_MIB = 24
const WINDOW_MAX = 2 ** 31 - 1
const WINDOW_FIRST = 65_535

const root = t.testdir({})
writeFileSync(join(root, 'large.bin'), Buffer.alloc(16 * MIB, 'large'))
const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    listener: 'h2c = true',
    more: `[routes.static]\npath = "/static/"\nstatic = { root = "${root}" }`,
  }),
})

/** Files of the root that the process has open. */
function openFiles(): number {
  const folder = `/proc/${causeway.pid}/fd`
  return readdirSync(folder).filter(fd => {
    try {
      return readlinkSync(join(folder, fd)).startsWith(root)
    } catch {
      return false
    }
  }).length
}

/** Most memory above `before` until it has stopped growing. */
async function grown(before: number): Promise<number> {
  let most = 0
  for (let last = -1; most !== last; ) {
    last = most
    for (let i = 0; i < 10; i += 1) {
      await delay(50)
      most = Math.max(most, causeway.rssBytes() - before)
    }
  }
  return Math.round(most / MIB)
}

async function holds(t: Test, many: number, before: number): Promise<void> {
  await until('all files to be open', () => openFiles() === many)
  const mib = await grown(before)
  t.ok(mib <= MOST_MIB, `${mib} MiB for ${many} answers`)
}

const first = await RawHttp2Client.connect(causeway.port())
for (let n = 0; n < 300; n += 1) await first.ask('/static/missing')
first.destroy()

t.test('over HTTP/2 with wide windows', async t => {
  const before = causeway.rssBytes()
  const clients: RawHttp2Client[] = []
  t.teardown(() => {
    for (const client of clients) client.destroy()
  })
  for (let i = 0; i < CONNECTIONS; i += 1) {
    const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, WINDOW_MAX]])
    clients.push(client)
    client.send(windowUpdate(0, WINDOW_MAX - WINDOW_FIRST))
    client.stall()
    for (let n = 0; n < STREAMS; n += 1) client.get('/static/large.bin')
  }
  await holds(t, CONNECTIONS * STREAMS, before)
})

t.test('over HTTP/1', async t => {
  await until('the files of the others to be closed', () => openFiles() === 0)
  const before = causeway.rssBytes()
  const clients: RawClient[] = []
  t.teardown(() => {
    for (const client of clients) client.destroy()
  })
  for (let i = 0; i < CLIENTS; i += 1) {
    const client = await RawClient.connect(causeway.port())
    clients.push(client)
    client.stall()
    client.send(get('/static/large.bin'))
  }
  await holds(t, CLIENTS, before)
})

t.test('nothing of all this harmed anybody', async t => {
  await until('all files to be closed', () => openFiles() === 0)
  await assertClean(t, causeway, [upstream])
})
