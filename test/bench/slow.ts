import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildIfOld } from './build.ts'
import { type Ground, type Instance, startInstance } from './instance.ts'
import { isInstalled, type Peer } from './peer.ts'
import { caddy } from './peers/caddy.ts'
import { causeway } from './peers/causeway.ts'
import { haproxy } from './peers/haproxy.ts'
import { nginx } from './peers/nginx.ts'
import { freePorts } from './ports.ts'
import { processTree, treeResidentKiB } from './proc-stat.ts'
import { LOAD_CORE, Processes } from './processes.ts'
import { type SlowClients, slowReaders, slowUploaders } from './slow-clients.ts'
import { type ProbeResult, pooled, probe, probeText, statusOf } from './slow-probe.ts'
import { LARGE_BYTES } from './upstream.ts'

// What slow clients do to everybody else: one app worker that takes one request at a time, and 60 clients
// that send or read slowly. `node test/bench/slow.ts`; `--only A,B` for some peers, `--rounds N` to go
// through all kinds so often, and with `--attacks` slowhttptest against Causeway instead. Needs gunicorn.

const PEERS = [causeway, nginx, haproxy, caddy]
const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'
const CLIENTS = 60
const UPLOAD_BYTES_PER_SECOND = 100
const WINDOW_MS = 10_000
/** Pages asked for before anything is measured: what is compiled while it runs has been. */
const WARM_UP_PAGES = 5000
/**
 * In this time 60 answers of 32 MiB are read ahead, and pages asked for meanwhile wait for the app's one
 * worker.
 */
const READ_AHEAD_MS = 15_000
const ATTACK_SECONDS = 20
const LONGEST_MS = 420_000
/** slowhttptest's kinds: slow heads, slow bodies, slow reading. */
const ATTACKS = {
  heads: ['-H', '-i', '5', '-u', '/'],
  bodies: ['-B', '-i', '5', '-s', '8192', '-u', '/upload'],
  reading: ['-X', '-w', '512', '-y', '1024', '-n', '5', '-z', '32', '-k', '3', '-u', '/10k'],
} as const

const { values } = parseArgs({
  options: {
    attacks: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '1' },
  },
})
const rounds = Number(values.rounds)
if (values.attacks && rounds > 1) throw new TypeError('--attacks: each attack is made once, without --rounds')
if (!(rounds >= 1)) throw new TypeError(`--rounds: expected a number from 1, got "${values.rounds}"`)
/** What was seen in all rounds, by peer and kind of client. */
const all = new Map<string, ProbeResult[]>()

const say = (text: string) => process.stdout.write(`${text}\n`)

async function startApp(processes: Processes, folder: string): Promise<number> {
  const [port = 0] = await freePorts(1)
  const command = [
    PYTHON,
    '-m',
    'gunicorn',
    '--bind',
    `127.0.0.1:${port}`,
    '--workers',
    '1',
    '--timeout',
    '0',
  ]
  const app = [...command, '--chdir', import.meta.dirname, 'slow_app:application']
  processes.start(app, { core: LOAD_CORE, output: join(folder, 'app.log') })
  return port
}

/** Bytes that a process tree has in files without a name, or in nginx's folders for bodies. */
function spooledBytes(pid: number): number {
  let bytes = 0
  for (const child of processTree(pid)) {
    for (const fd of readdirSync(`/proc/${child}/fd`)) {
      const path = `/proc/${child}/fd/${fd}`
      try {
        const name = readlinkSync(path)
        if (name.endsWith(' (deleted)') || name.includes('/tmp-')) bytes += statSync(path).blocks * 512
      } catch {
        // Closed meanwhile.
      }
    }
  }
  return bytes
}

async function untilFree(port: number): Promise<void> {
  const end = performance.now() + 30_000
  while (performance.now() < end && (await statusOf(port)) !== 200) await delay(200)
}

/** Says it, and keeps it for the sum over all rounds. */
function note(what: string, seen: ProbeResult, instance: Instance): void {
  const memory = `RSS ${Math.round(treeResidentKiB(instance.pid) / 1024)} MiB`
  const disk = `files ${Math.round(spooledBytes(instance.pid) / 1024 / 1024)} MiB`
  say(`  ${what.padEnd(22)} ${probeText(seen)}  ${memory}  ${disk}`)
  const key = `${instance.peer.name.padEnd(10)} ${what.padEnd(22)}`
  all.set(key, [...(all.get(key) ?? []), seen])
}

async function over(clients: SlowClients, { port }: Instance): Promise<void> {
  clients.stop()
  await untilFree(port)
}

async function measure(instance: Instance): Promise<void> {
  const { port } = instance
  note('alone', await probe(port, WINDOW_MS), instance)
  const uploaders = slowUploaders(port, CLIENTS, UPLOAD_BYTES_PER_SECOND)
  note(`${CLIENTS} slow uploads`, await probe(port, WINDOW_MS), instance)
  await over(uploaders, instance)
  const readers = slowReaders(port, CLIENTS)
  note(`${CLIENTS} slow readers come`, await probe(port, READ_AHEAD_MS), instance)
  note(`${CLIENTS} slow readers read`, await probe(port, WINDOW_MS), instance)
  await over(readers, instance)
}

async function visit(peer: Peer, processes: Processes, place: Ground): Promise<void> {
  const instance = await startInstance(processes, peer, place)
  say(peer.name)
  for (let page = 0; page < WARM_UP_PAGES; page += 1) await statusOf(instance.port)
  if (values.attacks) await attack(instance)
  else for (let round = 0; round < rounds; round += 1) await measure(instance)
  await processes.stop(instance.child)
}

async function attack(instance: Instance): Promise<void> {
  for (const [name, options] of Object.entries(ATTACKS)) {
    const target = options.map(option =>
      option.startsWith('/') ? `http://127.0.0.1:${instance.port}${option}` : option,
    )
    const args = ['-c', '1000', '-r', '500', '-l', String(ATTACK_SECONDS), ...target]
    const attacker = spawn('sh', ['-c', 'ulimit -n 4096; exec slowhttptest "$@"', 'sh', ...args], {
      stdio: 'ignore',
    })
    const ended = once(attacker, 'exit')
    const seen = await probe(instance.port, 2 * ATTACK_SECONDS * 1000, () => attacker.exitCode === null)
    await ended
    note(`1000 slow ${name}`, seen, instance)
  }
}

async function ground(processes: Processes, folder: string): Promise<Ground> {
  const staticRoot = join(folder, 'static')
  mkdirSync(staticRoot)
  writeFileSync(join(staticRoot, '10k.css'), 'body { margin: 0 }\n'.repeat(600).slice(0, LARGE_BYTES))
  return { folder, staticRoot, upstreamPorts: [await startApp(processes, folder)] }
}

// As everywhere in these benches: one core for the proxy, the other for load and app.
execFileSync('taskset', ['-a', '-p', '-c', String(LOAD_CORE), String(process.pid)], { stdio: 'ignore' })
const processes = new Processes()
const folder = mkdtempSync(join(tmpdir(), 'causeway-slow-'))
process.once('exit', () => {
  processes.killNow()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
setTimeout(() => process.exit(1), rounds * LONGEST_MS).unref()
buildIfOld()
const place = await ground(processes, folder)
const wanted = values.attacks
  ? [causeway]
  : PEERS.filter(({ name }) => values.only?.split(',').includes(name) ?? true)
const present = wanted.filter(({ needs }) => isInstalled(needs))
for (const peer of present) await visit(peer, processes, place)
if (rounds > 1) {
  say('all rounds but the first, in which each path was run for the first time')
  for (const [key, [, ...results]] of all) say(`  ${key} ${probeText(pooled(results))}`)
}
await processes.stopAll()
