import { TokenBucket } from '../../base/token-bucket.ts'
import type { ClientFacts } from '../../http/client-facts.ts'
import { ipBytes } from '../../http/ip-bytes.ts'

/**
 * Resets of one address, however many connections it makes: 1,000 at once, 256 a second, four times what one
 * connection may.
 */
const BURST = 1000
const PER_SECOND = 256
/** Addresses that are remembered; the one that came longest ago is forgotten. */
const MOST_ADDRESSES = 4096
/** Of an IPv6 address: what one customer has is a /64 (RFC 6177). */
const PREFIX_BYTES = 8

/**
 * What the clients' addresses may reset on all their connections together: a client that connects again is
 * still the same.
 */
export class ResetTable {
  readonly #buckets = new Map<string, TokenBucket>()

  get size(): number {
    return this.#buckets.size
  }

  /** Undefined where the address stands for many clients: a trusted proxy's, or that of a unix socket. */
  of(
    { peerAddress, trusted }: Pick<ClientFacts, 'peerAddress' | 'trusted'>,
    nowMs: number,
  ): TokenBucket | undefined {
    const bytes = trusted ? undefined : ipBytes(peerAddress)
    if (bytes === undefined) return undefined
    const key = bytes.slice(0, PREFIX_BYTES).join('.')
    const bucket = this.#buckets.get(key) ?? new TokenBucket(BURST, PER_SECOND, nowMs)
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > MOST_ADDRESSES) this.#forgetOldest()
    return bucket
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key)
      return
    }
  }
}
