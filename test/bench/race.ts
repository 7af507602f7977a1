import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { until } from '../support/until.ts'
import { type BenchRun, beginRun, tableOf } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { startInstance } from './instance.ts'
import { isInstalled, type Peer } from './peer.ts'
import { plainCauseway, plainHaproxy, plainNginx, poolsOf } from './plain-peers.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE } from './processes.ts'
import { runLanes } from './race/lanes.ts'
import type { AppReport } from './race/report.ts'

// The keep-alive race: an app closes unused connections after 1 s, and requests come 1 s after the last, give
// or take a moment. 50,000 of them, GET and POST mixed: `node test/bench/race.ts`. Failed and executed twice
// must be 0.

const IDLE_MS = 1000
/** Longer than a round is wide, so that its requests cannot share connections. */
const WORK_MS = 80
const JITTER_MS = 30
/** Ten apps side by side, each with requests of its own: more at a time in one would blur their moments. */
const APPS = 10
const LANES = 100
const LONGEST_MS = 900_000

const USAGE = `node test/bench/race.ts [options]
  --requests N   in all (50000)
  --only A,B     of causeway, nginx, haproxy (causeway)
  --keepalive T  how long Causeway keeps unused connections, instead of what it learns: "10s"
  --strict       exit 1 when anything failed or a POST was executed twice
`

interface Row extends AppReport {
  readonly name: string
  readonly requests: number
  readonly failures: string
  readonly failed: number
}

const peersFor = (keepalive: string | undefined): readonly Peer[] => [
  plainCauseway({
    upstream: keepalive === undefined ? '' : `keepalive = { idle = "${keepalive}" }`,
    pools: poolsOf,
  }),
  plainNginx({ upstream: '', keepalive: LANES, pools: poolsOf }),
  plainHaproxy({ upstream: 'balance leastconn', pools: poolsOf }),
]

async function measure({ processes, folder }: BenchRun, peer: Peer, requests: number): Promise<Row> {
  const ports = await freePorts(APPS)
  const report = async () => (await (await fetch(`http://127.0.0.1:${ports[0]}/report`)).json()) as AppReport
  const command = [process.execPath, join(import.meta.dirname, 'race', 'app.ts')]
  const app = processes.start([...command, ...[IDLE_MS, WORK_MS, ...ports].map(String)], {
    core: LOAD_CORE,
    output: join(folder, 'app.log'),
  })
  await until('the app to answer', () => report().catch(() => undefined))
  const instance = await startInstance(processes, peer, {
    ...{ folder, staticRoot: folder, upstreamPorts: ports },
  })
  const everyMs = IDLE_MS + WORK_MS
  const lanes = { port: instance.port, lanes: LANES, everyMs, jitterMs: JITTER_MS }
  const rounds = Math.ceil(requests / APPS / LANES)
  const seen = await Promise.all(
    ports.map((_, i) => runLanes({ ...lanes, rounds, path: `/${i}/`, startAfterMs: (i * everyMs) / APPS })),
  )
  const told = await report()
  await Promise.all([processes.stop(instance.child), processes.stop(app)])
  const failures = new Map<string, number>()
  for (const [word, count] of seen.flatMap(one => Object.entries(one.failures))) {
    failures.set(word, (failures.get(word) ?? 0) + count)
  }
  return {
    ...told,
    name: peer.name,
    requests: seen.reduce((sum, one) => sum + one.requests, 0),
    failed: [...failures.values()].reduce((sum, count) => sum + count, 0),
    failures: [...failures].map(([word, count]) => `${count} x ${word}`).join(', '),
  }
}

function render(rows: readonly Row[]): string {
  const head = [
    ...['proxy', 'requests', 'failed', 'POST twice', 'on a connection 0.95 to 1 s old'],
    ...['on one just closed', 'connections', 'what failed'],
  ]
  const cells = rows.map(row => [
    row.name,
    ...[row.requests, row.failed, row.postsTwice, row.nearInTime, row.tooLate, row.connections].map(String),
    row.failures,
  ])
  return tableOf(head, cells)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '50000' },
      only: { type: 'string', default: 'causeway' },
      keepalive: { type: 'string' },
      strict: { type: 'boolean', default: false },
    },
  })
  const requests = Number(values.requests)
  if (!(requests > 0)) throw new TypeError('--requests takes a number above 0')
  const run = beginRun('race', LONGEST_MS)
  buildIfOld()
  const wanted = peersFor(values.keepalive).filter(({ name }) => values.only.split(',').includes(name))
  const rows: Row[] = []
  for (const peer of wanted.filter(({ needs }) => isInstalled(needs))) {
    rows.push(await measure(run, peer, requests))
  }
  await run.processes.stopAll()
  process.stdout.write(render(rows))
  const broken = rows.some(row => row.name === 'causeway' && row.failed + row.postsTwice > 0)
  return values.strict && broken ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.stderr.write(`${error.message}\n${USAGE}`)
  process.exitCode = 2
}
