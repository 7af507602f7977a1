import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildIfOld } from './build.ts'
import { ATTACKS, type Attack, leave } from './memory-attacks.ts'
import { MemoryCgroup, MemoryContainer } from './memory-bounds.ts'
import { freePorts } from './ports.ts'
import { treeResidentKiB } from './proc-stat.ts'
import { LOAD_CORE, PROXY_CORE, Processes } from './processes.ts'
import { questionTo } from './question.ts'

// How much memory one data thread takes while clients hold what they can, and what comes back: `node
// test/bench/memory.ts`. `--only A,B` for some attacks; `--rounds N` for the uploads; `--hold S` seconds that
// an attack lasts; `--disk 64MiB` for `server.spool.disk`; `--cgroup 256` puts it into a memory cgroup of so
// many MiB (needs root); `--image NAME` runs that image in a container of podman with 256 MiB, or as
// `--cgroup` says; `--plain` leaves glibc's allocator as it is. Exits with 1 where a bound is broken.

const MEMORY_TOTAL_MIB = 64
/** What may come on top of `memory_total`, and what may be left after a pause. */
const ABOVE_MIB = 30
const LEFT_MIB = 20
const CONTAINER_MIB = 256
const PAUSE_MS = 30_000
const LOOK_MS = 50
const WARM_UP_PAGES = 2000
const FIRST_ANSWER_MS = 5000
/** As in the image and with `npm start`. */
const ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' }
const CLIENTS = { uploads: 2000, readers: 4000 } as const

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '8' },
    hold: { type: 'string', default: '4' },
    disk: { type: 'string', default: '4GiB' },
    cgroup: { type: 'string' },
    image: { type: 'string' },
    plain: { type: 'boolean', default: false },
  },
})
const ENVIRONMENT = { NODE_ENV: 'production', ...(values.plain ? {} : ALLOCATOR) }
const rounds = Number(values.rounds)
const holdMs = Number(values.hold) * 1000
const say = (text: string) => process.stdout.write(`${text}\n`)

const config = (port: number, adminPort: number, appPort: number, calmPort: number) => `
[server]
workers = 1
drain = "1s"
spool = { memory_total = "${MEMORY_TOTAL_MIB}MiB", disk = "${values.disk}" }
[log]
level = "warn"
access = "off"
[admin]
address = "127.0.0.1:${adminPort}"
[listeners.web]
address = "127.0.0.1:${port}"
h2c = true
[upstreams.app]
endpoints = ["127.0.0.1:${appPort}"]
body = "spool"
[upstreams.calm]
endpoints = ["127.0.0.1:${calmPort}"]
[routes.app]
path = "/"
upstream = "app"
[routes.calm]
path = "/calm"
upstream = "calm"
`

/** The most memory that a process had since it was made. */
class PeakWatch {
  peakMib = 0
  readonly #pid: number
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.look(), LOOK_MS)
  }

  look(): number {
    const mib = treeResidentKiB(this.#pid) / 1024
    this.peakMib = Math.max(this.peakMib, mib)
    return mib
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

interface Found {
  readonly peak: number
  readonly left: number
  /** Milliseconds to the first 200 after each round. */
  readonly answered: readonly number[]
}

async function firstAnswer(port: number): Promise<number> {
  const startMs = performance.now()
  const ask = questionTo(port, false)
  while (performance.now() - startMs < 120_000) {
    const status = await ask('/calm').then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) break
    await delay(100)
  }
  return Math.round(performance.now() - startMs)
}

async function run(
  attack: Attack,
  clients: number,
  times: number,
  port: number,
  pid: number,
): Promise<Found> {
  const watch = new PeakWatch(pid)
  const before = watch.look()
  const answered: number[] = []
  for (let round = 1; round <= times; round += 1) {
    const sockets = await attack.begin(port, clients)
    await delay(holdMs)
    const held = watch.look()
    leave(sockets)
    answered.push(await firstAnswer(port))
    say(
      `    round ${round}: held ${Math.round(held - before)}, peak ${Math.round(watch.peakMib - before)} MiB above idle, 200 after ${answered.at(-1)} ms`,
    )
  }
  await delay(PAUSE_MS)
  const after = watch.look()
  watch.stop()
  return { peak: watch.peakMib - before, left: after - before, answered }
}

function judge(name: string, { peak, left, answered }: Found): boolean {
  const slowest = Math.max(...answered)
  const good = peak <= MEMORY_TOTAL_MIB + ABOVE_MIB && left <= LEFT_MIB && slowest <= FIRST_ANSWER_MS
  say(
    `  ${name.padEnd(14)} peak ${Math.round(peak)} (${MEMORY_TOTAL_MIB + ABOVE_MIB})  left ${Math.round(left)} (${LEFT_MIB}) MiB above idle  first 200 after ${slowest} ms  ${good ? 'good' : 'TOO MUCH'}`,
  )
  return good
}

async function visit(name: keyof typeof ATTACKS, folder: string, processes: Processes): Promise<boolean> {
  const [port = 0, adminPort = 0, appPort = 0, calmPort = 0] = await freePorts(4)
  const file = join(folder, `${name}.toml`)
  writeFileSync(file, config(port, adminPort, appPort, calmPort))
  // The image runs as a user of its own.
  chmodSync(folder, 0o755)
  const output = join(folder, `${name}.log`)
  const { image } = values
  const mib = Number(values.cgroup ?? CONTAINER_MIB)
  const container = image === undefined ? undefined : new MemoryContainer(image, mib, file)
  const cgroup = values.cgroup === undefined || container !== undefined ? undefined : new MemoryCgroup(mib)
  const app = processes.start([process.execPath, 'test/bench/memory-app.ts', String(appPort)], {
    core: LOAD_CORE,
    output,
  })
  const calm = processes.start([process.execPath, 'test/bench/memory-app.ts', String(calmPort)], {
    core: LOAD_CORE,
    output,
  })
  const command = container?.command ?? [process.execPath, 'dist/cmd/causeway.js', 'run', '--config', file]
  const causeway = processes.start(command, { core: PROXY_CORE, output, env: ENVIRONMENT })
  const pid = container === undefined ? causeway.pid : await container.pid()
  if (pid === undefined) throw new Error('did not start')
  cgroup?.take(pid)
  await firstAnswer(port)
  const ask = questionTo(port, false)
  for (let page = 0; page < WARM_UP_PAGES; page += 1) await ask('/')
  await delay(2000)
  const uploads = name.startsWith('uploads')
  const clients = uploads ? CLIENTS.uploads : CLIENTS.readers
  const found = await run(ATTACKS[name], clients, uploads ? rounds : 1, port, pid)
  const killed = causeway.exitCode !== null || causeway.signalCode !== null
  await processes.stop(causeway)
  if (cgroup !== undefined || container !== undefined)
    say(
      `  ${mib} MiB: ${killed ? 'KILLED' : 'alive'}${cgroup === undefined ? '' : `, limit met: ${cgroup.events}`}`,
    )
  cgroup?.remove()
  await processes.stop(app)
  await processes.stop(calm)
  const text = readFileSync(output, 'utf8')
  if (text !== '') say(text.slice(0, 2000))
  return judge(name, found) && !killed
}

const processes = new Processes()
const folder = mkdtempSync(join(tmpdir(), 'causeway-memory-'))
process.once('exit', () => {
  processes.killNow()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
buildIfOld()
const names = (Object.keys(ATTACKS) as (keyof typeof ATTACKS)[]).filter(
  name => values.only?.split(',').includes(name) ?? true,
)
const verdicts: boolean[] = []
for (const name of names) {
  say(name)
  verdicts.push(await visit(name, folder, processes))
}
process.exitCode = verdicts.every(good => good) ? 0 : 1
