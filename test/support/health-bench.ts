import type { Test } from 'tap'
import { createSharedState, SharedState } from '../../lib/base/shared-state.ts'
import { Timers } from '../../lib/base/timers.ts'
import type { HealthConfig, Snapshot, UpstreamConfig } from '../../lib/config/model.ts'
import type { EndpointStatus } from '../../lib/server/health/endpoint-entry.ts'
import { HealthBoard } from '../../lib/server/health/health-board.ts'
import type { Placement } from '../../lib/server/shared/placement.ts'
import type { StateChange } from '../../metrics/facts.ts'
import { HealthTally } from '../../metrics/health-tally.ts'
import { FakeClock } from './fake-clock.ts'
import { configOf } from './upstream-world.ts'

export const UPSTREAM_SLOT = 7
export const HEALTH: HealthConfig = {
  kind: 'http',
  path: '/',
  host: undefined,
  headers: {},
  intervalMs: 1000,
  timeoutMs: 1000,
  rise: 1,
  fall: 1,
  expect: [200],
}

/**
 * A board over the upstream `app`, whose endpoints are called by their ports and have slots in their order.
 */
export class HealthBench {
  readonly clock = new FakeClock()
  readonly timers = new Timers(this.clock)
  readonly shared = new SharedState(createSharedState(1))
  readonly tally = new HealthTally()
  readonly events: string[] = []
  readonly hastened: string[] = []
  /** Indexes of those whose endpoints went out. */
  readonly gone: number[] = []
  readonly board: HealthBoard
  readonly #slots: string[] = []

  constructor(t: Test) {
    const say =
      (level: string) =>
      (fields: object, event: string): void => {
        const { endpoint = '', reason } = fields as { endpoint?: string; reason?: string }
        this.events.push(`${level} ${event} ${nameOf(endpoint)}${reason === undefined ? '' : `: ${reason}`}`)
      }
    this.board = new HealthBoard({
      clock: this.clock,
      timers: this.timers,
      shared: this.shared,
      tally: this.tally,
      random: () => 0.5,
      wentOut: index => this.gone.push(index),
      hasten: (_upstream, endpoint) => this.hastened.push(nameOf(endpoint)),
      log: {
        debug: say('debug'),
        info: say('info'),
        warn: say('warn'),
        error: say('error'),
        fatal: say('fatal'),
      },
    })
    t.teardown(() => this.board.stop())
  }

  place(ports: readonly number[], changes: Partial<UpstreamConfig> = {}): void {
    const upstream = configOf(ports, changes)
    const endpoints = upstream.endpoints.map(({ name, address, weight }) => {
      const key = JSON.stringify([name, address])
      if (!this.#slots.includes(key)) this.#slots.push(key)
      return { name, weight, row: 0, index: this.#slots.indexOf(key) }
    })
    const placement = { upstreams: [{ name: 'app', index: UPSTREAM_SLOT, row: 0, endpoints }] }
    // The board looks at nothing else.
    this.board.place({ upstreams: [upstream] } as unknown as Snapshot, placement as unknown as Placement)
  }

  /** What a data thread does before it says so. */
  mark(index: number, bits: number): void {
    this.shared.setState(index, bits, true)
  }

  state(index: number): number {
    return this.shared.state(index)
  }

  get status(): readonly EndpointStatus[] {
    return this.board.status('app')
  }

  /** Counted flips that there were. */
  changes(port: number): Partial<Record<StateChange, number>> {
    const all = this.tally.endpoint('app', full(port))?.changes ?? {}
    return Object.fromEntries(Object.entries<number>(all).filter(([, count]) => count > 0))
  }

  pass(ms: number): void {
    for (const endMs = this.clock.nowMs + ms; this.clock.nowMs < endMs; ) {
      this.clock.pass(50)
      this.timers.advance()
    }
  }
}

/** An endpoint's name. */
export const full = (port: number) => `127.0.0.1:${port}`
const nameOf = (endpoint: string) => endpoint.replace('127.0.0.1:', '')
