import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { until } from '../support/until.ts'
import { type BenchRun, beginRun, tableOf } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { startInstance } from './instance.ts'
import { type QueueSeen, watchListenQueue } from './listen-queue.ts'
import { runLoad } from './load.ts'
import { runOpenLoop, type Seen, seenOf } from './open-loop.ts'
import { isInstalled, type Peer } from './peer.ts'
import { plainCauseway, plainNginx } from './plain-peers.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE } from './processes.ts'
import { statusOf } from './slow-probe.ts'

// Twice as many requests as four sync workers of gunicorn can do, for 20 s: `node test/bench/overload.ts`.
// Needs gunicorn and wrk.

const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'
const WORKERS = 4
const QUEUE_MS = 1000
/** What an admitted request may take beyond its wait: its work, and the hands it goes through. */
const WORK_MS = 50
/** Twice as many as the workers, so that none of them ever waits for a request. */
const CLOSED_LOOP_CONNECTIONS = 2 * WORKERS
const CLOSED_LOOP_SECONDS = 5
/** At half the capacity, before the measured load: what is compiled while it runs has been. */
const WARM_MS = 5000
const SETTLE_MS = 1000
const PATIENCE_MS = 30_000
const LONGEST_MS = 600_000

const PEERS: readonly Peer[] = [
  plainCauseway({
    upstream: `server = "gunicorn"
max_inflight = ${WORKERS}
queue = { length = 1000, timeout = "${QUEUE_MS}ms" }`,
  }),
  plainNginx({ upstream: '', keepalive: 0 }),
]

interface App {
  readonly child: ChildProcess
  readonly port: number
}

interface Row {
  readonly name: string
  /** Answers of 200 a second while the load ran, beside what the app can do. */
  readonly goodputShare: number
  /** Only answers of 200. */
  readonly admitted: Seen
  readonly requests: number
  readonly refused: number
  /** Neither 200 nor 503. */
  readonly failed: number
  readonly queue: QueueSeen
}

const print = (text: string) => process.stdout.write(text)
const say = (text: string) => process.stderr.write(`${text}\n`)

async function startApp({ processes, folder }: BenchRun): Promise<App> {
  const [port = 0] = await freePorts(1)
  const command = [
    ...[PYTHON, '-m', 'gunicorn', '--bind', `127.0.0.1:${port}`, '--workers', String(WORKERS)],
    ...['--timeout', '0', '--chdir', import.meta.dirname, 'overload_app:application'],
  ]
  const child = processes.start(command, { core: LOAD_CORE, output: join(folder, 'app.log') })
  await until('gunicorn to answer', async () => (await statusOf(port)) === 200)
  return { child, port }
}

/** Requests a second that the app does when it is never left without one, asked without a proxy. */
async function capacityOf({ processes }: BenchRun, { port }: App): Promise<number> {
  const { requestsPerSecond } = await runLoad(processes, {
    url: `http://127.0.0.1:${port}/`,
    seconds: CLOSED_LOOP_SECONDS,
    connections: CLOSED_LOOP_CONNECTIONS,
    connection: 'close',
  })
  return requestsPerSecond
}

/** One proxy in front of an app of its own, so that nobody inherits another's backlog. */
async function measure(run: BenchRun, peer: Peer, durationMs: number): Promise<Row> {
  const { processes, folder } = run
  const app = await startApp(run)
  const before = await capacityOf(run, app)
  const { child, port } = await startInstance(processes, peer, {
    ...{ folder, staticRoot: folder, upstreamPorts: [app.port] },
  })
  const load = { port, arrivals: 'poisson', seed: 4, patienceMs: PATIENCE_MS } as const
  await runOpenLoop(processes, { ...load, perSecond: before / 2, durationMs: WARM_MS })
  await delay(SETTLE_MS)
  const queue = watchListenQueue(app.port, durationMs)
  const sent = await runOpenLoop(processes, { ...load, perSecond: 2 * before, durationMs })
  const queueSeen = queue()
  await processes.stop(child)
  const capacity = (before + (await capacityOf(run, app))) / 2
  say(`${peer.name}: the app does ${before.toFixed(0)}/s before, ${capacity.toFixed(0)}/s in the mean`)
  await processes.stop(app.child)
  const good = sent.filter(({ status }) => status === 200)
  const refused = sent.filter(({ status }) => status === 503).length
  const inTime = good.filter(({ endMs }) => endMs <= durationMs).length
  return {
    name: peer.name,
    goodputShare: inTime / (durationMs / 1000) / capacity,
    admitted: seenOf(good),
    requests: sent.length,
    refused,
    failed: sent.length - good.length - refused,
    queue: queueSeen,
  }
}

function render(rows: readonly Row[]): string {
  const head = [
    ...['proxy', 'goodput', 'p50 of 200 ms', 'p99 of 200 ms', 'longest ms', 'refused 503', 'failed'],
    ...['listen queue max', 'mean', 'not empty'],
  ]
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const cells = rows.map(({ name, goodputShare, admitted, requests, refused, failed, queue }) => [
    ...[name, percent(goodputShare), admitted.p50Ms.toFixed(0), admitted.p99Ms.toFixed(0)],
    ...[admitted.maxMs.toFixed(0), percent(refused / requests), `${failed} of ${requests}`],
    ...[String(queue.max), queue.mean.toFixed(2), `${percent(queue.busyShare)} of ${queue.samples}`],
  ])
  return tableOf(head, cells)
}

/** What Causeway is held to; missed marks by name. */
function missedBy(row: Row): readonly string[] {
  const missed: string[] = []
  if (row.goodputShare < 0.95) missed.push('goodput below 95 % of capacity')
  if (row.admitted.p99Ms > QUEUE_MS + WORK_MS)
    missed.push(`p99 above the queue's ${QUEUE_MS} ms and the work`)
  if (row.queue.max > 1) missed.push('requests waited in the listen queue of the app')
  return missed
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '20' },
      only: { type: 'string' },
      strict: { type: 'boolean', default: false },
    },
  })
  const durationMs = Number(values.seconds) * 1000
  const run = beginRun('overload', LONGEST_MS)
  buildIfOld()
  const rows: Row[] = []
  for (const peer of PEERS.filter(({ needs }) => isInstalled(needs))) {
    if (values.only?.split(',').includes(peer.name) === false) continue
    rows.push(await measure(run, peer, durationMs))
  }
  await run.processes.stopAll()
  print(render(rows))
  const missed = rows.filter(({ name }) => name === 'causeway').flatMap(missedBy)
  for (const mark of missed) print(`missed: ${mark}\n`)
  return values.strict && missed.length > 0 ? 1 : 0
}

process.exitCode = await main()
