import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { SETTING } from '../support/http2-frames.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const STREAMS = 90

// All memory and all files for bodies are used up by clients that ask for long answers and read nothing of
// them.

const app = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [app.port],
    server: 'spool = { memory_total = "1MiB", disk = "1MiB" }',
    listener: 'h2c = true',
  }),
})

/**
 * More than the kernel holds for a connection: a client that has read so much has taken of what waits here.
 */
const TAKEN_BYTES = 8 * MIB

/** Reads an answer steadily, but slower than its app gives it: at once at first, then a piece each 5 ms. */
async function steadyDownload(path: string, begun: () => void): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${causeway.port()}${path}`)
  const hash = createHash('sha256')
  let read = 0
  for await (const bytes of answer.body ?? []) {
    hash.update(bytes)
    read += bytes.length
    if (read < TAKEN_BYTES) continue
    begun()
    await delay(5)
  }
  return hash.digest('hex')
}

t.test('they go first, and a client that takes its answer steadily has all of it', async t => {
  const body = randomBytes(8 * MIB).toString('hex')
  app.on('/steady', ok(body))
  app.on('/big', ok('x'.repeat(2 * MIB)))
  let begun = false
  const steady = steadyDownload('/steady', () => {
    begun = true
  })
  await until('the download to begin', () => begun)
  const deaf: RawHttp2Client[] = []
  t.teardown(() => {
    for (const client of deaf) client.destroy()
  })
  const resets = () => deaf.reduce((sum, client) => sum + client.resets, 0)
  for (let i = 0; i < 2; i += 1) {
    const client = await RawHttp2Client.connect(causeway.port(), [[SETTING.initialWindowSize, 100]])
    deaf.push(client)
    const before = resets()
    for (let k = 0; k < STREAMS; k += 1) client.get('/big')
    await until('some of the streams to be given up', () => resets() > before)
  }
  t.match(await causeway.accessOf('/big'), {
    end: 'spool_failed',
    detail: /server\.spool\.memory_total is exhausted/,
  })
  t.equal(await steady, createHash('sha256').update(body).digest('hex'))
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [app])
})
