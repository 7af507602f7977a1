import { type LogLine, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import type { Scope } from './scope.ts'

/** What a proxy is told about the app. Everything else is each proxy's own business. */
export interface Plan {
  /** `host:port`; the host may be a name that `resolver` knows. */
  readonly endpoints: readonly string[]
  /** Requests that one endpoint runs at a time. */
  readonly slots: number
  /** What is known to answer there. */
  readonly server?: 'gunicorn'
  /** Time to an answer's first byte; the proxy's default if undefined. */
  readonly responseMs?: number
  /** The name server to ask, `host:port`. */
  readonly resolver?: string
  /** The second of two configurations that a run goes back and forth between. */
  readonly changed?: boolean
}

/** A running proxy. */
export interface Front {
  readonly port: number
  /** Takes another plan; resolves once that has been handed over, whether or not it is in force yet. */
  reload(plan: Plan): Promise<void>
  /**
   * Requests, by id, of which no byte was sent to any endpoint, as its log says; asked for when the load of
   * `sent` has ended.
   */
  unsent(sent: number): Promise<ReadonlySet<string>>
}

/** A proxy that scenes can be played with. */
export interface FrontKind {
  readonly name: string
  /** Program that must be on the path. */
  readonly needs: string
  start(scope: Scope, plan: Plan): Promise<Front>
}

/** Ends of exchanges that no endpoint has seen anything of (lib/ERRORS.md). */
const UNSENT = new Set([
  'connect_failed',
  'connect_timeout',
  'no_endpoint',
  'overloaded',
  'queue_full',
  'queue_timeout',
])

/** Causeway from this checkout, on two data threads. */
export class CausewayFront implements Front {
  readonly running: Running

  private constructor(running: Running) {
    this.running = running
  }

  static async start(scope: Scope, plan: Plan): Promise<CausewayFront> {
    return new CausewayFront(await startCauseway(scope, { config: configOf(plan) }))
  }

  get port(): number {
    return this.running.port()
  }

  async reload(plan: Plan): Promise<void> {
    const result = await this.running.reload(configOf(plan))
    if (result === 'failure') throw new Error(`Causeway did not take the plan ${JSON.stringify(plan)}`)
  }

  async unsent(sent: number): Promise<ReadonlySet<string>> {
    const { running } = this
    await until('the access line of every request', () => running.access.filter(isOfLoad).length === sent)
    return unsentAmong(running.access)
  }
}

/** Not of a probe, nor of what opens connections. */
export function isOfLoad({ msg, path }: LogLine): boolean {
  return msg === 'access' && String(path).startsWith('/job/')
}

/** Requests, by id, whose access lines say that they were sent to nobody. */
export function unsentAmong(lines: readonly LogLine[]): ReadonlySet<string> {
  const unsent = lines.filter(({ end }) => UNSENT.has(String(end)))
  return new Set(unsent.map(({ path }) => String(path).split('/').at(-1) ?? ''))
}

function configOf(plan: Plan): string {
  const { endpoints, slots, server, responseMs, resolver, changed = false } = plan
  return configText({
    endpoints,
    workers: 2,
    server: resolver === undefined ? '' : `resolver = ["${resolver}"]`,
    upstream: [
      server === undefined ? '' : `server = "${server}"`,
      `max_inflight = ${slots}`,
      'health = { path = "/healthz", interval = "1s" }',
      responseMs === undefined ? '' : `timeouts = { response = "${responseMs}ms" }`,
      `retry = { attempts = ${changed ? 3 : 2}, statuses = [500, 502, 503, 504] }`,
      resolver === undefined ? '' : 'discovery = { interval = "1s" }',
      changed ? 'balance = "least-inflight"\nkeepalive = { idle = "1s" }' : '',
    ].join('\n'),
  })
}
