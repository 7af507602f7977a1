import { ConnectionAccount, connectionWords } from './connection-account.ts'
import { accountWords, DescriptorAccount } from './descriptor-account.ts'
import {
  ENDPOINT_WORDS,
  MAX_ENDPOINTS,
  MAX_UPSTREAMS,
  POOL,
  poolWords,
  UPSTREAM_WORDS,
  WAIT,
  WAIT_WORDS,
  WORD,
} from './shared-layout.ts'
import { isTurnBefore } from './turn.ts'
import { VitalWords, vitalWords } from './vital-words.ts'

/**
 * The words that threads share about endpoints and upstreams, all Int32 and touched with Atomics. Indexes
 * are handed out by the control thread and keep their meaning for the life of the process.
 */
export interface SharedStateMemory {
  readonly buffer: SharedArrayBuffer
  readonly threads: number
}

/**
 * Bits of an endpoint's state. It is ready when none is set. `down`: fails its probes, or was not probed yet;
 * `unreachable`: connects fail.
 */
export const STATE = { down: 1, ejected: 2, draining: 4, unreachable: 8 } as const

/** In place of a turn: all that wait in the thread do so for certain endpoints. */
export const CHOOSY = -1
/** Times of waiters are kept modulo this, milliseconds: twelve days. */
const TIME_SCALE = 2 ** 30
/** A ramp that is over. */
const FULL_PERCENT = 100

export function createSharedState(threads: number): SharedStateMemory {
  const accounts = connectionWords(MAX_ENDPOINTS, threads) + accountWords(threads)
  const words = poolWords(threads) + vitalWords(threads) + accounts
  return { buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT), threads }
}

/** A view on the shared words. The control thread and every data thread make their own. */
export class SharedState extends VitalWords {
  readonly #words: Int32Array
  /** Of what traffic has open; the last words. */
  readonly descriptors: DescriptorAccount
  /** Of that, connections to endpoints; before them. */
  readonly connections: ConnectionAccount

  constructor({ buffer, threads }: SharedStateMemory) {
    const words = new Int32Array(buffer)
    super(words, poolWords(threads), threads)
    this.#words = words
    this.descriptors = new DescriptorAccount(words.subarray(-accountWords(threads)), threads)
    const connectionsAt = poolWords(threads) + vitalWords(threads)
    this.connections = new ConnectionAccount(words.subarray(connectionsAt), MAX_ENDPOINTS, threads)
  }

  /** The endpoint's STATE bits. */
  state(endpoint: number): number {
    return Atomics.load(this.#words, endpoint * ENDPOINT_WORDS + WORD.state)
  }

  /**
   * Sets or clears STATE bits; true if that changed anything. The caller then calls `changed` for the
   * upstream.
   */
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

  /** The index is given to another address. Only while nothing runs there. */
  forget(endpoint: number): void {
    for (let word = 0; word < ENDPOINT_WORDS; word += 1)
      Atomics.store(this.#words, endpoint * ENDPOINT_WORDS + word, 0)
    this.connections.forget(endpoint)
  }

  /** Requests in flight at the endpoint, over all threads. */
  inflight(endpoint: number): number {
    return this.#words[endpoint * ENDPOINT_WORDS + WORD.inflight] as number
  }

  /** Takes one of `max` slots for `thread` (0: no cap); false when the endpoint is full. */
  acquire(endpoint: number, thread: number, max: number): boolean {
    if (!this.#takeSlot(endpoint * ENDPOINT_WORDS + WORD.inflight, max)) return false
    const share = this.#shareAt(endpoint, thread)
    this.#words[share] = (this.#words[share] as number) + 1
    return true
  }

  release(endpoint: number, thread: number): void {
    Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.inflight, 1)
    const share = this.#shareAt(endpoint, thread)
    this.#words[share] = (this.#words[share] as number) - 1
  }

  /**
   * Gives back all slots and places in queues that a dead thread held. Only after the thread is really gone.
   */
  releaseAllOf(thread: number): void {
    this.setLoopDelay(thread, 0)
    this.descriptors.releaseAllOf(thread)
    this.connections.releaseAllOf(thread)
    this.setHeldKib(thread, 0)
    for (let upstream = 0; upstream < MAX_UPSTREAMS; upstream += 1) {
      const at = this.#waitAt(upstream, thread)
      Atomics.sub(
        this.#words,
        this.#upstreamAt(upstream) + POOL.queued,
        this.#words[at + WAIT.places] as number,
      )
      this.#words[at + WAIT.places] = 0
      this.addWaiting(upstream, thread, -(this.#words[at + WAIT.waiting] as number))
      this.setTurn(upstream, thread, 0, 0)
    }
    for (let endpoint = 0; endpoint < MAX_ENDPOINTS; endpoint += 1) {
      const share = this.#shareAt(endpoint, thread)
      const held = this.#words[share] as number
      if (held === 0) continue
      Atomics.sub(this.#words, endpoint * ENDPOINT_WORDS + WORD.inflight, held)
      this.#words[share] = 0
    }
    for (let upstream = 0; upstream < MAX_UPSTREAMS; upstream += 1) this.wakeNext(upstream)
  }

  /**
   * Changes whenever an endpoint of the upstream changed state: pickers compare it to what they were built
   * from.
   */
  version(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + POOL.version] as number
  }

  /** Tells all threads that the upstream's ready list has changed, and wakes those that wait for a slot. */
  changed(upstream: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream) + POOL.version, 1)
    this.wakeAll(upstream)
  }

  /** Takes one of `max` places in the upstream's queue for `thread`; false when it is full. */
  enterQueue(upstream: number, thread: number, max: number): boolean {
    const at = this.#upstreamAt(upstream) + POOL.queued
    if (Atomics.add(this.#words, at, 1) >= max) {
      Atomics.sub(this.#words, at, 1)
      return false
    }
    this.#addOwn(this.#waitAt(upstream, thread) + WAIT.places, 1)
    return true
  }

  leaveQueue(upstream: number, thread: number): void {
    Atomics.sub(this.#words, this.#upstreamAt(upstream) + POOL.queued, 1)
    this.#addOwn(this.#waitAt(upstream, thread) + WAIT.places, -1)
  }

  /** Requests that wait for this upstream, over all threads. */
  queued(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + POOL.queued] as number
  }

  /** One that waited has got a slot. */
  countServed(upstream: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream) + POOL.served, 1)
  }

  /** So many have, ever; it may wrap. */
  served(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + POOL.served] as number
  }

  /** Of those that wait, the newest goes first. */
  isNewestFirst(upstream: number): boolean {
    return this.#words[this.#upstreamAt(upstream) + POOL.newestFirst] === 1
  }

  setNewestFirst(upstream: number, on: boolean): void {
    Atomics.store(this.#words, this.#upstreamAt(upstream) + POOL.newestFirst, on ? 1 : 0)
  }

  /** Threads that wait for a slot of this upstream. */
  addWaiting(upstream: number, thread: number, by: number): void {
    Atomics.add(this.#words, this.#upstreamAt(upstream) + POOL.waiting, by)
    this.#addOwn(this.#waitAt(upstream, thread) + WAIT.waiting, by)
  }

  waiting(upstream: number): number {
    return this.#words[this.#upstreamAt(upstream) + POOL.waiting] as number
  }

  /**
   * Says whose turn it is in a thread (see turn.ts; 0: nobody's), and since when its oldest has waited (0:
   * none does).
   */
  setTurn(upstream: number, thread: number, turn: number, oldestMs: number): void {
    const at = this.#waitAt(upstream, thread)
    Atomics.store(this.#words, at + WAIT.oldest, Math.floor(oldestMs) % TIME_SCALE)
    Atomics.store(this.#words, at + WAIT.turn, turn)
  }

  turn(upstream: number, thread: number): number {
    return Atomics.load(this.#words, this.#waitAt(upstream, thread) + WAIT.turn)
  }

  /** The thread looks for a slot, so it is not overdue. */
  countLook(upstream: number, thread: number): void {
    Atomics.add(this.#words, this.#waitAt(upstream, thread) + WAIT.looks, 1)
  }

  looks(upstream: number, thread: number): number {
    return Atomics.load(this.#words, this.#waitAt(upstream, thread) + WAIT.looks)
  }

  /** The thread has not looked since, though it was woken for a free slot: it has no turn until it does. */
  setOverdue(upstream: number, thread: number, looks: number): void {
    Atomics.store(this.#words, this.#waitAt(upstream, thread) + WAIT.overdue, looks)
  }

  #isOverdue(upstream: number, thread: number): boolean {
    const overdue = Atomics.load(this.#words, this.#waitAt(upstream, thread) + WAIT.overdue)
    // Nought is what both counts are before anything has happened.
    return overdue !== 0 && overdue === this.looks(upstream, thread)
  }

  /**
   * The thread whose turn it is, leaving out one; undefined if nobody waits there for whichever slot comes
   * free.
   */
  nextThread(upstream: number, except?: number): number | undefined {
    const newestFirst = this.isNewestFirst(upstream)
    let next: number | undefined
    let first = 0
    for (let thread = 0; thread < this.threads; thread += 1) {
      const turn = this.turn(upstream, thread)
      if (turn <= 0 || thread === except || this.#isOverdue(upstream, thread)) continue
      if (next !== undefined && !isTurnBefore(turn, first, newestFirst)) continue
      next = thread
      first = turn
    }
    return next
  }

  /** For how long the oldest of those that wait has done so; 0 while nobody does. */
  longestWaitMs(upstream: number, nowMs: number): number {
    let longestMs = 0
    for (let thread = 0; thread < this.threads; thread += 1) {
      const oldest = Atomics.load(this.#words, this.#waitAt(upstream, thread) + WAIT.oldest)
      if (oldest === 0) continue
      const waitedMs = (Math.floor(nowMs) - oldest) % TIME_SCALE
      longestMs = Math.max(longestMs, (waitedMs + TIME_SCALE) % TIME_SCALE)
    }
    return longestMs
  }

  /**
   * Wakes the thread whose turn it is, and those whose requests wait for certain endpoints only. Hot: only a
   * load as long as nobody waits.
   */
  wakeNext(upstream: number): void {
    if (this.waiting(upstream) === 0) return
    const next = this.nextThread(upstream)
    for (let thread = 0; thread < this.threads; thread += 1)
      if (thread === next || this.turn(upstream, thread) === CHOOSY) this.wakeThread(upstream, thread)
  }

  wakeAll(upstream: number): void {
    if (this.waiting(upstream) === 0) return
    for (let thread = 0; thread < this.threads; thread += 1) this.wakeThread(upstream, thread)
  }

  wakeThread(upstream: number, thread: number): void {
    const at = this.#waitAt(upstream, thread) + WAIT.wakes
    Atomics.add(this.#words, at, 1)
    Atomics.notify(this.#words, at)
  }

  /**
   * Number to hand to `waitForWake`: read it before the last look at the slots, so that no wake is missed.
   */
  wakeTicket(upstream: number, thread: number): number {
    return Atomics.load(this.#words, this.#waitAt(upstream, thread) + WAIT.wakes)
  }

  /** Resolves when this thread was woken since the ticket was read. */
  async waitForWake(upstream: number, thread: number, ticket: number, timeoutMs: number): Promise<void> {
    const at = this.#waitAt(upstream, thread) + WAIT.wakes
    const waiting = Atomics.waitAsync(this.#words, at, ticket, timeoutMs)
    if (waiting.async) await waiting.value
  }

  /**
   * Wakes a waiter of this very thread: `act` runs when what runs now is done, before the thread does
   * anything else.
   */
  wakeSelf(act: () => void): void {
    queueMicrotask(act)
  }

  /**
   * One that is added and taken back would keep another thread from the last slot, and nobody would wake that
   * one.
   */
  #takeSlot(at: number, max: number): boolean {
    if (max === 0) {
      Atomics.add(this.#words, at, 1)
      return true
    }
    for (let held = Atomics.load(this.#words, at); held < max; ) {
      const found = Atomics.compareExchange(this.#words, at, held, held + 1)
      if (found === held) return true
      held = found
    }
    return false
  }

  #shareAt(endpoint: number, thread: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + MAX_UPSTREAMS * UPSTREAM_WORDS + thread * MAX_ENDPOINTS + endpoint
  }

  #upstreamAt(upstream: number): number {
    return MAX_ENDPOINTS * ENDPOINT_WORDS + upstream * UPSTREAM_WORDS
  }

  #waitAt(upstream: number, thread: number): number {
    const before = MAX_ENDPOINTS * (ENDPOINT_WORDS + this.threads) + MAX_UPSTREAMS * UPSTREAM_WORDS
    return before + (thread * MAX_UPSTREAMS + upstream) * WAIT_WORDS
  }

  /** A word that only its own thread writes. */
  #addOwn(at: number, by: number): void {
    this.#words[at] = (this.#words[at] as number) + by
  }
}
