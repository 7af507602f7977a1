import type { Exchange } from './exchange.ts'

/** Answers exchanges. One per route; built from a snapshot, immutable. */
export interface Handler {
  /** Takes the exchange over and sees to it that it ends. Never throws for what a client or an upstream did. */
  handle(exchange: Exchange): void
}
