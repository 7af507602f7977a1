import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { TestAuthority } from '../support/certificates.ts'
import { type BenchRun, beginRun } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { EdgeBench, type Worked } from './edge/measure.ts'
import { type Options, readOptions, USAGE } from './edge/options.ts'
import { renderReport } from './edge/report.ts'
import { summarise } from './edge/summary.ts'
import { isInstalled, type Peer } from './peer.ts'
import { caddy } from './peers/caddy.ts'
import { causeway } from './peers/causeway.ts'
import { haproxy } from './peers/haproxy.ts'
import { nginx } from './peers/nginx.ts'
import { LARGE_BYTES, startUpstream } from './upstream.ts'

// What TLS and HTTP/2 cost at the edge, beside the peers and with the duties of `npm run bench`: `node
// test/bench/edge.ts`. Needs nginx (also the app), wrk, h2load and openssl.

const PEERS = [causeway, nginx, haproxy, caddy]
const TOOLS = ['wrk', 'h2load', 'nginx', 'openssl', 'taskset']

/**
 * h2load has 1000 requests at a time in flight: who kept fewer connections than that would be measured
 * connecting.
 */
const UPSTREAM_IDLE = 1000

const say = (text: string) => process.stderr.write(`${text}\n`)

/** Rotated, so that no peer always runs first. */
function inTurn(peers: readonly Peer[], round: number): readonly Peer[] {
  const first = round % peers.length
  return [...peers.slice(first), ...peers.slice(0, first)]
}

function choose({ only }: Options): readonly Peer[] {
  const unknown = only?.find(name => !PEERS.some(peer => peer.name === name))
  if (unknown !== undefined) throw new TypeError(`--only: no peer "${unknown}"`)
  return PEERS.filter(peer => only?.includes(peer.name) ?? true)
}

/** No run is longer than this: starting takes its time, each window its own. */
const longestMs = ({ rounds, seconds, warmSeconds, cases }: Options, peers: number) =>
  rounds * peers * (60 + cases.length * (seconds + warmSeconds + 20)) * 1000

async function measure({ processes, folder }: BenchRun, options: Options, peers: readonly Peer[]) {
  const staticRoot = join(folder, 'static')
  mkdirSync(staticRoot)
  writeFileSync(join(staticRoot, '10k.css'), 'body { margin: 0 }\n'.repeat(600).slice(0, LARGE_BYTES))
  const tls = new TestAuthority(folder).issue({ names: ['localhost', '127.0.0.1'] })
  const upstreamPorts = await startUpstream(processes, join(folder, 'upstream'))
  const ground = { folder, staticRoot, upstreamPorts, tls, upstreamIdle: UPSTREAM_IDLE }
  const bench = new EdgeBench(processes, options, ground, say)
  const worked: Worked[] = []
  for (let round = 1; round <= options.rounds; round += 1) {
    worked.push(...(await bench.round(round, inTurn(peers, round - 1))))
  }
  return worked
}

async function run(options: Options): Promise<number> {
  const lacking = TOOLS.filter(tool => !isInstalled(tool))
  if (lacking.length > 0) throw new Error(`needed on the path: ${lacking.join(', ')}`)
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the proxy, one for the load')
  const wanted = choose(options)
  const peers = wanted.filter(peer => isInstalled(peer.needs))
  for (const { name } of wanted.filter(peer => !peers.includes(peer))) say(`${name}: not installed`)
  if (peers.includes(causeway)) buildIfOld()
  const bench = beginRun('edge', longestMs(options, peers.length))
  try {
    const worked = await measure(bench, options, peers)
    const summary = summarise(worked)
    const json = () => `${JSON.stringify({ options, ...summary, worked }, undefined, 2)}\n`
    process.stdout.write(options.json ? json() : renderReport(summary, options))
    return options.strict && summary.marks.some(mark => mark.verdict !== 'pass') ? 1 : 0
  } finally {
    await bench.processes.stopAll()
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
