import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildIfOld } from './build.ts'
import { Bench, type Sample } from './measure.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { isInstalled, type Peer } from './peer.ts'
import { caddy } from './peers/caddy.ts'
import { causeway, causewayBefore } from './peers/causeway.ts'
import { haproxy } from './peers/haproxy.ts'
import { nginx, nginxBuffered } from './peers/nginx.ts'
import { httpProxy3, nodeUndici } from './peers/node.ts'
import { Processes } from './processes.ts'
import { renderReport } from './report.ts'
import { summarise } from './summary.ts'
import { LARGE_BYTES, startUpstream } from './upstream.ts'

const PEERS = [causeway, nginx, nginxBuffered, haproxy, caddy, nodeUndici, httpProxy3]
const TOOLS = ['wrk', 'nginx', 'taskset']

const say = (text: string) => process.stderr.write(`${text}\n`)

/** No run is longer than this: starting and idle connections take their time, each window its own. */
function longestMs({ rounds, seconds, warmSeconds, cases }: Options, peers: number): number {
  return rounds * peers * (60 + cases.length * (seconds + warmSeconds + 10)) * 1000
}

/** Rotated, so that no peer always runs first. */
function inTurn(peers: readonly Peer[], round: number): readonly Peer[] {
  const first = round % peers.length
  return [...peers.slice(first), ...peers.slice(0, first)]
}

function choose({ only, before }: Options): {
  readonly peers: readonly Peer[]
  readonly missing: readonly string[]
} {
  const unknown = only?.find(name => !PEERS.some(peer => peer.name === name))
  if (unknown !== undefined) throw new TypeError(`--only: no peer "${unknown}"`)
  const wanted = PEERS.filter(peer => only?.includes(peer.name) ?? true)
  if (before !== undefined) wanted.push(causewayBefore(before))
  return {
    peers: wanted.filter(peer => isInstalled(peer.needs)),
    missing: wanted.filter(peer => !isInstalled(peer.needs)).map(peer => peer.name),
  }
}

async function measure(processes: Processes, options: Options, peers: readonly Peer[], folder: string) {
  const staticRoot = join(folder, 'static')
  mkdirSync(staticRoot)
  writeFileSync(join(staticRoot, '10k.css'), 'body { margin: 0 }\n'.repeat(600).slice(0, LARGE_BYTES))
  const upstreamPorts = await startUpstream(processes, join(folder, 'upstream'))
  const bench = new Bench(processes, options, { folder, upstreamPorts, staticRoot }, say)
  const samples: Sample[] = []
  for (let round = 1; round <= options.rounds; round += 1) {
    samples.push(...(await bench.round(round, inTurn(peers, round - 1))))
  }
  return samples
}

async function run(options: Options): Promise<number> {
  const lacking = TOOLS.filter(tool => !isInstalled(tool))
  if (lacking.length > 0) throw new Error(`needed on the path: ${lacking.join(', ')}`)
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the proxy, one for the load')
  const { peers, missing } = choose(options)
  if (peers.includes(causeway)) buildIfOld()

  const processes = new Processes()
  const folder = mkdtempSync(join(tmpdir(), 'causeway-bench-'))
  const cut = (code: number) => {
    processes.killNow()
    process.exit(code)
  }
  process.once('SIGINT', () => cut(130))
  process.once('SIGTERM', () => cut(143))
  setTimeout(() => cut(1), longestMs(options, peers.length)).unref()
  process.once('exit', () => {
    processes.killNow()
    rmSync(folder, { recursive: true, force: true })
  })
  try {
    const samples = await measure(processes, options, peers, folder)
    const summary = summarise(samples)
    const json = () => `${JSON.stringify({ options, missing, ...summary, samples }, undefined, 2)}\n`
    process.stdout.write(options.json ? json() : renderReport(summary, options, missing))
    return options.strict && summary.marks.some(mark => mark.verdict === 'fail') ? 1 : 0
  } finally {
    await processes.stopAll()
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === undefined) process.stdout.write(USAGE)
  else process.exitCode = await run(options)
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  if (error instanceof TypeError) say(USAGE)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
