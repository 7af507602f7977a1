/**
 * The words that threads share about endpoints and upstreams, all Int32 and touched with Atomics. Slots (indexes)
 * are handed out by the control thread and keep their meaning for the life of the process.
 */
export interface SharedStateMemory {
  readonly buffer: SharedArrayBuffer
  readonly threads: number
}

export const MAX_ENDPOINTS = 4096
export const MAX_UPSTREAMS = 1024

/** Bits of an endpoint's state. It is ready when none is set. */
export const STATE = { down: 1, ejected: 2, draining: 4 } as const

const ENDPOINT_WORDS = 3
const UPSTREAM_WORDS = 3

export function createSharedState(threads: number): SharedStateMemory {
  const words = MAX_ENDPOINTS * (ENDPOINT_WORDS + threads) + MAX_UPSTREAMS * UPSTREAM_WORDS + threads
  return { buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT), threads }
}

/** A view on the shared words. The control thread and every data thread make their own. */
export class SharedState {
  readonly #words: Int32Array
  readonly #threads: number

  constructor(memory: SharedStateMemory) {
    this.#words = new Int32Array(memory.buffer)
    this.#threads = memory.threads
  }

  /** The endpoint's STATE bits. */
  state(endpoint: number): number {
    return Atomics.load(this.#words, endpoint * ENDPOINT_WORDS)
  }

  /** Sets or clears STATE bits; true if that changed anything. The caller then calls `changed` for the upstream. */
  setState(endpoint: number, bits: number, on: boolean): boolean {
    const at = endpoint * ENDPOINT_WORDS
    const before = on ? Atomics.or(this.#words, at, bits) : Atomics.and(this.#words, at, ~bits)
    return on ? (before & bits) !== bits : (before & bits) !== 0
  }

  /** Consecutive failures seen in traffic by all threads; returns the count with this one. */
  countFailure(endpoint: number): number {
    return Atomics.add(this.#words, endpoint * ENDPOINT_WORDS + 1, 1) + 1
  }

  /** Hot: only a load as long as there was no failure. */
  clearFailures(endpoint: number): void {
    const at = endpoint * ENDPOINT_WORDS + 1
    if (this.#words[at] !== 0) Atomics.store(this.#words, at, 0)
  }

  /** Requests in flight at the endpoint, over all threads. */
  inflight(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + 2] as number
  }

  /** Takes one of `max` slots for `thread` (0: no cap); false when the endpoint is full. */
  acquire(endpoint: number, thread: number, max: number): boolean {
    const at = endpoint * ENDPOINT_WORDS + 2
    const before = Atomics.add(this.#words, at, 1)
    if (max > 0 && before >= max) {
      Atomics.sub(this.#words, at, 1)
      return false
    }
    const share = this.#shareAt(endpoint, thread)
    this.#words[share] = (this.#words[share] as number) + 1
    return true
  }

  release(endpoint: number, thread: number): void {
    Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + 2, 1)
    const share = this.#shareAt(endpoint, thread)
    this.#words[share] = (this.#words[share] as number) - 1
  }

  /** Gives back all slots that a dead thread held. Only after the thread is really gone. */
  releaseAllOf(thread: number): void {
    for (let endpoint = 0; endpoint < MAX_ENDPOINTS; endpoint += 1) {
      const share = this.#shareAt(endpoint, thread)
      const held = this.#words[share] as number
      if (held === 0) continue
      Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + 2, held)
      this.#words[share] = 0
    }
  }

  /** Changes whenever an endpoint of the upstream changed state: pickers compare it to what they were built from. */
  version(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream)] as number
  }

  /** Tells all threads that the upstream's ready list has changed, and wakes those that wait for a slot. */
  changed(upstream: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream), 1)
    this.wakeAll(upstream)
  }

  /** Threads that wait for a slot of this upstream. */
  addWaiting(upstream: number, by: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream) + 2, by)
  }

  /** Hot: only a load as long as nobody waits. */
  wakeOne(upstream: number): void {
    const at = this.#upstreamAt(upstream)
    if (this.#words[at + 2] === 0) return
    Atomics.add(this.#words, at + 1, 1)
    Atomics.notify(this.#words, at + 1, 1)
  }

  wakeAll(upstream: number): void {
    const at = this.#upstreamAt(upstream)
    if (this.#words[at + 2] === 0) return
    Atomics.add(this.#words, at + 1, 1)
    Atomics.notify(this.#words, at + 1)
  }

  /** Number to hand to `waitForWake`: read it before the last look at the slots, so that no wake is missed. */
  wakeTicket(upstream: number): number {
    return Atomics.load(this.#words, this.#upstreamAt(upstream) + 1)
  }

  /** Resolves when a slot may have come free since the ticket was read. */
  async waitForWake(upstream: number, ticket: number, timeoutMs: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, this.#upstreamAt(upstream) + 1, ticket, timeoutMs)
    if (waiting.async) await waiting.value
  }

  /** A data thread's sign of life. */
  beat(thread: number): void {
    Atomics.add(this.#words, this.#beatAt(thread), 1)
  }

  beats(thread: number): number {
    return Atomics.load(this.#words, this.#beatAt(thread))
  }

  #shareAt(endpoint: number, thread: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + MAX_UPSTREAMS * UPSTREAM_WORDS + thread * MAX_ENDPOINTS + endpoint
  }

  #upstreamAt(upstream: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + upstream * UPSTREAM_WORDS
  }

  #beatAt(thread: number): number {
    return MAX_ENDPOINTS * (ENDPOINT_WORDS + this.#threads) + MAX_UPSTREAMS * UPSTREAM_WORDS + thread
  }
}
