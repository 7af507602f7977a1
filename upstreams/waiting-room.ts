import { LATENCY_BOUNDS } from '../lib/base/cells.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import type { Job, WaitingLine } from './job.ts'
import { QUEUE_REJECTIONS, type QueueRejection, UPSTREAM_BLOCK } from './measures.ts'
import { Queue } from './queue.ts'

const AT = UPSTREAM_BLOCK.at
/** A waiter looks again after this long even if no wake came, so that a lost wake cannot cost more. */
const WAIT_CHECK_MS = 1000

/** What a waiting room is made with. */
export interface WaitingRoomOptions {
  readonly env: ThreadEnv
  /** The upstream's words and cells. */
  readonly slot: number
  readonly row: number
  /** Requests that may wait, over all threads, and for how long each. */
  readonly length: number
  readonly timeoutMs: number
  readonly host: WaitingRoomHost
}

/** Whom a waiting room works for: the upstream. */
export interface WaitingRoomHost {
  /** No endpoint is ready: whoever waits is held. */
  readonly holds: boolean
  /** Sends the job to an endpoint if one has a slot for it now; tells `leaving` first. */
  dispatch(job: Job): boolean
  /** It is not to wait, or has waited too long. */
  refuse(job: Job, why: 'full' | 'late'): void
}

/**
 * Where the jobs of one data thread wait for a slot of their upstream. Threads that have waiters are woken one by one, in the
 * order in which they began to wait, by whoever frees a slot.
 */
export class WaitingRoom implements WaitingLine {
  readonly #options: WaitingRoomOptions
  readonly #queue: Queue<Job>
  /** Jobs here that want another endpoint than those that failed them: the slots they leave are for those behind them. */
  #choosy = 0
  #listening = false
  #dispatching = false

  constructor(options: WaitingRoomOptions) {
    const { env, timeoutMs } = options
    this.#options = options
    this.#queue = new Queue<Job>({
      clock: env.clock,
      timers: env.timers,
      timeoutMs,
      timedOut: (job, waitedMs) => this.#timedOut(job, waitedMs),
    })
  }

  /** In this thread. */
  get size(): number {
    return this.#queue.size
  }

  /** Takes the job in, or refuses it or one that must make room for it. */
  enter(job: Job): void {
    const { env, slot, length, host } = this.#options
    if (!env.shared.enterQueue(slot, env.thread, length) && !this.#makeRoom(job)) {
      this.#count('full')
      return host.refuse(job, 'full')
    }
    this.#queue.push(job, job.priority, job.record.queueMs)
    env.cells.add(this.#options.row + AT.queueDepth, 1)
    job.waitsIn(this)
    if (isChoosy(job)) this.#choosy += 1
    if (!this.#listening) this.#listen().catch(() => {})
    else if (this.#choosy > 0) this.#dispatchInThisTurn()
  }

  /** The client of a waiting job has gone. */
  withdraw(job: Job): void {
    if (this.#queue.take(job) === undefined) return
    this.#left(job)
    this.#count('client_gone')
  }

  /** Takes out all, in the order of their turns. */
  clear(): Job[] {
    const all: Job[] = []
    for (let job = this.#queue.peek(); job !== undefined; job = this.#queue.peek()) {
      this.#takeOut(job)
      all.push(job)
    }
    return all
  }

  /** The job whose turn it is has got a slot, and is about to use it. */
  leaving(job: Job): void {
    const waitedMs = this.#takeOut(job)
    const { env, row } = this.#options
    env.cells.observe(row + AT.queueWait, LATENCY_BOUNDS, waitedMs / 1000)
  }

  /**
   * A slot of the upstream has come free. A thread that is alone gives it to a waiter in this very turn, because a sync worker idles until then;
   * of several, one that served itself first would leave few slots to the others.
   */
  slotFreed(): void {
    const { env, slot } = this.#options
    if (this.#queue.size === 0 || env.shared.threads > 1) return env.shared.wakeOne(slot)
    this.#dispatchInThisTurn()
  }

  #dispatchInThisTurn(): void {
    if (this.#dispatching) return
    this.#dispatching = true
    this.#options.env.shared.wakeSelf(this.#dispatchSoon)
  }

  readonly #dispatchSoon = () => {
    this.#dispatching = false
    this.#dispatchAll()
  }

  /** Dispatches from the queue whenever a slot or an endpoint may have come free, until nobody waits. */
  async #listen(): Promise<void> {
    const { env, slot } = this.#options
    this.#listening = true
    env.shared.addWaiting(slot, env.thread, 1)
    while (this.#queue.size > 0) {
      const ticket = env.shared.wakeTicket(slot)
      this.#dispatchAll()
      if (this.#queue.size > 0) await env.shared.waitForWake(slot, ticket, WAIT_CHECK_MS)
    }
    env.shared.addWaiting(slot, env.thread, -1)
    this.#listening = false
    // The wake that ended this may have been for more slots than we had jobs: pass it on.
    env.shared.wakeOne(slot)
  }

  #dispatchAll(): void {
    const { host } = this.#options
    let passedOver = 0
    for (let job = this.#queue.peek(); job !== undefined; job = this.#queue.peek(passedOver)) {
      if (host.dispatch(job)) continue
      if (host.holds) return this.#queue.held()
      if (!isChoosy(job)) return
      passedOver += 1
    }
  }

  #takeOut(job: Job): number {
    const waitedMs = this.#queue.take(job) ?? 0
    job.record.queueMs += waitedMs
    this.#left(job)
    return waitedMs
  }

  /** All places are taken: is there one here that the newcomer goes before? Its place passes on. */
  #makeRoom(newcomer: Job): boolean {
    const out = this.#queue.evict(newcomer.priority)
    if (out === undefined) return false
    const { env, slot, host } = this.#options
    out.item.record.queueMs += out.waitedMs
    this.#left(out.item)
    this.#count('evicted')
    host.refuse(out.item, 'full')
    return env.shared.enterQueue(slot, env.thread, this.#options.length)
  }

  #timedOut(job: Job, waitedMs: number): void {
    job.record.queueMs += waitedMs
    this.#left(job)
    this.#count('timeout')
    this.#options.host.refuse(job, 'late')
  }

  #left(job: Job): void {
    const { env, slot, row } = this.#options
    env.shared.leaveQueue(slot, env.thread)
    env.cells.add(row + AT.queueDepth, -1)
    job.waitsIn(undefined)
    if (isChoosy(job)) this.#choosy -= 1
  }

  #count(reason: QueueRejection): void {
    const { env, row } = this.#options
    env.cells.add(row + AT.queueRejected + QUEUE_REJECTIONS.indexOf(reason), 1)
  }
}

/** An endpoint has failed it: it may have to wait for one although another has a slot. Does not change while it waits. */
function isChoosy({ tried }: Job): boolean {
  return tried !== undefined
}
