import { EXCHANGE_BLOCK, PRIORITIES, SHED_CAUSES } from '../../../metrics/blocks.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { Priority } from '../../config/model.ts'
import type { Exchange } from '../../http/exchange.ts'
import type { Gate } from '../../http/handler.ts'
import type { ExchangeRows } from './exchange-rows.ts'
import type { Overload } from './overload.ts'

/** What shedding is told besides its route. */
export interface SheddingParts {
  readonly overload: Overload
  readonly rows: ExchangeRows
  readonly env: ThreadEnv
}

/** Refuses requests for an app while the process has too much to do: those of low priority first. */
export class Shedding implements Gate {
  readonly #priority: Priority
  readonly #parts: SheddingParts

  constructor(priority: Priority, parts: SheddingParts) {
    this.#priority = priority
    this.#parts = parts
  }

  admits(exchange: Exchange): boolean {
    const { overload } = this.#parts
    const cause = overload.active ? overload.causeToRefuse(this.#priority) : undefined
    if (cause === undefined) return true
    const { rows, env } = this.#parts
    const row = rows.rowOf(exchange.client.listener, exchange.record.route)
    const index = SHED_CAUSES.indexOf(cause) * PRIORITIES.length + PRIORITIES.indexOf(this.#priority)
    env.cells.add(row + EXCHANGE_BLOCK.at.shed + index, 1)
    overload.refuse(exchange, cause)
    return false
  }
}
