import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type MadeCertificate, TestAuthority } from '../support/certificates.ts'
import { type BenchRun, beginRun, tableOf } from './bench-run.ts'
import { buildIfOld } from './build.ts'
import { startInstance } from './instance.ts'
import { isInstalled, type Peer } from './peer.ts'
import { caddy, caddyToHttp2 } from './peers/caddy.ts'
import { plainCauseway, plainHaproxy, plainNginx } from './plain-peers.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE } from './processes.ts'
import { LARGE_BYTES, SMALL_BYTES } from './upstream.ts'

// Answers of app servers that write head and body apart, over connections that are kept: `node
// test/bench/kept.ts [--seconds 5] [--pause 20] [--only daphne]`. Eight clients ask again `pause`
// milliseconds after each answer. p50 and p99 in milliseconds; the first half of the time is not counted:
// whoever learns may learn.

const LONGEST_MS = 600_000
const CLIENTS = 8
const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    pause: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
  },
})
const seconds = positive('seconds', values.seconds)
const pauseMs = Number(values.pause)

interface App {
  readonly name: string
  readonly needs: string
  readonly peers: readonly Peer[]
  command(port: number, certificate: MadeCertificate): readonly string[]
}

const PEERS: readonly Peer[] = [
  named('Causeway', plainCauseway({ upstream: '' })),
  named('nginx', plainNginx({ upstream: '', keepalive: 0 })),
  named('nginx-keepalive', plainNginx({ upstream: '', keepalive: 64 })),
  named('HAProxy', plainHaproxy({ upstream: '' })),
  named('Caddy', { ...caddy, servesFiles: false }),
]

/** nginx speaks no HTTP/2 to apps. */
const HTTP2_PEERS: readonly Peer[] = [
  named('Causeway', plainCauseway({ upstream: 'tls = { verify = false }', scheme: 'h2://' })),
  named('HAProxy', plainHaproxy({ upstream: '', server: 'ssl verify none alpn h2' })),
  named('Caddy', { ...caddyToHttp2, servesFiles: false }),
]

const APPS: readonly App[] = [
  {
    name: 'uvicorn --workers 2 (asyncio)',
    needs: 'uvicorn',
    peers: PEERS,
    command: port => [
      'uvicorn',
      ...host(port),
      '--workers',
      '2',
      '--loop',
      'asyncio',
      '--log-level',
      'warning',
      'app:app',
    ],
  },
  {
    name: 'hypercorn',
    needs: 'hypercorn',
    peers: PEERS,
    command: port => ['hypercorn', '--bind', `127.0.0.1:${port}`, 'app:app'],
  },
  {
    name: 'daphne',
    needs: 'daphne',
    peers: PEERS,
    command: port => ['daphne', '-b', '127.0.0.1', '-p', `${port}`, 'app:app'],
  },
  {
    name: 'daphne (HTTP/2, TLS)',
    needs: 'daphne',
    peers: HTTP2_PEERS,
    command: (port, { certificateFile, keyFile }) => [
      'daphne',
      '-e',
      `ssl:${port}:privateKey=${keyFile}:certKey=${certificateFile}:interface=127.0.0.1`,
      'app:app',
    ],
  },
]

function host(port: number): readonly string[] {
  return ['--host', '127.0.0.1', '--port', `${port}`]
}

function named(name: string, peer: Peer): Peer {
  return { ...peer, name }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new TypeError(`--${name}: expected a number above 0, got "${text}"`)
  return value
}

async function startApp({ processes, folder }: BenchRun, app: App): Promise<number> {
  const [port = 0] = await freePorts(1)
  const [program = '', ...args] = app.command(port, certificate)
  const command = [PYTHON, '-m', program, ...args]
  const python = { PYTHONPATH: join(import.meta.dirname, 'kept'), PYTHONDONTWRITEBYTECODE: '1' }
  const env = { ...python, SMALL_BYTES: `${SMALL_BYTES}`, LARGE_BYTES: `${LARGE_BYTES}` }
  processes.start(command, { core: LOAD_CORE, output: join(folder, `${app.needs}.log`), env })
  for (let n = 0; n < 200; n += 1) {
    if (await listens(port)) return port
    await pause(100)
  }
  throw new Error(`${app.name} does not listen`)
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Milliseconds of all answers of the second half. */
async function timesOf(port: number): Promise<readonly number[]> {
  const startMs = performance.now()
  const countedMs = startMs + seconds * 500
  const endMs = startMs + seconds * 1000
  const times: number[] = []
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (performance.now() < endMs) {
      const askedMs = performance.now()
      await answered(port, agent)
      if (askedMs > countedMs) times.push(performance.now() - askedMs)
      await pause(pauseMs)
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return times.sort((a, b) => a - b)
}

async function answered(port: number, agent: Agent): Promise<void> {
  const [answer] = await once(get({ host: '127.0.0.1', port, agent }), 'response')
  answer.resume()
  await once(answer, 'end')
}

function at(times: readonly number[], share: number): string {
  return (times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(1)
}

const run = beginRun('kept', LONGEST_MS)
const certificate = new TestAuthority(run.folder).issue({ names: ['127.0.0.1'], keyType: 'rsa' })
buildIfOld()
const rows: string[][] = []
for (const app of APPS.filter(({ name, needs }) => isInstalled(needs) && name.startsWith(values.only))) {
  const upstreamPort = await startApp(run, app)
  for (const peer of app.peers.filter(({ needs }) => isInstalled(needs))) {
    const instance = await startInstance(run.processes, peer, {
      folder: run.folder,
      upstreamPorts: [upstreamPort],
      staticRoot: run.folder,
    })
    const times = await timesOf(instance.port)
    await run.processes.stop(instance.child)
    rows.push([
      app.name,
      peer.name,
      at(times, 0.5),
      at(times, 0.99),
      String(Math.round(times.length / (seconds / 2))),
    ])
    process.stderr.write(`${rows.at(-1)?.join('  ')}\n`)
  }
}
await run.processes.stopAll()
process.stdout.write(tableOf(['app server', 'in front of it', 'p50 ms', 'p99 ms', 'answers/s'], rows))
