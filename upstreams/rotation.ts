import { STATE } from '../lib/base/shared-state.ts'
import type { UpstreamConfig } from '../lib/config/model.ts'
import type { Picker } from './balancer/load.ts'
import { makePicker } from './balancer/policies.ts'
import type { Job, PooledEndpoint } from './job.ts'

/**
 * The endpoints that get traffic now, and the policy that chooses among them. Never changed: a new one is
 * built when an endpoint changes state or weight.
 */
export class Rotation {
  readonly members: readonly PooledEndpoint[]
  readonly #picker: Picker<PooledEndpoint>
  /** The policy sends a client to the same endpoint again and again. */
  readonly #keepsClients: boolean

  constructor(endpoints: readonly PooledEndpoint[], config: UpstreamConfig, random: () => number) {
    for (const endpoint of endpoints) endpoint.takeRamp()
    this.members = membersOf(endpoints, config.passive.panicShare)
    this.#keepsClients = config.balance === 'hash'
    this.#picker = makePicker(config.balance, this.members, random)
  }

  /**
   * Takes a slot for a request: of the endpoint that it is bound to, of the one that the policy chooses, or
   * of any that has not failed it yet. Undefined: all of them are full, or the one that it should have has a
   * slot and is making room for a connection.
   */
  lease(job: Job, max: number): PooledEndpoint | undefined {
    if (job.tried !== undefined) return this.#leaseAgain(job, job.tried, max)
    if (job.wanted !== undefined) {
      const bound = this.members.find(({ name }) => name === job.wanted)
      if (bound?.acquire(max, job)) return bound
      if (bound?.hasSlot(max)) return undefined
    }
    const first = this.#picker.pick(job.key)
    if (first === undefined) return undefined
    if (!job.idempotent && first.isDoubtful()) return this.#leaseCarefully(job, max)
    if (first.acquire(max, job)) return first
    if (this.#keepsClients && first.hasSlot(max)) return undefined
    return this.members.find(other => other !== first && other.acquire(max, job))
  }

  /** What cannot be repeated keeps away from endpoints that have just failed, as long as there is another. */
  #leaseCarefully(job: Job, max: number): PooledEndpoint | undefined {
    const sound = this.members.filter(endpoint => !endpoint.isDoubtful())
    const open = sound.length > 0 ? sound : this.members
    return open.toSorted((a, b) => a.inflight - b.inflight).find(endpoint => endpoint.acquire(max, job))
  }

  #leaseAgain(job: Job, tried: readonly PooledEndpoint[], max: number): PooledEndpoint | undefined {
    const fresh = this.members.filter(endpoint => !tried.includes(endpoint))
    // All have failed it once: the last one that did comes last.
    const last = tried.at(-1)
    const open = fresh.length > 0 ? fresh : this.members.filter(endpoint => endpoint !== last)
    const first = this.#picker.pick(job.key, last)
    if (first !== undefined && open.includes(first) && first.acquire(max, job)) return first
    const other = open.find(endpoint => endpoint !== first && endpoint.acquire(max, job))
    if (other !== undefined || fresh.length > 0) return other
    return last !== undefined && this.members.includes(last) && last.acquire(max, job) ? last : undefined
  }
}

/**
 * Backups only where no other endpoint is ready. Ejections count only while enough endpoints are left:
 * traffic alone never empties a pool, nor brings a few endpoints down under the load of all (panic threshold,
 * as in Envoy).
 */
function membersOf(endpoints: readonly PooledEndpoint[], panicShare: number): readonly PooledEndpoint[] {
  const candidates = endpoints.filter(({ state }) => (state & ~STATE.ejected) === 0)
  const primaries = candidates.filter(({ backup }) => !backup)
  const backups = candidates.filter(({ backup }) => backup)
  const ready = primaries.filter(isReady)
  if (ready.length > 0 && ready.length >= primaries.length * panicShare) return ready
  const readyBackups = backups.filter(isReady)
  if (ready.length === 0 && readyBackups.length > 0) return readyBackups
  return primaries.length > 0 ? primaries : backups
}

function isReady({ state }: PooledEndpoint): boolean {
  return state === 0
}
