import { LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { CHOOSY } from '../lib/base/shared-state.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { isTurnBefore, turnOf } from '../lib/base/turn.ts'
import type { Job, WaitingLine } from './job.ts'
import { QUEUE_REJECTIONS, type QueueRejection, UPSTREAM_BLOCK } from './measures.ts'
import { LANE, Queue, type Waiting } from './queue.ts'
import { SharedOrder } from './shared-order.ts'

const AT = UPSTREAM_BLOCK.at
/** A waiter looks again after this long even if no wake came, so that a lost wake cannot cost more. */
const WAIT_CHECK_MS = 1000
/** For so long a thread leaves a free slot to another whose turn it is; that one may be busy. */
const COURTESY_MS = 50

/** What a waiting room is made with. */
export interface WaitingRoomOptions {
  readonly env: ThreadEnv
  /** The upstream's words and cells. */
  readonly index: number
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
  /** Some endpoint has a free slot. */
  readonly hasSlot: boolean
  /**
   * So many slots are free, where there is a cap: who waits all the same waits for a connection, for which
   * room is being made.
   */
  readonly freeSlots: number
  /** Sends the job to an endpoint if one has a slot for it now; tells `leaving` first. */
  dispatch(job: Job): boolean
  /** It is not to wait, or has waited too long. */
  refuse(job: Job, why: 'full' | 'late'): void
}

/** A thread that was left a free slot, how often it had looked by then, and when. */
interface Courtesy {
  readonly thread: number
  readonly looks: number
  readonly sinceMs: number
}

/**
 * Where the jobs of one data thread wait for a slot of their upstream. All threads together are one queue:
 * each says whose turn it is with it, a freed slot goes to the thread whose turn comes first, and the others
 * leave it to that one.
 */
export class WaitingRoom implements WaitingLine {
  readonly #options: WaitingRoomOptions
  readonly #queue: Queue<Job>
  readonly #order: SharedOrder
  /**
   * Jobs here that want another endpoint than those that failed them: the slots they leave are for those
   * behind them.
   */
  #choosy = 0
  #listening = false
  #dispatching = false
  #courtesy: Courtesy | undefined = undefined

  constructor(options: WaitingRoomOptions) {
    const { env, index, timeoutMs } = options
    this.#options = options
    this.#order = new SharedOrder({ env, index, timeoutMs })
    this.#queue = new Queue<Job>({
      clock: env.clock,
      timers: env.timers,
      timeoutMs,
      timedOut: (waiting, waitedMs) => this.#timedOut(waiting, waitedMs),
    })
  }

  /** In this thread. */
  get size(): number {
    return this.#queue.size
  }

  /**
   * Somebody goes before a newcomer like this, here or in another thread. Hot: two loads as long as nobody
   * waits.
   */
  hasBefore(job: Job): boolean {
    if (this.#queue.size > 0) return true
    const { env, index } = this.#options
    if (env.shared.waiting(index) === 0) return false
    return this.#isBehind(turnOf(LANE[job.priority], env.clock.now()))
  }

  /** Takes the job in, or refuses it or one that must make room for it. */
  enter(job: Job): void {
    const { env, index, length, host, row } = this.#options
    // A place for each free slot besides: where nobody is to wait for a slot, a request may still wait for
    // its connection.
    const places = length + host.freeSlots
    if (!env.shared.enterQueue(index, env.thread, places) && !this.#makeRoom(job, places)) {
      this.#count('full')
      return host.refuse(job, 'full')
    }
    this.#queue.push(job, job.priority, job.record.queueMs, env.shared.served(index))
    env.cells.add(row + AT.queueDepth, 1)
    job.waitsIn(this)
    if (isChoosy(job)) this.#choosy += 1
    this.#announce()
    if (!this.#listening) this.#listen().catch(() => {})
    else if (this.#choosy > 0 || this.#queue.size === 1) this.#dispatchInThisTurn()
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
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      this.#takeOut(next.item)
      all.push(next.item)
    }
    return all
  }

  /** The job whose turn it is has got a slot, and is about to use it. */
  leaving(job: Job): void {
    const { env, index, row } = this.#options
    env.shared.countServed(index)
    const waitedMs = this.#takeOut(job)
    env.cells.observe(row + AT.queueWait, LATENCY_BOUNDS, waitedMs / 1000)
  }

  /**
   * A slot of the upstream has come free. If it is this thread's turn, a waiter gets it in this very turn of
   * the event loop, because a sync worker idles until then. Hot: one load as long as nobody waits.
   */
  slotFreed(): void {
    const { env, index } = this.#options
    if (env.shared.waiting(index) === 0) return
    if (this.#queue.size > 0 && !this.#isBehind(env.shared.turn(index, env.thread)))
      this.#dispatchInThisTurn()
    else env.shared.wakeNext(index)
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
    const { env, index } = this.#options
    const { shared, thread } = env
    this.#listening = true
    shared.addWaiting(index, thread, 1)
    while (this.#queue.size > 0) {
      const ticket = shared.wakeTicket(index, thread)
      this.#dispatchAll()
      const checkMs = this.#courtesy === undefined ? WAIT_CHECK_MS : COURTESY_MS
      if (this.#queue.size > 0) await shared.waitForWake(index, thread, ticket, checkMs)
    }
    shared.addWaiting(index, thread, -1)
    this.#listening = false
    this.#passOn()
  }

  #dispatchAll(): void {
    const { env, index, host } = this.#options
    env.shared.countLook(index, env.thread)
    let passedOver = 0
    for (let next = this.#peek(); next !== undefined; next = this.#peek(passedOver)) {
      const choosy = isChoosy(next.item)
      if (!choosy && this.#givesWay()) return
      if (host.dispatch(next.item)) continue
      if (host.holds) return this.#order.held()
      if (choosy) passedOver += 1
      else {
        // No slot is free: the other did not keep one waiting.
        this.#courtesy = undefined
        return
      }
    }
    this.#courtesy = undefined
    this.#passOn()
  }

  /** The wake that came may have been for more slots than we had jobs. */
  #passOn(): void {
    const { shared, thread } = this.#options.env
    const { index } = this.#options
    if (shared.waiting(index) === 0) return
    const next = shared.nextThread(index, thread)
    if (next !== undefined) shared.wakeThread(index, next)
  }

  /** Leaves what is free to the thread whose turn comes before ours, unless that one lets it lie. */
  #givesWay(): boolean {
    const { env, index, host } = this.#options
    const { shared, thread, clock } = env
    if (shared.threads === 1 || shared.isNewestFirst(index)) return false
    const next = shared.nextThread(index, thread)
    const turn = next === undefined ? 0 : shared.turn(index, next)
    if (next === undefined || turn <= 0 || !isTurnBefore(turn, shared.turn(index, thread), false))
      return false
    if (!host.hasSlot) return false
    const looks = shared.looks(index, next)
    const nowMs = clock.now()
    if (this.#courtesy?.thread !== next || this.#courtesy.looks !== looks) {
      this.#courtesy = { thread: next, looks, sinceMs: nowMs }
    } else if (nowMs - this.#courtesy.sinceMs >= COURTESY_MS) {
      shared.setOverdue(index, next, looks)
      return this.#givesWay()
    }
    shared.wakeThread(index, next)
    return true
  }

  /** Is there a turn in another thread that comes before this one? */
  #isBehind(turn: number): boolean {
    const { env, index } = this.#options
    const { shared, thread } = env
    if (shared.threads === 1) return false
    const next = shared.nextThread(index, thread)
    if (next === undefined) return false
    return turn <= 0 || isTurnBefore(shared.turn(index, next), turn, shared.isNewestFirst(index))
  }

  #peek(turnsLater = 0): Waiting<Job> | undefined {
    return this.#queue.peek(this.#order.first, turnsLater)
  }

  /** Tells the other threads whose turn it is here. */
  #announce(): void {
    const { env, index, timeoutMs } = this.#options
    const oldest = this.#queue.oldest()
    const oldestMs = oldest === undefined ? 0 : oldest.dueMs - timeoutMs
    env.shared.setTurn(index, env.thread, this.#turn(), Math.max(0, oldestMs))
  }

  #turn(): number {
    if (this.#queue.size === 0) return 0
    for (let later = 0; later <= this.#choosy; later += 1) {
      const next = this.#peek(later)
      if (next !== undefined && !isChoosy(next.item))
        return turnOf(next.lane, Math.max(0, next.dueMs - this.#options.timeoutMs))
    }
    return CHOOSY
  }

  #takeOut(job: Job): number {
    const waitedMs = this.#queue.take(job) ?? 0
    job.record.queueMs += waitedMs
    this.#left(job)
    return waitedMs
  }

  /** All places are taken: is there one here that the newcomer goes before? Its place passes on. */
  #makeRoom(newcomer: Job, places: number): boolean {
    const { env, index, host } = this.#options
    const oldest = this.#queue.oldest()
    if (oldest !== undefined) this.#order.lost('full', oldest)
    const out = this.#queue.evict(newcomer.priority, this.#order.first)
    if (out === undefined) return false
    out.item.record.queueMs += out.waitedMs
    this.#left(out.item)
    this.#count('evicted')
    host.refuse(out.item, 'full')
    return env.shared.enterQueue(index, env.thread, places)
  }

  #timedOut(waiting: Waiting<Job>, waitedMs: number): void {
    const job = waiting.item
    this.#order.lost('late', waiting)
    job.record.queueMs += waitedMs
    this.#left(job)
    this.#count('timeout')
    this.#options.host.refuse(job, 'late')
  }

  #left(job: Job): void {
    const { env, index, row } = this.#options
    env.shared.leaveQueue(index, env.thread)
    env.cells.add(row + AT.queueDepth, -1)
    job.waitsIn(undefined)
    if (isChoosy(job)) this.#choosy -= 1
    this.#order.left()
    this.#announce()
  }

  #count(reason: QueueRejection): void {
    const { env, row } = this.#options
    env.cells.add(row + AT.queueRejected + QUEUE_REJECTIONS.indexOf(reason), 1)
  }
}

/**
 * An endpoint has failed it: it may have to wait for one although another has a slot. Does not change while
 * it waits.
 */
function isChoosy({ tried }: Job): boolean {
  return tried !== undefined
}
