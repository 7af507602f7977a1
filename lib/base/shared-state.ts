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

/**
 * Bits of an endpoint's state. It is ready when none is set. `down`: fails its probes, or was not probed yet; `unreachable`:
 * connects fail.
 */
export const STATE = { down: 1, ejected: 2, draining: 4, unreachable: 8 } as const

/** Words of one endpoint. */
const WORD = {
  state: 0,
  failures: 1,
  inflight: 2,
  badAnswers: 3,
  rampMissing: 4,
  limit: 5,
  learned: 6,
} as const
const ENDPOINT_WORDS = 7
const UPSTREAM_WORDS = 4
/** Words of one thread behind its shares: beats, and by how much its event loop is late. */
const THREAD_WORDS = 2
/** Words of the process: percent of the memory in use while it is short, and how much there is, MiB. */
const PROCESS_WORDS = 2
/** A ramp that is over. */
const FULL_PERCENT = 100

export function createSharedState(threads: number): SharedStateMemory {
  const words =
    MAX_ENDPOINTS * (ENDPOINT_WORDS + threads) +
    MAX_UPSTREAMS * (UPSTREAM_WORDS + 2 * threads) +
    THREAD_WORDS * threads +
    PROCESS_WORDS
  return { buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT), threads }
}

/** A view on the shared words. The control thread and every data thread make their own. */
export class SharedState {
  readonly #words: Int32Array
  /** Data threads that share them. */
  readonly threads: number

  constructor(memory: SharedStateMemory) {
    this.#words = new Int32Array(memory.buffer)
    this.threads = memory.threads
  }

  /** The endpoint's STATE bits. */
  state(endpoint: number): number {
    return Atomics.load(this.#words, endpoint * ENDPOINT_WORDS + WORD.state)
  }

  /** Sets or clears STATE bits; true if that changed anything. The caller then calls `changed` for the upstream. */
  setState(endpoint: number, bits: number, on: boolean): boolean {
    const at = endpoint * ENDPOINT_WORDS + WORD.state
    const before = on ? Atomics.or(this.#words, at, bits) : Atomics.and(this.#words, at, ~bits)
    return on ? (before & bits) !== bits : (before & bits) !== 0
  }

  /** Consecutive failures seen in traffic by all threads; returns the count with this one. */
  countFailure(endpoint: number): number {
    return Atomics.add(this.#words, endpoint * ENDPOINT_WORDS + WORD.failures, 1) + 1
  }

  failures(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.failures] as number
  }

  /** Hot: only a load as long as there was no failure. */
  clearFailures(endpoint: number): void {
    const at = endpoint * ENDPOINT_WORDS + WORD.failures
    if (this.#words[at] !== 0) Atomics.store(this.#words, at, 0)
  }

  /** Consecutive 5xx answers over all threads; returns the count with this one. */
  countBadAnswer(endpoint: number): number {
    return Atomics.add(this.#words, endpoint * ENDPOINT_WORDS + WORD.badAnswers, 1) + 1
  }

  badAnswers(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.badAnswers] as number
  }

  /** Hot: only a load as long as there was none. */
  clearBadAnswers(endpoint: number): void {
    const at = endpoint * ENDPOINT_WORDS + WORD.badAnswers
    if (this.#words[at] !== 0) Atomics.store(this.#words, at, 0)
  }

  /** How much of its share the endpoint gets by now, 1 to 100: less while it starts slowly. */
  ramp(endpoint: number): number {
    return FULL_PERCENT - (this.#words[endpoint * ENDPOINT_WORDS + WORD.rampMissing] as number)
  }

  /** The caller then calls `changed` for the upstream. */
  setRamp(endpoint: number, percent: number): void {
    Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + WORD.rampMissing, FULL_PERCENT - percent)
  }

  /** Requests that the endpoint may run at a time by what was learned; 0: no limit. */
  limit(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.limit] as number
  }

  setLimit(endpoint: number, limit: number): void {
    Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + WORD.limit, limit)
  }

  /** What was learned, in force as `limit` or not; 0: nothing yet. */
  learned(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.learned] as number
  }

  setLearned(endpoint: number, limit: number): void {
    Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + WORD.learned, limit)
  }

  /** The slot is given to another address. Only while nothing runs there. */
  forget(endpoint: number): void {
    for (let word = 0; word < ENDPOINT_WORDS; word += 1)
      Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + word, 0)
  }

  /** Requests in flight at the endpoint, over all threads. */
  inflight(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.inflight] as number
  }

  /** Takes one of `max` slots for `thread` (0: no cap); false when the endpoint is full. */
  acquire(endpoint: number, thread: number, max: number): boolean {
    const at = endpoint * ENDPOINT_WORDS + WORD.inflight
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
    Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.inflight, 1)
    const share = this.#shareAt(endpoint, thread)
    this.#words[share] = (this.#words[share] as number) - 1
  }

  /** Gives back all slots and places in queues that a dead thread held. Only after the thread is really gone. */
  releaseAllOf(thread: number): void {
    this.setLoopDelay(thread, 0)
    for (let upstream = 0; upstream < MAX_UPSTREAMS; upstream += 1) {
      const share = this.#queueShareAt(upstream, thread)
      Atomics.sub(this.#words, this.#upstreamAt(upstream) + 3, this.#words[share] as number)
      this.#words[share] = 0
      this.addWaiting(upstream, thread, -(this.#words[this.#waitShareAt(upstream, thread)] as number))
    }
    for (let endpoint = 0; endpoint < MAX_ENDPOINTS; endpoint += 1) {
      const share = this.#shareAt(endpoint, thread)
      const held = this.#words[share] as number
      if (held === 0) continue
      Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.inflight, held)
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

  /** Takes one of `max` places in the upstream's queue for `thread`; false when it is full. */
  enterQueue(upstream: number, thread: number, max: number): boolean {
    const at = this.#upstreamAt(upstream) + 3
    if (Atomics.add(this.#words, at, 1) >= max) {
      Atomics.sub(this.#words, at, 1)
      return false
    }
    const share = this.#queueShareAt(upstream, thread)
    this.#words[share] = (this.#words[share] as number) + 1
    return true
  }

  leaveQueue(upstream: number, thread: number): void {
    Atomics.sub(this.#words, this.#upstreamAt(upstream) + 3, 1)
    const share = this.#queueShareAt(upstream, thread)
    this.#words[share] = (this.#words[share] as number) - 1
  }

  /** Requests that wait for this upstream, over all threads. */
  queued(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + 3] as number
  }

  /** Threads that wait for a slot of this upstream. */
  addWaiting(upstream: number, thread: number, by: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream) + 2, by)
    const share = this.#waitShareAt(upstream, thread)
    this.#words[share] = (this.#words[share] as number) + by
  }

  waiting(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + 2] as number
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

  /** Wakes a waiter of this very thread: `act` runs when what runs now is done, before the thread does anything else. */
  wakeSelf(act: () => void): void {
    queueMicrotask(act)
  }

  /** A data thread's sign of life. */
  beat(thread: number): void {
    Atomics.add(this.#words, this.#beatAt(thread), 1)
  }

  beats(thread: number): number {
    return Atomics.load(this.#words, this.#beatAt(thread))
  }

  /** By how many milliseconds a data thread is late, while that is too much; else 0. */
  loopDelay(thread: number): number {
    return this.#words[this.#beatAt(thread) + this.threads] as number
  }

  setLoopDelay(thread: number, delayMs: number): void {
    Atomics.store(this.#words, this.#beatAt(thread) + this.threads, delayMs)
  }

  /** Data threads that are too late. */
  lateThreads(): number {
    let late = 0
    for (let thread = 0; thread < this.threads; thread += 1) if (this.loopDelay(thread) > 0) late += 1
    return late
  }

  /** Percent of its memory that the process uses, while that is too much; else 0. */
  memoryPercent(): number {
    return this.#words[this.#processAt] as number
  }

  memoryLimitMib(): number {
    return this.#words[this.#processAt + 1] as number
  }

  setMemoryShort(percent: number, limitMib: number): void {
    Atomics.store(this.#words, this.#processAt + 1, limitMib)
    Atomics.store(this.#words, this.#processAt, percent)
  }

  get #processAt(): number {
    return this.#beatAt(0) + THREAD_WORDS * this.threads
  }

  #shareAt(endpoint: number, thread: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + MAX_UPSTREAMS * UPSTREAM_WORDS + thread * MAX_ENDPOINTS + endpoint
  }

  #upstreamAt(upstream: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + upstream * UPSTREAM_WORDS
  }

  #queueShareAt(upstream: number, thread: number): number {
    const shares = MAX_ENDPOINTS * (ENDPOINT_WORDS + this.threads) + MAX_UPSTREAMS * UPSTREAM_WORDS
    return shares + thread * MAX_UPSTREAMS + upstream
  }

  #waitShareAt(upstream: number, thread: number): number {
    return this.#queueShareAt(upstream, thread) + this.threads * MAX_UPSTREAMS
  }

  #beatAt(thread: number): number {
    const endpoints = MAX_ENDPOINTS * (ENDPOINT_WORDS + this.threads)
    return endpoints + MAX_UPSTREAMS * (UPSTREAM_WORDS + 2 * this.threads) + thread
  }
}
