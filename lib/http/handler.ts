import type { Exchange } from './exchange.ts'

/**
 * Answers exchanges. Built with its route table, which outlives a snapshot that changes nothing about routes.
 * One that wraps another does its part and then calls that one's `handle`.
 */
export interface Handler {
  /**
   * Takes the exchange over and sees to it that it ends. Never throws for what a client or an upstream did.
   */
  handle(exchange: Exchange): void
}

/**
 * Decides whether an exchange may go on to its route's handler. Built from a snapshot, immutable; what it
 * counts lives elsewhere.
 */
export interface Gate {
  /**
   * False: it may not, and has been answered or failed. Synchronous; called for every request of the route.
   */
  admits(exchange: Exchange): boolean
}
