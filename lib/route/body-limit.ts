import type { Exchange } from '../http/exchange.ts'
import type { Gate } from '../http/handler.ts'

/**
 * Holds request bodies to their limit. A request that promises more is refused before anything else is done
 * for it.
 */
export class BodyLimit implements Gate {
  /** undefined: the listener's. */
  readonly #bytes: number | undefined

  constructor(bytes: number | undefined) {
    this.#bytes = bytes
  }

  admits(exchange: Exchange): boolean {
    exchange.limitBody(this.#bytes)
    return !exchange.ended
  }
}
