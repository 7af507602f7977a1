import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { MadeCertificate } from '../support/certificates.ts'
import type { Peer } from './peer.ts'
import { freePorts } from './ports.ts'
import { PROXY_CORE, type Processes } from './processes.ts'
import { type Question, questionTo } from './question.ts'
import { LARGE_BYTES, SMALL_BYTES } from './upstream.ts'

const START_MS = 20_000

/** A started proxy that has shown that it answers. */
export interface Instance {
  readonly peer: Peer
  readonly child: ChildProcess
  readonly pid: number
  readonly port: number
}

export interface Ground {
  readonly folder: string
  readonly upstreamPorts: readonly number[]
  readonly staticRoot: string
  /** Given: the peers speak TLS to their clients. */
  readonly tls?: MadeCertificate
  /** Unused connections that a peer keeps to the app; 64 unless said. */
  readonly upstreamIdle?: number
}

let started = 0

/** Starts a peer in a folder of its own and waits until `/` is answered through it. */
export async function startInstance(processes: Processes, peer: Peer, ground: Ground): Promise<Instance> {
  started += 1
  const folder = join(ground.folder, `${peer.name}-${started}`)
  mkdirSync(folder)
  const [port = 0, adminPort = 0] = await freePorts(2)
  const accessLog = join(folder, 'access.log')
  const launch = peer.launch({
    ...{ upstreamIdle: 64, tls: undefined, ...ground },
    ...{ folder, port, adminPort, accessLog },
  })
  for (const [name, text] of Object.entries(launch.files)) writeFileSync(join(folder, name), text)
  const output = launch.logsToStdout ? accessLog : join(folder, 'output.log')
  const child = processes.start(launch.command, { core: PROXY_CORE, output, env: launch.env ?? {} })
  if (child.pid === undefined) throw new Error(`${peer.name} did not start`)
  const instance = { peer, child, pid: child.pid, port }
  const ask = questionTo(port, ground.tls !== undefined)
  await answering(instance, output, ask)
  await correct(instance, ask)
  return instance
}

async function answering({ peer, child }: Instance, output: string, ask: Question): Promise<void> {
  const deadline = performance.now() + START_MS
  while (performance.now() < deadline && child.exitCode === null) {
    const status = await ask('/').then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) return
    await delay(100)
  }
  throw new Error(`${peer.name} does not answer; its output:\n${readFileSync(output, 'utf8').slice(-2000)}`)
}

/** The same work for all: whoever answers something else is not measured. */
async function correct({ peer }: Instance, ask: Question): Promise<void> {
  const expected: [string, number][] = [
    ['/', SMALL_BYTES],
    ['/10k', LARGE_BYTES],
  ]
  if (peer.servesFiles) expected.push(['/static/10k.css', LARGE_BYTES])
  for (const [path, bytes] of expected) {
    const answer = await ask(path)
    if (answer.status !== 200 || answer.bytes !== bytes) {
      throw new Error(
        `${peer.name} answered ${path} with ${answer.status} and ${answer.bytes} bytes, not ${bytes}`,
      )
    }
  }
}
