import { setTimeout as delay } from 'node:timers/promises'
import { idleCostKiB } from './idle.ts'
import { type Ground, type Instance, startInstance } from './instance.ts'
import { runLoad } from './load.ts'
import type { CaseName, Options } from './options.ts'
import type { Peer } from './peer.ts'
import { cpuMicros, treeResidentKiB } from './proc-stat.ts'
import type { Processes } from './processes.ts'

/** One peer in one case of one round. */
export interface Traffic {
  readonly kind: 'traffic'
  readonly round: number
  readonly peer: string
  readonly case: CaseName
  /** CPU time of the proxy, user and system, all its threads and processes. */
  readonly cpuMicrosPerRequest: number
  readonly requestsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly failed: number
}

/** Memory of one peer in one round. */
export interface Memory {
  readonly kind: 'memory'
  readonly round: number
  readonly peer: string
  readonly what: 'idle' | 'load' | 'connection'
  readonly kib: number
}

export type Sample = Traffic | Memory

const PATHS: Readonly<Record<Exclude<CaseName, 'idle'>, string>> = {
  proxied: '/',
  'proxied-10k': '/10k',
  'static-10k': '/static/10k.css',
  connect: '/',
}
const SETTLE_MS = 2000
const SAMPLE_MS = 250

export class Bench {
  readonly #processes: Processes
  readonly #options: Options
  readonly #ground: Ground
  readonly #progress: (text: string) => void

  constructor(processes: Processes, options: Options, ground: Ground, progress: (text: string) => void) {
    this.#processes = processes
    this.#options = options
    this.#ground = ground
    this.#progress = progress
  }

  /** One round with fresh processes: every case, in each case the peers in turn. */
  async round(round: number, peers: readonly Peer[]): Promise<readonly Sample[]> {
    const samples: Sample[] = []
    const instances: Instance[] = []
    for (const peer of peers) instances.push(await startInstance(this.#processes, peer, this.#ground))
    await delay(SETTLE_MS)
    for (const { peer, pid } of instances) {
      samples.push({ kind: 'memory', round, peer: peer.name, what: 'idle', kib: treeResidentKiB(pid) })
    }
    for (const name of this.#options.cases) {
      if (name === 'idle') continue
      for (const instance of instances) samples.push(...(await this.#traffic(round, name, instance)))
    }
    for (const { child } of instances) await this.#processes.stop(child)
    if (this.#options.cases.includes('idle')) {
      for (const peer of peers) samples.push(await this.#idle(round, peer))
    }
    return samples
  }

  async #traffic(
    round: number,
    name: Exclude<CaseName, 'idle'>,
    instance: Instance,
  ): Promise<readonly Sample[]> {
    const { peer, pid, port } = instance
    if (name === 'static-10k' && !peer.servesFiles) return []
    this.#progress(`round ${round}: ${name}, ${peer.name}`)
    const { connections, seconds, warmSeconds } = this.#options
    const url = `http://127.0.0.1:${port}${PATHS[name]}`
    const connection = name === 'connect' ? 'close' : 'keep-alive'
    const load = { url, connections, connection } as const
    await runLoad(this.#processes, { ...load, seconds: warmSeconds })
    const peak = watchPeak(pid)
    const before = cpuMicros(pid)
    const result = await runLoad(this.#processes, { ...load, seconds })
    const spent = cpuMicros(pid) - before
    const { requests, ...rest } = result
    const cpuMicrosPerRequest = spent / requests
    return [
      { kind: 'traffic', round, peer: peer.name, case: name, cpuMicrosPerRequest, ...rest },
      { kind: 'memory', round, peer: peer.name, what: 'load', kib: peak() },
    ]
  }

  /** On a process that has served nothing yet: memory that load left free would hide the cost. */
  async #idle(round: number, peer: Peer): Promise<Sample> {
    const { idleConnections } = this.#options
    this.#progress(`round ${round}: ${idleConnections} idle connections, ${peer.name}`)
    const { child, pid, port } = await startInstance(this.#processes, peer, this.#ground)
    const kib = await idleCostKiB(this.#processes, pid, port, idleConnections)
    await this.#processes.stop(child)
    return { kind: 'memory', round, peer: peer.name, what: 'connection', kib }
  }
}

/** Samples the memory of a process tree until the returned function is called; that gives the highest. */
function watchPeak(pid: number): () => number {
  let peak = 0
  const look = () => {
    peak = Math.max(peak, treeResidentKiB(pid))
  }
  const timer = setInterval(look, SAMPLE_MS)
  return () => {
    clearInterval(timer)
    look()
    return peak
  }
}
