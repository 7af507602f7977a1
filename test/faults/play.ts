import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from '../bench/ports.ts'
import { until } from '../support/until.ts'
import { type Account, accountFor, type Fault } from './account.ts'
import type { Front, FrontKind, Plan } from './front.ts'
import { Journal, type Noted } from './journal.ts'
import { OpenLoad } from './load.ts'
import { paceFor } from './pace.ts'
import type { Scope } from './scope.ts'

const START_MS = 30_000
/** Probes need a few rounds until every endpoint is known to be well. */
const SETTLE_MS = 2_500

/** What a scene may use to set itself up. */
export interface Stage extends Scope {
  readonly journal: Journal
  /**
   * An address that nobody else has, `host:port`: every host of the run is 127.0.1.x, and the port is the
   * same.
   */
  address(host: number): string
}

/** What is played: apps that run, and what happens to them. */
export interface Setting {
  readonly plan: Plan
  /** What happens while the load runs. */
  act(run: Run): Promise<void>
  /** Throws where what was to happen has not: an account of a quiet run proves nothing. */
  happened?(run: Run): void
}

export interface Scene {
  readonly name: string
  /** Most POSTs that may end inside a broken endpoint, because nobody could know that it was broken. */
  readonly mostInside: number
  set(stage: Stage): Promise<Setting>
}

/** A run in progress, as a scene sees it. */
export class Run {
  readonly front: Front
  readonly faults: Fault[] = []
  readonly durationMs: number
  readonly #startMs: number
  readonly #journal: Journal

  constructor(front: Front, journal: Journal, startMs: number, durationMs: number) {
    this.front = front
    this.durationMs = durationMs
    this.#journal = journal
    this.#startMs = startMs
  }

  /** Resolves when this share of the load's time has passed. */
  async at(share: number): Promise<void> {
    await pause(Math.max(0, this.#startMs + share * this.durationMs - performance.now()))
  }

  /** From now on the endpoint is broken; the returned function says that the fault is over. */
  breaks(endpoint: string, takesUnread: boolean): () => void {
    const fromMs = performance.now()
    const at = this.faults.push({ endpoint, fromMs, toMs: Number.POSITIVE_INFINITY, takesUnread }) - 1
    return () => {
      this.faults[at] = { endpoint, fromMs, toMs: performance.now(), takesUnread }
    }
  }

  /** Requests that have arrived at an endpoint so far. */
  arrivedAt(endpoint: string): number {
    return arrivalsAt(this.#journal.read(), endpoint)
  }
}

export interface Played {
  readonly account: Account
  readonly faults: readonly Fault[]
  /** When the load began, by performance.now(). */
  readonly startMs: number
  /** Requests that the load was to be. */
  readonly planned: number
}

/**
 * Plays one scene through one proxy, under 200 requests a second or what the apps can do, and accounts for
 * every one of them.
 */
export async function play(
  scope: Scope,
  scene: Scene,
  kind: Pick<FrontKind, 'start'>,
  durationMs: number,
): Promise<Played> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-faults-'))
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const journal = new Journal(join(folder, 'journal'))
  scope.teardown(() => journal.close())
  const [port = 0] = await freePorts(1)
  const stage: Stage = {
    journal,
    teardown: end => scope.teardown(end),
    // Nobody's own end of a connection is ever on such a host, so no port is taken by chance while an app is
    // away.
    address: host => `127.0.1.${host}:${port}`,
  }
  const setting = await scene.set(stage)
  const front = await kind.start(scope, setting.plan)
  await until('the first answer through the proxy', () => answersWell(front), START_MS)
  await pause(SETTLE_MS)

  const perSecond = await paceFor(front.port)
  const load = await OpenLoad.start({ port: front.port, perSecond, durationMs })
  scope.teardown(() => load.stop())
  const run = new Run(front, journal, load.startMs, durationMs)
  const [asked] = await Promise.all([load.whole(), setting.act(run)])
  setting.happened?.(run)
  const { faults } = run
  const account = accountFor(asked, {
    journal: journal.read(),
    faults,
    unsent: await front.unsent(asked.length),
  })
  const planned = Math.round((perSecond * durationMs) / 1000)
  return { account, faults, startMs: load.startMs, planned }
}

function arrivalsAt(journal: ReadonlyMap<string, Noted>, endpoint: string): number {
  return [...journal.values()].filter(({ arrivedAt }) => arrivedAt.includes(endpoint)).length
}

async function answersWell({ port }: Front): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined)
  await answer?.arrayBuffer()
  return answer?.status === 200
}
