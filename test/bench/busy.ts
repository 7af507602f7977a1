import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { beginRun } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { runOpenLoop, seenOf } from './open-loop.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE, PROXY_CORE, type Processes } from './processes.ts'
import { statusOf } from './slow-probe.ts'

// A healthy pool at 70 % load beside busy loops on both cores, and with pauses of the whole proxy: `node
// test/bench/busy.ts`. `--minutes N`, `--loops N` on each core, `--pause MS` every ten seconds (0: none).
// Every request has to be answered with 200; exits with 1 if one is not.

const SLOTS = 8
const WORK_MS = 40
/** 70 % of what the slots can do. */
const PER_SECOND = (0.7 * SLOTS * 1000) / WORK_MS
const PAUSE_EVERY_MS = 10_000
const PATIENCE_MS = 60_000
const BUSY_LOOP = ['sh', '-c', 'while :; do :; done']
const APP = `require('node:http').createServer((q, a) => setTimeout(() => a.end('ok'), ${WORK_MS})).listen(Number(process.argv[1]), '127.0.0.1')`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    loops: { type: 'string', default: '2' },
    pause: { type: 'string', default: '1500' },
  },
})
const durationMs = Number(values.minutes) * 60_000
const pauseMs = Number(values.pause)

const config = (port: number, adminPort: number, appPort: number) => `
[server]
workers = 1
drain = "1s"
[log]
level = "warn"
access = "off"
[admin]
address = "127.0.0.1:${adminPort}"
[listeners.web]
address = "127.0.0.1:${port}"
[upstreams.app]
endpoints = ["127.0.0.1:${appPort}"]
max_inflight = ${SLOTS}
[routes.app]
path = "/"
upstream = "app"
`

/** Stops the process for a while, again and again, as a suspended machine would. */
async function pauseAgainAndAgain(pid: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && pauseMs > 0) {
    await delay(PAUSE_EVERY_MS, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    process.kill(pid, 'SIGSTOP')
    await delay(pauseMs)
    process.kill(pid, 'SIGCONT')
  }
}

function startLoops(processes: Processes, output: string): void {
  for (let n = 0; n < Number(values.loops); n += 1)
    for (const core of [PROXY_CORE, LOAD_CORE]) processes.start(BUSY_LOOP, { core, output })
}

const run = beginRun('busy', durationMs + 120_000)
const { processes, folder } = run
buildIfOld()
const [port = 0, adminPort = 0, appPort = 0] = await freePorts(3)
const file = join(folder, 'causeway.toml')
writeFileSync(file, config(port, adminPort, appPort))
const output = join(folder, 'output.log')
processes.start([process.execPath, '-e', APP, String(appPort)], { core: LOAD_CORE, output })
const command = [process.execPath, 'dist/cmd/causeway.js', 'run', '--config', file]
const { pid } = processes.start(command, { core: PROXY_CORE, output, env: { NODE_ENV: 'production' } })
if (pid === undefined) throw new Error('Causeway did not start')
while ((await statusOf(port)) !== 200) await delay(200)
startLoops(processes, output)
const stop = new AbortController()
const pauses = pauseAgainAndAgain(pid, stop.signal)
const load = { port, arrivals: 'poisson', seed: 7, patienceMs: PATIENCE_MS, perSecond: PER_SECOND } as const
const sent = await runOpenLoop(processes, { ...load, durationMs })
stop.abort()
await pauses
const statuses = new Map<number, number>()
for (const { status } of sent) statuses.set(status, (statuses.get(status) ?? 0) + 1)
const { p50Ms, p99Ms, maxMs } = seenOf(sent)
const by = [...statuses].map(([status, count]) => `${count} x ${status === 0 ? 'no answer' : status}`)
process.stdout.write(
  `${sent.length} requests: ${by.join(', ')}; p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms, longest ${maxMs.toFixed(0)} ms\n`,
)
process.exitCode = statuses.size === 1 && statuses.has(200) ? 0 : 1
await processes.stopAll()
