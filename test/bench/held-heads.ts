import { HELD_KINDS, holdHeads } from '../support/held-heads.ts'
import { RawHttp2Client } from '../support/raw-http2-client.ts'
import { treeResidentKiB } from './proc-stat.ts'

// What requests made of references to one HPACK field cost in memory: `node test/bench/held-heads.ts PORT PID
// PATH` against a running Causeway whose listener on PORT speaks h2c and whose app answers PATH, or never
// does. Prints MiB above what it had before.

const CONNECTIONS = 60
const STREAMS = 100
const WATCH_MS = 3_000
const LONGEST_MS = 120_000

const [port = Number.NaN, pid = Number.NaN] = process.argv.slice(2, 4).map(Number)
const path = process.argv[4] ?? '/'
if (!Number.isInteger(port) || !Number.isInteger(pid)) {
  process.stderr.write('usage: node test/bench/held-heads.ts PORT PID [PATH]\n')
  process.exit(2)
}
setTimeout(() => process.exit(1), LONGEST_MS).unref()

const before = treeResidentKiB(pid)
for (const kind of HELD_KINDS) {
  const { clients, sentBytes } = await holdHeads({
    port,
    path,
    kind,
    connections: CONNECTIONS,
    streams: STREAMS,
  })
  let peak = before
  const end = performance.now() + WATCH_MS
  while (performance.now() < end) {
    peak = Math.max(peak, treeResidentKiB(pid))
    await new Promise(done => setTimeout(done, 50))
  }
  const refused = clients.reduce((sum, client) => sum + client.resets, 0)
  const mib = ((peak - before) / 1024).toFixed(1)
  process.stdout.write(
    `${kind}: ${mib} MiB for ${Math.round(sentBytes / 1024)} KiB, ${refused} streams refused\n`,
  )
  for (const client of clients) client.destroy()
}
const newcomer = await RawHttp2Client.connect(port)
process.stdout.write(`the first request behind it: ${await newcomer.ask('/')}\n`)
newcomer.destroy()
