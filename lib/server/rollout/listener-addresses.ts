import { isDeepStrictEqual } from 'node:util'
import type { Address, ListenerConfig, Snapshot } from '../../config/model.ts'
import { AddressTaken, type Claim, claimAddress } from '../shared/address-claim.ts'

/** A snapshot whose listeners have their real ports, and the claims on those that are new. */
export interface Addressed {
  readonly snapshot: Snapshot
  /** To be called once the data threads listen, or will not. */
  release(): void
}

interface Known {
  readonly configured: Address
  readonly real: Address
}

/** Gives listeners their real addresses: a port 0 becomes a free one, and stays the same over reloads. */
export class ListenerAddresses {
  #known: ReadonlyMap<string, Known> = new Map()

  /** Throws AddressTaken with the listener's name. */
  async resolve(snapshot: Snapshot): Promise<Addressed> {
    const claims: Claim[] = []
    const known = new Map<string, Known>()
    const release = () => {
      for (const claim of claims) claim.release()
    }
    try {
      for (const { name, address } of snapshot.listeners) {
        const before = this.#known.get(name)
        if (before !== undefined && isDeepStrictEqual(before.configured, address)) {
          known.set(name, before)
          continue
        }
        const claim = await claimFor(name, address, this.#ports())
        claims.push(claim)
        known.set(name, { configured: address, real: claim.address })
      }
    } catch (error) {
      release()
      throw error
    }
    const listeners = snapshot.listeners.map(listener => withReal(listener, known))
    return { snapshot: { ...snapshot, listeners }, release }
  }

  /** The resolved snapshot is taken. */
  adopt(configured: Snapshot, resolved: Snapshot): void {
    this.#known = new Map(
      configured.listeners.map((listener, i) => {
        const real = resolved.listeners[i]?.address ?? listener.address
        return [listener.name, { configured: listener.address, real }]
      }),
    )
  }

  #ports(): Set<number> {
    const ports = [...this.#known.values()].map(({ real }) => (real.kind === 'tcp' ? real.port : 0))
    return new Set(ports)
  }
}

async function claimFor(name: string, address: Address, ours: ReadonlySet<number>): Promise<Claim> {
  try {
    return await claimAddress(address, ours)
  } catch (error) {
    if (!(error instanceof AddressTaken)) throw error
    throw new AddressTaken(`listener "${name}": ${error.message}`, { cause: error })
  }
}

function withReal(listener: ListenerConfig, known: ReadonlyMap<string, Known>): ListenerConfig {
  return { ...listener, address: known.get(listener.name)?.real ?? listener.address }
}
