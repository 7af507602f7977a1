import { misfit } from '../../config/endpoint-fit.ts'
import { endpointList, parseWrittenEndpoint, type WrittenEndpoint } from '../../config/endpoints-file.ts'
import type { Snapshot, UpstreamConfig } from '../../config/model.ts'
import type { EndpointStatus } from '../health/endpoint-entry.ts'
import type { HealthBoard } from '../health/health-board.ts'
import type { EndpointSource } from '../rollout/overlay.ts'
import { type DeployParts, type DeployResult, Deploys } from './deploys.ts'
import type { DeployVerb, UpstreamVerb } from './upstream-request.ts'

/** What an operator is answered. `body` becomes JSON. */
export interface VerbAnswer {
  readonly status: number
  readonly body: object
}

/** Answer to `drain` and `ready`. */
export interface DrainAnswer {
  readonly upstream: string
  /** Those that were meant, as they are now. */
  readonly endpoints: readonly EndpointStatus[]
  /** How long the process itself would wait for them, in milliseconds. */
  readonly drain_ms: number
}

/** Answer to `deploy`. */
export interface DeployAnswer extends Omit<DeployResult, 'problem'> {
  readonly problem: string | null
}

export interface VerbsParts extends DeployParts {
  readonly board: HealthBoard
}

/**
 * What operators do with upstreams while they run: take endpoints out, bring them back, put others in their
 * place.
 */
export class Verbs {
  readonly #parts: VerbsParts
  readonly #deploys: Deploys

  constructor(parts: VerbsParts) {
    this.#parts = parts
    this.#deploys = new Deploys(parts)
  }

  async answer(verb: UpstreamVerb): Promise<VerbAnswer> {
    const running = this.#parts.rollout.configured
    if (running === undefined) return refusal(503, 'the process is starting')
    const upstream = running.upstreams.find(({ name }) => name === verb.upstream)
    if (upstream === undefined) {
      const known = running.upstreams.map(({ name }) => name)
      return { status: 404, body: { error: `unknown upstream ${JSON.stringify(verb.upstream)}`, known } }
    }
    return verb.kind === 'deploy' ? this.#deploy(verb, upstream, running) : this.#drain(verb, running)
  }

  #drain({ kind, upstream, endpoint }: Exclude<UpstreamVerb, DeployVerb>, { server }: Snapshot): VerbAnswer {
    const { board, rollout } = this.#parts
    const rows = board.status(upstream)
    const meant =
      endpoint === undefined ? rows : rows.filter(row => row.name === endpoint || row.address === endpoint)
    if (meant.length === 0) {
      const what =
        endpoint === undefined ? 'has no endpoint now' : `has no endpoint ${JSON.stringify(endpoint)}`
      return {
        status: 404,
        body: { error: `upstream "${upstream}" ${what}`, known: rows.map(({ name }) => name) },
      }
    }
    const held = meant.filter(({ name }) => rollout.isQuiet(upstream, name))
    if (kind === 'ready' && held.length > 0)
      return refusal(409, `${held.map(({ name }) => name).join(', ')}: held back by a deploy`)
    for (const { name } of meant) {
      if (kind === 'drain') board.drain(upstream, name)
      else board.undrain(upstream, name)
    }
    const names = new Set(meant.map(({ name }) => name))
    const endpoints = board.status(upstream).filter(({ name }) => names.has(name))
    return { status: 200, body: { upstream, endpoints, drain_ms: server.drainMs } satisfies DrainAnswer }
  }

  async #deploy(verb: DeployVerb, upstream: UpstreamConfig, { server }: Snapshot): Promise<VerbAnswer> {
    const { name, run } = upstream
    if (run !== undefined)
      return refusal(409, `upstream "${name}" is managed by its run table and cannot be deployed`)
    if (this.#deploys.isRunning(name)) return refusal(409, `a deploy of upstream "${name}" is in progress`)
    const source = verb.endpoints === undefined ? { value: undefined } : readSource(verb.endpoints, upstream)
    if ('fault' in source) return refusal(400, source.fault)
    const { timeoutMs } = verb
    const { drainMs } = server
    const result = await this.#deploys.run({ upstream, source: source.value, timeoutMs, drainMs })
    const body: DeployAnswer = { ...result, problem: result.problem ?? null }
    // 422: the request was right, the endpoints are not.
    return { status: result.ok ? 200 : 422, body }
  }
}

function readSource(
  texts: readonly string[],
  upstream: UpstreamConfig,
): { readonly value: EndpointSource } | { readonly fault: string } {
  const written: WrittenEndpoint[] = []
  for (const text of texts) {
    const reading = parseWrittenEndpoint(text)
    if ('fault' in reading) return reading
    const why = misfit(reading.value.protocol, upstream)
    if (why !== undefined) return { fault: `${text}: ${why} in the upstream` }
    if (written.some(({ name }) => name === text)) return { fault: `${text} is specified twice` }
    written.push(reading.value)
  }
  return { value: { ...endpointList(written), endpointsFile: undefined } }
}

function refusal(status: number, error: string): VerbAnswer {
  return { status, body: { error } }
}
