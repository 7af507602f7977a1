import type { ThreadEnv } from '../lib/base/thread-env.ts'
import type { Waiting } from './queue.ts'
import {
  afterLoss,
  afterService,
  type Loss,
  newestFirst,
  type Order,
  oldestFirst,
  type QueueSight,
} from './queue-order.ts'

/** What it is made with. */
export interface SharedOrderOptions {
  readonly env: ThreadEnv
  /** The upstream's words. */
  readonly index: number
  /** The longest wait. */
  readonly timeoutMs: number
}

/**
 * The order in which the requests of an upstream are served: one for all threads, changed by whichever sees
 * the reason.
 */
export class SharedOrder {
  readonly #options: SharedOrderOptions
  #order: Order
  /** Until then there was nobody to serve anyone: that is no lateness of the queue. */
  #heldUntilMs = Number.NEGATIVE_INFINITY
  #servedWhenHeld = 0

  constructor(options: SharedOrderOptions) {
    this.#options = options
    this.#order = oldestFirst(options.env.clock.now())
  }

  /** Who goes first now. */
  get first(): Order['first'] {
    const { env, index } = this.#options
    return env.shared.isNewestFirst(index) ? 'newest' : 'oldest'
  }

  /** This one was not served in time, or keeps the place that a newcomer would need. */
  lost(why: Loss['why'], { sinceMs, mark }: Waiting<unknown>): void {
    this.#adopt()
    const sight = this.#sight()
    const held = this.#heldUntilMs > sinceMs
    const waitedMs = sight.nowMs - (held ? this.#heldUntilMs : sinceMs)
    const servedMeanwhile = wrapped(sight.served - (held ? this.#servedWhenHeld : mark))
    this.#take(afterLoss(this.#order, { why, waitedMs, servedMeanwhile }, sight))
  }

  /** One that waited does so no longer. Hot while requests wait. */
  left(): void {
    const { env, index } = this.#options
    if (!env.shared.isNewestFirst(index)) return
    this.#adopt()
    this.#take(afterService(this.#order, this.#sight()))
  }

  /** No endpoint is ready. */
  held(): void {
    const { env, index } = this.#options
    this.#heldUntilMs = env.clock.now()
    this.#servedWhenHeld = env.shared.served(index)
    this.#take(oldestFirst(this.#heldUntilMs))
  }

  /** What another thread has decided meanwhile. */
  #adopt(): void {
    const { first } = this
    if (first === this.#order.first) return
    const sight = this.#sight()
    this.#order =
      first === 'newest'
        ? newestFirst(this.#order, sight)
        : { first, sinceMs: sight.nowMs, holdMs: this.#order.holdMs }
  }

  #take(order: Order): void {
    const { env, index } = this.#options
    this.#order = order
    if (order.first !== this.first) env.shared.setNewestFirst(index, order.first === 'newest')
  }

  #sight(): QueueSight {
    const { env, index, timeoutMs } = this.#options
    const { shared, clock } = env
    return { nowMs: clock.now(), timeoutMs, queued: shared.queued(index), served: shared.served(index) }
  }
}

/** A difference of counts that may have wrapped. */
function wrapped(difference: number): number {
  return difference | 0
}
