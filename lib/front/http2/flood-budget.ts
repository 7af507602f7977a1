import { TokenBucket } from '../../base/token-bucket.ts'

/** What a connection may do besides requests: so much at once, and so much a second. */
const BURST = 64 * 1024
const PER_SECOND = 16 * 1024
/**
 * A reset: some 250 at once, 64 a second. A browser that leaves a page resets what is under way, a hundred at
 * most.
 */
const RESET_COST = 256
/**
 * A tiny DATA frame: 64,000 a second, and 256,000 at once. A gRPC client that sends 1,000 messages a second
 * uses a sixtieth of it.
 */
const TINY_COST = 1 / 4
/**
 * Clients grant windows as they take an answer: a frame of 13 bytes now and then, for stream and connection.
 */
const TAKEN_PER_GRANT = 128

/**
 * How far an HTTP/2 client may keep us busy with what is no request: resets (RFC 9113 10.5; CVE-2023-44487,
 * CVE-2025-8671), and frames that are neither heads nor bodies: PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
 * empty DATA and unknown ones, each at its size, and tiny DATA by number. A token bucket, filled by time.
 * Each call says whether the client may go on.
 */
export class FloodBudget {
  readonly #bucket: TokenBucket
  /** Of the client's address: what all its connections may reset. */
  readonly #resets: TokenBucket | undefined
  /** Bytes of WINDOW_UPDATE that what the client has taken explains. */
  #grants = 0

  constructor(nowMs: number, resets?: TokenBucket) {
    this.#bucket = new TokenBucket(BURST, PER_SECOND, nowMs)
    this.#resets = resets
  }

  /** A frame that is neither head nor body has come, of this many bytes. */
  frame(bytes: number, nowMs: number): boolean {
    return this.#charge(bytes, nowMs)
  }

  /** A WINDOW_UPDATE has come. `sent`: bytes of bodies that have left since the last one. */
  grant(bytes: number, sent: number, nowMs: number): boolean {
    this.#grants = Math.min(BURST, this.#grants + sent / TAKEN_PER_GRANT)
    const free = Math.min(bytes, this.#grants)
    this.#grants -= free
    return free === bytes || this.#charge(bytes - free, nowMs)
  }

  /** So many DATA frames have come that carry next to nothing. */
  tiny(frames: number, nowMs: number): boolean {
    return this.#charge(frames * TINY_COST, nowMs)
  }

  /** A stream was reset, by the client or because of what it did. */
  reset(nowMs: number): boolean {
    const own = this.#charge(RESET_COST, nowMs)
    return (this.#resets?.charge(1, nowMs) ?? true) && own
  }

  #charge(cost: number, nowMs: number): boolean {
    return this.#bucket.charge(cost, nowMs)
  }
}
