/**
 * Numbers for the addresses of one name, from 1. An address keeps its number as long as it is there, a new
 * one takes the lowest free: metrics then have as many series as the name ever had addresses at a time,
 * however often they change.
 */
export class AddressNumbers {
  #numbers: ReadonlyMap<string, number> = new Map()

  /** What the name has now, in a settled order. */
  take(addresses: readonly string[]): void {
    const before = this.#numbers
    const kept = addresses.filter(address => before.has(address))
    const taken = new Set(kept.map(address => before.get(address) as number))
    const numbers = new Map(kept.map(address => [address, before.get(address) as number]))
    let next = 1
    for (const address of addresses) {
      if (numbers.has(address)) continue
      while (taken.has(next)) next += 1
      taken.add(next)
      numbers.set(address, next)
    }
    this.#numbers = numbers
  }

  /** Of an address that was taken last. */
  of(address: string): number {
    return this.#numbers.get(address) ?? 1
  }
}
