import { handshakePeer, probeHandshake } from '../../../upstreams/health/handshake-probe.ts'
import type { Probe } from '../../../upstreams/health/health.ts'
import type { Clock } from '../../base/clock.ts'
import type { ServerLog } from '../../base/server-log.ts'
import type { Timers } from '../../base/timers.ts'
import type { EndpointConfig, UpstreamConfig } from '../../config/model.ts'
import type { EndpointStatus } from '../health/endpoint-entry.ts'
import type { HealthBoard } from '../health/health-board.ts'
import type { Membership } from '../rollout/membership.ts'
import { configuredText, type EndpointSource, type Overlay } from '../rollout/overlay.ts'
import type { Rollout } from '../rollout/rollout.ts'
import { addressText } from '../shared/address-text.ts'
import { pause } from '../shared/alarm.ts'

/** How often it is looked whether the new endpoints are ready, or the old ones empty. */
const LOOK_MS = 100
const CONNECT_MS = 2000

export interface DeployParts {
  readonly board: Pick<HealthBoard, 'status'>
  readonly membership: Membership
  readonly rollout: Rollout
  readonly clock: Clock
  readonly timers: Timers
  readonly log: ServerLog
}

/** How a deploy went. */
export interface DeployResult {
  readonly ok: boolean
  readonly upstream: string
  /** Names of the endpoints that have the traffic now. */
  readonly endpoints: readonly string[]
  /** What was done, a sentence each. */
  readonly steps: readonly string[]
  /** Why it was given up; undefined if it was not. */
  readonly problem: string | undefined
}

/** What a deploy is to do. */
export interface DeployOrder {
  readonly upstream: UpstreamConfig
  /** Undefined: what is configured. */
  readonly source: EndpointSource | undefined
  readonly timeoutMs: number
  readonly drainMs: number
}

/** One deploy at work. */
interface Work {
  readonly order: DeployOrder
  readonly steps: string[]
  /** What had the traffic before. */
  readonly before: EndpointSource | undefined
  /** Addresses that somebody has connected to: there is no health table. */
  readonly reached: Set<string>
  /** What this deploy has laid over the configuration last. */
  overlay: Overlay
}

/**
 * Puts other endpoints in the place of those an upstream has, at run time: adds the new ones without traffic,
 * waits until every one is ready, switches in one step, lets the old ones finish, and removes them. If a new
 * one does not get ready, nothing has happened.
 */
export class Deploys {
  readonly #parts: DeployParts
  readonly #running = new Set<string>()

  constructor(parts: DeployParts) {
    this.#parts = parts
  }

  isRunning(upstream: string): boolean {
    return this.#running.has(upstream)
  }

  /** One at a time for an upstream: look at `isRunning` before. */
  async run(order: DeployOrder): Promise<DeployResult> {
    const { name } = order.upstream
    this.#running.add(name)
    try {
      return await this.#run(order)
    } finally {
      this.#running.delete(name)
    }
  }

  async #run(order: DeployOrder): Promise<DeployResult> {
    const { membership, log } = this.#parts
    const { upstream, source } = order
    const before = membership.overlay(upstream.name)?.present
    const overlay = { configured: configuredText(upstream), present: before, aside: { source } }
    const work: Work = { order, steps: [], before, reached: new Set(), overlay }
    await this.#lay(work, overlay)
    const problem = await this.#untilReady(work)
    if (problem !== undefined) {
      await this.#takeBack(work)
      log.warn({ upstream: upstream.name, problem }, 'deploy given up')
      return this.#result(work, problem)
    }
    await this.#switchOver(work)
    await this.#untilOldEmpty(work)
    if (this.#holds(work)) await this.#lay(work, { ...work.overlay, aside: undefined })
    return this.#result(work, undefined)
  }

  async #switchOver(work: Work): Promise<void> {
    const { source, upstream } = work.order
    await this.#lay(work, { ...work.overlay, present: source, aside: { source: work.before } })
    const endpoints = this.#targets(work).map(({ name }) => name)
    const where = source === undefined ? 'as configured' : 'not in the configuration files'
    this.#parts.log.info({ upstream: upstream.name, endpoints, where }, 'deployed')
    work.steps.push(
      `${endpoints.join(', ')} ${endpoints.length === 1 ? 'receives' : 'receive'} the traffic now`,
    )
  }

  /** Undefined once every new endpoint is ready, else what is wrong. */
  async #untilReady(work: Work): Promise<string | undefined> {
    const { clock, timers } = this.#parts
    const { timeoutMs } = work.order
    const endMs = clock.now() + timeoutMs
    for (;;) {
      if (!this.#holds(work)) return 'the configuration of the upstream has changed in the meantime'
      const late = await this.#notReady(work)
      if (late === undefined) return undefined
      if (clock.now() >= endMs) return `${late} (waited ${timeoutMs / 1000} s)`
      await pause(timers, LOOK_MS)
    }
  }

  /** The first new endpoint that is not ready, and why. */
  async #notReady(work: Work): Promise<string | undefined> {
    const { order } = work
    const unknown = this.#parts.membership.unknownNames(order.upstream, order.source)[0]
    if (unknown !== undefined) return `${unknown}: the name has no address yet`
    const targets = this.#targets(work)
    if (targets.length === 0) return 'no endpoint found'
    const rows = this.#rows(work)
    for (const target of targets) {
      const address = addressText(target.address)
      const row = rows.find(one => one.name === target.name || one.address === address)
      const reason = row === undefined ? 'it is not known yet' : await this.#unfitness(work, target, row)
      if (reason !== undefined) return `${target.name}: ${reason}`
      const step = `${target.name} is ready`
      if (!work.steps.includes(step)) work.steps.push(step)
    }
    return undefined
  }

  async #unfitness(work: Work, target: EndpointConfig, row: EndpointStatus): Promise<string | undefined> {
    if (row.state === 'down' || row.state === 'ejected') return row.reason ?? row.state
    if (work.order.upstream.health !== undefined) return undefined
    const address = addressText(target.address)
    if (work.reached.has(address)) return undefined
    const probe = await this.#connect(work, target)
    if (!probe.ok) return probe.reason
    work.reached.add(address)
    return undefined
  }

  #connect({ order }: Work, endpoint: EndpointConfig): Promise<Probe> {
    const limitMs = Math.min(CONNECT_MS, order.timeoutMs)
    return probeHandshake(handshakePeer(endpoint, order.upstream), AbortSignal.timeout(limitMs))
  }

  async #untilOldEmpty(work: Work): Promise<void> {
    const { clock, timers } = this.#parts
    const endMs = clock.now() + work.order.drainMs
    const targets = this.#targets(work).map(({ name }) => name)
    const old = () => this.#rows(work).filter(({ name }) => !targets.includes(name))
    const names = old().map(({ name }) => name)
    if (names.length === 0) return
    const running = () => old().reduce((sum, row) => sum + row.inflight, 0)
    while (this.#holds(work) && running() > 0 && clock.now() < endMs) await pause(timers, LOOK_MS)
    const left = running()
    const rest = left === 0 ? 'empty' : `finishing ${left} more`
    work.steps.push(`${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} out, ${rest}`)
  }

  #takeBack(work: Work): Promise<void> {
    if (!this.#holds(work)) return Promise.resolve()
    return this.#lay(work, { ...work.overlay, aside: undefined })
  }

  async #lay(work: Work, overlay: Overlay): Promise<void> {
    const { membership, rollout } = this.#parts
    const { name } = work.order.upstream
    work.overlay = overlay
    const asConfigured = overlay.present === undefined && overlay.aside === undefined
    membership.setOverlay(name, asConfigured ? undefined : overlay)
    await rollout.refresh()
  }

  /** False once a reload has configured other endpoints: they are in force then. */
  #holds({ order, overlay }: Work): boolean {
    return this.#parts.membership.overlay(order.upstream.name) === overlay
  }

  #targets({ order }: Work): readonly EndpointConfig[] {
    return this.#parts.membership.endpointsFrom(order.upstream, order.source)
  }

  #rows({ order }: Work): readonly EndpointStatus[] {
    return this.#parts.board.status(order.upstream.name)
  }

  #result(work: Work, problem: string | undefined): DeployResult {
    const { upstream } = work.order
    const endpoints = this.#rows(work).filter(({ name }) => {
      return !this.#parts.rollout.isQuiet(upstream.name, name)
    })
    const names = endpoints.map(({ name }) => name)
    return {
      ok: problem === undefined,
      upstream: upstream.name,
      endpoints: names,
      steps: work.steps,
      problem,
    }
  }
}
