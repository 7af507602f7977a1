import { type Ground, type Instance, startInstance } from '../instance.ts'
import { runLoad } from '../load.ts'
import type { Peer } from '../peer.ts'
import { cpuMicros } from '../proc-stat.ts'
import type { Processes } from '../processes.ts'
import type { Spent } from '../summary.ts'
import { runH2Load } from './h2load.ts'
import { runHandshakes } from './handshakes.ts'
import type { EdgeCase, Options } from './options.ts'

/** What one load got done: requests, or handshakes. */
export interface Done {
  readonly count: number
  readonly perSecond: number
  readonly failed: number
}

/** One peer in one case of one round; a piece of work is a request or a handshake. */
export interface Worked extends Spent {
  readonly case: EdgeCase
  readonly perSecond: number
  readonly failed: number
}

type Load = (processes: Processes, port: number, seconds: number) => Promise<Done>

const HTTP1_CONNECTIONS = 64

const LOADS: Readonly<Record<EdgeCase, Load>> = {
  'handshake-full': (processes, port, seconds) => runHandshakes(processes, { kind: 'full', port, seconds }),
  'handshake-resumed': (processes, port, seconds) =>
    runHandshakes(processes, { kind: 'resumed', port, seconds }),
  'tls-proxied': async (processes, port, seconds) => {
    const url = `https://127.0.0.1:${port}/`
    const load = { url, seconds, connections: HTTP1_CONNECTIONS, connection: 'keep-alive' } as const
    const { requests: count, requestsPerSecond: perSecond, failed } = await runLoad(processes, load)
    return { count, perSecond, failed }
  },
  'h2-proxied': (processes, port, seconds) => runH2Load(processes, { port, path: '/', seconds }),
  'h2-static-10k': (processes, port, seconds) =>
    runH2Load(processes, { port, path: '/static/10k.css', seconds }),
}

export class EdgeBench {
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
  async round(round: number, peers: readonly Peer[]): Promise<readonly Worked[]> {
    const instances: Instance[] = []
    for (const peer of peers) instances.push(await startInstance(this.#processes, peer, this.#ground))
    const worked: Worked[] = []
    for (const name of this.#options.cases) {
      for (const instance of instances) {
        if (name === 'h2-static-10k' && !instance.peer.servesFiles) continue
        this.#progress(`round ${round}: ${name}, ${instance.peer.name}`)
        worked.push(await this.#twice(() => this.#work(round, name, instance)))
      }
    }
    for (const { child } of instances) await this.#processes.stop(child)
    return worked
  }

  /**
   * On a machine that others use as well a load may get nothing done, or h2load not come to its end: one more
   * try, and it is said.
   */
  async #twice(work: () => Promise<Worked>): Promise<Worked> {
    try {
      return await work()
    } catch (error) {
      this.#progress(`once more, because: ${error instanceof Error ? error.message : String(error)}`)
      return await work()
    }
  }

  async #work(round: number, name: EdgeCase, { peer, pid, port }: Instance): Promise<Worked> {
    const load = LOADS[name]
    await load(this.#processes, port, this.#options.warmSeconds)
    const before = cpuMicros(pid)
    const { count, perSecond, failed } = await load(this.#processes, port, this.#options.seconds)
    const cpuMicrosPerRequest = (cpuMicros(pid) - before) / count
    return { round, peer: peer.name, case: name, cpuMicrosPerRequest, perSecond, failed }
  }
}
