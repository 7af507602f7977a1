import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { requestBlock } from '../support/http2-fields.ts'
import { data, FLAG, headers, ping, TYPE } from '../support/http2-frames.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { until } from '../support/until.ts'
import { cpuMicros } from './proc-stat.ts'

// What a body of one-byte DATA frames costs, beside the same body as one-byte chunks of HTTP/1.1: `node
// test/bench/tiny-data.ts` prints CPU time of both, and what another client has to wait meanwhile.

const CONNECTIONS = 4
const PIECES = 500_000 / CONNECTIONS
/** Of one write. */
const BURST = 2_500
const ROUNDS = 3
const ALONE_MS = 1_500
const LONGEST_MS = 180_000
const WINDOW_PIECES = 100_000

setTimeout(() => process.exit(1), LONGEST_MS).unref()
const ends: (() => unknown)[] = []
/** Bytes of bodies at the app. */
let arrived = 0
const app = createServer((request, response) => {
  request.on('data', (bytes: Buffer) => {
    arrived += bytes.length
  })
  request.once('end', () => response.end('ok'))
})
await new Promise<void>(done => app.listen(0, '127.0.0.1', done))
const address = app.address()
const appPort = typeof address === 'object' && address !== null ? address.port : 0
const causeway = await startCauseway(
  { teardown: end => void ends.push(end as () => unknown) },
  { config: configText({ endpoints: [appPort], listener: 'h2c = true', upstream: 'body = "stream"' }) },
)
const port = causeway.port()

async function chunks(): Promise<void> {
  const client = await RawClient.connect(port)
  client.send('POST /h1 HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  const burst = '1\r\nx\r\n'.repeat(BURST)
  for (let sent = 0; sent < PIECES; sent += BURST) {
    client.send(burst)
    await until('room', () => client.socket.writableLength < 256 * 1024)
  }
  client.send('0\r\n\r\n')
  await client.response('GET', 60_000)
  client.destroy()
}

async function frames(): Promise<void> {
  const client = await RawHttp2Client.connect(port)
  for (let sent = 0; sent < PIECES && client.ended === undefined; sent += WINDOW_PIECES)
    await upload(client, Math.min(WINDOW_PIECES, PIECES - sent))
  if (client.ended !== undefined || client.goaway !== undefined) throw new Error(client.outcome)
  client.destroy()
}

/** Within the first window of a stream. */
async function upload(client: RawHttp2Client, pieces: number): Promise<void> {
  const stream = client.stream()
  client.send(headers(stream, requestBlock('POST', '/h2'), FLAG.endHeaders))
  const burst = Buffer.concat(Array.from({ length: BURST }, () => data(stream, Buffer.from('x'))))
  for (let sent = 0; sent < pieces; sent += BURST) {
    client.send(burst)
    await client.untilRoom()
  }
  client.send(data(stream, Buffer.alloc(0), FLAG.endStream), ping())
  await until('an answer', () => client.status(stream) ?? client.ended, 60_000)
  await until('the ping', () => client.seen.has(TYPE.ping) || client.ended)
}

/** The median of what another client waits while `work` runs, in milliseconds. */
async function waits(work: Promise<unknown>): Promise<number> {
  let over = false
  const ended = work.finally(() => {
    over = true
  })
  const took: number[] = []
  while (!over) {
    const since = performance.now()
    await ask(port, get('/other'))
    took.push(performance.now() - since)
    await pause(5)
  }
  await ended
  took.sort((a, b) => a - b)
  return took[took.length >> 1] ?? Number.NaN
}

async function measured(pieces: () => Promise<void>) {
  const before = cpuMicros(causeway.pid)
  const due = arrived + CONNECTIONS * PIECES
  const p50 = await waits(Promise.all(Array.from({ length: CONNECTIONS }, pieces)))
  if (arrived !== due) throw new Error(`${due - arrived} bytes have not arrived`)
  return { cpuMs: (cpuMicros(causeway.pid) - before) / 1000, p50 }
}

await measured(chunks)
await measured(frames)
const alone = await waits(pause(ALONE_MS))
const least = {
  h1: Number.POSITIVE_INFINITY,
  h2: Number.POSITIVE_INFINITY,
  p50h1: Number.POSITIVE_INFINITY,
  p50h2: Number.POSITIVE_INFINITY,
}
for (let round = 0; round < ROUNDS; round += 1) {
  const h1 = await measured(chunks)
  const h2 = await measured(frames)
  least.h1 = Math.min(least.h1, h1.cpuMs)
  least.h2 = Math.min(least.h2, h2.cpuMs)
  least.p50h1 = Math.min(least.p50h1, h1.p50)
  least.p50h2 = Math.min(least.p50h2, h2.p50)
}
const line = (text: string) => process.stdout.write(`${text}\n`)
line(
  `500,000 one-byte pieces: ${least.h1} ms of CPU as chunks, ${least.h2} ms as DATA frames: ${(least.h2 / least.h1).toFixed(2)} times`,
)
line(
  `another client's median: ${alone.toFixed(1)} ms alone, ${least.p50h1.toFixed(1)} ms beside chunks, ${least.p50h2.toFixed(1)} ms beside frames: ${(least.p50h2 / alone).toFixed(2)} times`,
)
for (const end of ends) await end()
app.close()
app.closeAllConnections()
