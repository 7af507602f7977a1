import type { ShedCause } from '../../../metrics/blocks.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { OverloadConfig, Priority } from '../../config/model.ts'
import type { Exchange } from '../../http/exchange.ts'
import { afterTick, CALM, type LoopPressure } from './loop-pressure.ts'

/**
 * Retry-After is 1 to this many seconds, by lot: those who were refused together need not come back together.
 */
const MAX_RETRY_SECONDS = 3

/**
 * What a data thread refuses because the process has too much to do. Late: requests of low priority, at twice
 * the limit those of normal priority too, of high priority never. Short of memory: all.
 */
export class Overload {
  readonly #env: ThreadEnv
  #loopDelayMs: number | undefined = undefined
  #loop: LoopPressure = CALM
  /** Hot: false as long as nothing is refused. */
  active = false

  constructor(env: ThreadEnv) {
    this.#env = env
  }

  configure({ loopDelayMs }: OverloadConfig): void {
    this.#loopDelayMs = loopDelayMs
    if (loopDelayMs === undefined) this.#loop = CALM
  }

  /** Told by every tick of the thread's wheel how late it came. */
  ticked(delayMs: number): void {
    const { clock, shared, thread } = this.#env
    if (this.#loopDelayMs !== undefined)
      this.#loop = afterTick(this.#loop, delayMs, clock.now(), this.#loopDelayMs)
    const lateMs = this.#lateMs
    if (lateMs !== shared.loopDelay(thread)) shared.setLoopDelay(thread, lateMs)
    this.active = lateMs > 0 || shared.memoryPercent() > 0
  }

  causeToRefuse(priority: Priority): ShedCause | undefined {
    if (this.#env.shared.memoryPercent() > 0) return 'memory'
    const loop = this.#loop
    if (loop.state === 'calm') return undefined
    return priority === 'low' || (priority === 'normal' && loop.severe) ? 'loop' : undefined
  }

  refuse(exchange: Exchange, cause: ShedCause): void {
    exchange.record.retryAfterSeconds = 1 + Math.floor(this.#env.random() * MAX_RETRY_SECONDS)
    exchange.fail('OVERLOADED', this.#detail(cause))
  }

  get #lateMs(): number {
    return this.#loop.state === 'late' ? Math.max(1, Math.round(this.#loop.delayMs)) : 0
  }

  #detail(cause: ShedCause): string {
    if (cause === 'loop') return `event loop ${this.#lateMs} ms late`
    const { shared } = this.#env
    return `memory ${shared.memoryPercent()} % of ${shared.memoryLimitMib()} MiB`
  }
}
