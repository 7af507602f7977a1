import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { until } from '../support/until.ts'
import { type BenchRun, beginRun } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { type Ground, startInstance } from './instance.ts'
import { runOpenLoop, seenOf } from './open-loop.ts'
import { isInstalled } from './peer.ts'
import { predictedP99Ms } from './pools/prediction.ts'
import { isDisturbed, isMissed, marksOf, type Row, renderMarks, renderRows } from './pools/report.ts'
import { ROWS, type RowKind } from './pools/rows.ts'
import { CAPACITY_PER_SECOND, ENDPOINTS, LOAD_SHARE } from './pools/shape.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE } from './processes.ts'

// How policies cope with a pool in which one of four endpoints is ten times slower, at 70 % of what all can
// do: `node test/bench/pools.ts`. Arrivals are random, but the same for all; times run from when a request
// was due.

const USAGE = `node test/bench/pools.ts [options]
  --seconds N  length of each measured run (20)
  --warm N     load before it, not counted (5)
  --rounds N   rounds, each through all rows; the one with the median p99 counts (1)
  --only A,B   rows whose names start so: causeway, "nginx least_conn", ...
  --describe   only print the pool and its load, as JSON
  --strict     exit 1 when a mark is missed
`
/** Answers may come so late after the last request; what comes later, or not at all, counts as failed. */
const PATIENCE_MS = 15_000
const LONGEST_MS = 1_800_000
const SEED = 4
const PER_SECOND = CAPACITY_PER_SECOND * LOAD_SHARE

interface Options {
  readonly rounds: number
  readonly seconds: number
  /** Load before the measured window. */
  readonly warmSeconds: number
  /** Beginnings of the names of rows; undefined for all. */
  readonly only: readonly string[] | undefined
}

interface App {
  readonly child: ChildProcess
  readonly ports: readonly number[]
  /** 99 of 100 times the app's event loop was less late than this, since the last call. */
  lagP99Ms(): Promise<number>
}

const print = (text: string) => process.stdout.write(text)
const say = (text: string) => process.stderr.write(`${text}\n`)

async function startApp({ processes, folder }: BenchRun): Promise<App> {
  const ports = await freePorts(ENDPOINTS.length)
  const shapes = ENDPOINTS.map((shape, i) => ({ ...shape, port: ports[i] }))
  const command = [process.execPath, join(import.meta.dirname, 'pools', 'app.ts'), JSON.stringify(shapes)]
  const child = processes.start(command, { core: LOAD_CORE, output: join(folder, 'app.log') })
  const lagP99Ms = async () => {
    const answer = await fetch(`http://127.0.0.1:${ports[0]}/lag`)
    return ((await answer.json()) as { readonly p99Ms: number }).p99Ms
  }
  await until('the app to answer', () => lagP99Ms().then(Number.isFinite, () => false))
  return { child, ports, lagP99Ms }
}

/** One policy with an app of its own, so that nobody inherits another's backlog. */
async function measure(
  run: BenchRun,
  { name, peer, capped, simulated }: RowKind,
  options: Options,
): Promise<Row> {
  const { processes, folder } = run
  const app = await startApp(run)
  const ground: Ground = { folder, staticRoot: folder, upstreamPorts: app.ports }
  const { child, port } = await startInstance(processes, peer, ground)
  const warmMs = options.warmSeconds * 1000
  const durationMs = warmMs + options.seconds * 1000
  await app.lagP99Ms()
  const load = { port, perSecond: PER_SECOND, arrivals: 'poisson', seed: SEED, durationMs } as const
  const sent = await runOpenLoop(processes, { ...load, patienceMs: PATIENCE_MS })
  const appLagP99Ms = await app.lagP99Ms()
  await Promise.all([processes.stop(child), processes.stop(app.child)])
  const seen = seenOf(sent.filter(({ dueMs }) => dueMs >= warmMs))
  const { policy, cap } = simulated ?? {}
  const predicted = policy === undefined ? undefined : await predictedP99Ms(folder, PER_SECOND, policy, cap)
  return { name, capped, ...seen, appLagP99Ms, predictedP99Ms: predicted }
}

function readOptions(): { readonly options: Options; readonly describe: boolean; readonly strict: boolean } {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '20' },
      warm: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '1' },
      only: { type: 'string' },
      describe: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
    },
  })
  const seconds = positive('seconds', values.seconds)
  const rounds = positive('rounds', values.rounds)
  const warmSeconds = positive('warm', values.warm)
  const options = { rounds, seconds, warmSeconds, only: values.only?.split(',') }
  return { options, describe: values.describe, strict: values.strict }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new TypeError(`--${name}: expected a number above 0, got "${text}"`)
  return value
}

/** Policies take turns, so that what else the machine does meets them all. */
async function compare(options: Options): Promise<readonly Row[]> {
  const run = beginRun('pools', LONGEST_MS)
  buildIfOld()
  const kinds = ROWS.filter(({ name, peer }) => {
    return isInstalled(peer.needs) && (options.only?.some(start => name.startsWith(start)) ?? true)
  })
  const rows: Row[] = []
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const kind of kinds) {
      const row = await measure(run, kind, options)
      say(`round ${round}: ${row.name}: p99 ${row.p99Ms.toFixed(1)} ms`)
      rows.push(row)
    }
  }
  await run.processes.stopAll()
  return kinds.flatMap(({ name }) => medianOf(rows.filter(row => row.name === name)))
}

/** The round in the middle by its p99; none of none. */
function medianOf(rows: readonly Row[]): readonly Row[] {
  const ordered = [...rows].sort((a, b) => a.p99Ms - b.p99Ms)
  const middle = ordered[Math.floor((ordered.length - 1) / 2)]
  return middle === undefined ? [] : [middle]
}

async function main(): Promise<number> {
  const { options, describe, strict } = readOptions()
  const shape = { endpoints: ENDPOINTS, perSecond: PER_SECOND, arrivals: 'poisson', seconds: options.seconds }
  if (describe) {
    print(`${JSON.stringify(shape, undefined, 2)}\n`)
    return 0
  }
  const rows = await compare(options)
  const marks = marksOf(rows)
  print(`${renderRows(rows)}\n${renderMarks(marks)}`)
  for (const { name } of rows.filter(isDisturbed))
    print(`disturbed by something else on the machine: ${name}\n`)
  return strict && marks.some(isMissed) ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  say(`${error.message}\n${USAGE}`)
  process.exitCode = 2
}
