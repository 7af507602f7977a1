import { ENDPOINT_BLOCK, UPSTREAM_BLOCK } from '../../upstreams/measures.ts'
import { Upstream, type UpstreamPlacement } from '../../upstreams/upstream.ts'
import { CellColumn, CellReader, createCellMemory } from '../base/cells.ts'
import { Descriptors } from '../base/descriptors.ts'
import { createSharedState } from '../base/shared-state.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import { Timers } from '../base/timers.ts'
import type { UpstreamConfig } from '../config/model.ts'
import { Agenda } from './agenda.ts'
import { App, type AppModel, type AppTotals } from './app.ts'
import { Control } from './control.ts'
import type { Arrival } from './load.ts'
import { randomStream } from './random.ts'
import { SimulatedRequest } from './request.ts'
import { type End, type Outcome, Tally } from './tally.ts'
import { VirtualState } from './virtual-state.ts'
import type { VisitContext } from './visit.ts'

/** How often a real data thread lets its deadlines run out. */
const TICK_MS = 50
/** A client that was refused does not ask again before. */
const AGAIN_MS = 100
/** More than any request makes. */
const MANY_ATTEMPTS = 40

/** What is played through. */
export interface Scenario {
  /** Its endpoints are those of `apps`, in their order. */
  readonly config: UpstreamConfig
  readonly apps: readonly AppModel[]
  readonly threads: number
  /** Over the network and back, between dispatcher and app, milliseconds. */
  readonly roundTripMs: number
  /** In the order of time. */
  readonly arrivals: Iterable<Arrival>
  /**
   * Until when each client asks again as soon as it has its answer (a closed loop); undefined: each asks
   * once.
   */
  readonly againUntilMs?: number
  /** What comes before is played, but not counted, milliseconds. */
  readonly warmUpMs: number
  /** How long a client waits for its answer; undefined: for as long as it takes. */
  readonly patienceMs: number | undefined
  readonly seed: number
}

export interface Played extends Outcome {
  readonly endpoints: readonly PlayedEndpoint[]
}

/** What an app did until the last request came. */
export interface PlayedEndpoint {
  readonly name: string
  readonly answered: number
  /** Share of its workers' time that they worked, 0 to 1. */
  readonly utilisation: number
  /** Most requests in the app's own listen queue. */
  readonly longestBacklog: number
}

/**
 * Plays a scenario: the dispatcher that serves real requests, on virtual time. The same scenario gives the
 * same outcome.
 */
export function simulate(scenario: Scenario): Promise<Played> {
  return new Simulation(scenario).run()
}

interface Thread {
  readonly upstream: Upstream
  readonly context: VisitContext
}

class Simulation {
  readonly #scenario: Scenario
  readonly #agenda = new Agenda()
  readonly #apps: readonly App[]
  readonly #shared: VirtualState
  readonly #threads: readonly Thread[]
  readonly #tally = new Tally()
  readonly #arrivals: Iterator<Arrival>
  readonly #draw: () => number
  #open = 0
  #allCame = false
  /** Clients that are about to ask again. */
  #returning = 0
  #totals: readonly AppTotals[] = []
  #lastArrivalMs = 0
  /** When a request came or ended last. */
  #movedAtMs = 0

  constructor(scenario: Scenario) {
    const { config, apps, threads, seed } = scenario
    this.#scenario = scenario
    this.#apps = apps.map(model => new App(model, this.#agenda))
    this.#shared = new VirtualState(createSharedState(threads), this.#agenda)
    this.#draw = randomStream(seed, 'again')
    this.#arrivals = scenario.arrivals[Symbol.iterator]()
    const placement = placementOf(apps.length)
    const cells = createCellMemory(threads, UPSTREAM_BLOCK.size + apps.length * ENDPOINT_BLOCK.size)
    const observer = new Control({
      agenda: this.#agenda,
      timers: this.#timers(),
      shared: this.#shared,
      cells: new CellReader(cells),
      config,
      placement,
      apps: this.#apps,
      random: randomStream(seed, 'control'),
    })
    this.#threads = Array.from({ length: threads }, (_, thread) => {
      const env: ThreadEnv = {
        clock: this.#agenda,
        timers: this.#timers(),
        cells: new CellColumn(cells, thread),
        shared: this.#shared,
        descriptors: new Descriptors(this.#shared, thread),
        thread,
        random: randomStream(seed, `thread ${thread}`),
      }
      const { roundTripMs } = scenario
      const context = { agenda: this.#agenda, env, apps: this.#apps, roundTripMs }
      return { upstream: new Upstream(config, placement, env, observer), context }
    })
  }

  async run(): Promise<Played> {
    const lostAfterMs = longestMs(this.#scenario.config)
    this.#planNext()
    while (!(this.#allCame && this.#open + this.#returning === 0) && this.#agenda.proceed()) {
      const settled = this.#shared.settled()
      if (settled !== undefined) await this.#settle(settled)
      if (this.#open > 0 && this.#agenda.now() - this.#movedAtMs > lostAfterMs)
        throw new Error(`the dispatcher has lost ${this.#open} requests`)
    }
    return { ...this.#tally.outcome(), endpoints: this.#endpoints() }
  }

  /** Those who are woken wake others. */
  async #settle(first: Promise<void>): Promise<void> {
    let settled: Promise<void> | undefined = first
    while (settled !== undefined) {
      await settled
      settled = this.#shared.settled()
    }
  }

  #timers(): Timers {
    const timers = new Timers(this.#agenda)
    const tick = () => {
      timers.advance()
      this.#agenda.after(TICK_MS, tick)
    }
    this.#agenda.after(TICK_MS, tick)
    return timers
  }

  #planNext(): void {
    const { done, value } = this.#arrivals.next()
    if (done === true) return this.#noneLeft()
    this.#agenda.at(value.atMs, () => {
      this.#lastArrivalMs = this.#agenda.now()
      this.#movedAtMs = this.#lastArrivalMs
      this.#take(value)
      this.#planNext()
    })
  }

  #noneLeft(): void {
    this.#allCame = true
    this.#totals = this.#apps.map(app => app.totals)
  }

  /** The client of this one asks again, if clients do. */
  #askAgain(arrival: Arrival, end: End): void {
    const delayMs = end.kind === 'answer' ? 0 : AGAIN_MS
    const atMs = this.#agenda.now() + delayMs
    if (atMs > (this.#scenario.againUntilMs ?? Number.NEGATIVE_INFINITY)) return
    const demand = { ...arrival.demand, quantile: this.#draw() }
    this.#returning += 1
    this.#agenda.at(atMs, () => {
      this.#returning -= 1
      this.#take({ ...arrival, atMs, demand, luck: this.#draw() })
    })
  }

  #take(arrival: Arrival): void {
    const { threads, patienceMs } = this.#scenario
    const { upstream, context } = this.#threads[Math.floor(arrival.placeDraw * threads)] as Thread
    const request = new SimulatedRequest(arrival, context, this)
    this.#open += 1
    if (patienceMs !== undefined) this.#agenda.after(patienceMs, () => request.leave())
    upstream.submit(request)
    this.#tally.sawQueue(this.#shared.queued(0))
  }

  ended({ arrival, record, priority, idempotent, begun }: SimulatedRequest, end: End): void {
    this.#open -= 1
    this.#movedAtMs = this.#agenda.now()
    this.#askAgain(arrival, end)
    if (arrival.atMs < this.#scenario.warmUpMs) return
    const tookMs = this.#agenda.now() - arrival.atMs
    const { queueMs, attempts } = record
    this.#tally.count(end, { tookMs, queueMs, attempts, priority, idempotent, begun })
  }

  #endpoints(): PlayedEndpoint[] {
    return this.#apps.map(({ model: { name, workers } }, i) => {
      const { answered, busyMs, longestBacklog } = this.#totals[i] as AppTotals
      const utilisation = this.#lastArrivalMs === 0 ? 0 : busyMs / (workers * this.#lastArrivalMs)
      return { name, answered, utilisation, longestBacklog }
    })
  }
}

/** However unlucky a request is: by then one of its deadlines has run out, or it is nowhere any more. */
function longestMs({ queue, timeouts }: UpstreamConfig): number {
  return 2 * (queue.timeoutMs + MANY_ATTEMPTS * (timeouts.connectMs + timeouts.responseMs))
}

/** One upstream, index 0. */
function placementOf(endpoints: number): UpstreamPlacement {
  return {
    index: 0,
    row: 0,
    endpoints: Array.from({ length: endpoints }, (_, index) => {
      return { index, row: UPSTREAM_BLOCK.size + index * ENDPOINT_BLOCK.size }
    }),
  }
}
