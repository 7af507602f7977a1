import type { HttpDate } from '../../base/clock.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { ListenerConfig } from '../../config/model.ts'
import type { CidrSet } from '../../http/cidr.ts'
import type { Exchange, ExchangeFacts } from '../../http/exchange.ts'
import type { RequestIds } from '../../http/request-ids.ts'
import type { HeadLimits } from '../../wire/refusal.ts'
import type { TunnelFacts } from '../access/tunnel-facts.ts'
import type { ClientMemory } from './client-memory.ts'
import type { IdleList } from './idle-list.ts'
import type { ResetTable } from './reset-table.ts'

/** A client's connection, whatever it speaks. */
export interface ClientConnection {
  /** The listener drains: goes at once if nothing runs, else after what runs. */
  drain(): void
  /** Cuts, whatever runs. */
  destroy(code: ErrorCode): void
  /**
   * Memory is short: gives up what waits for a client that has taken nothing of it for a while. To be called
   * once a second.
   */
  shedStalled(nowMs: number): void
}

/**
 * What a client connection needs of its listener. All of it may be newer at each look: a reload changes it in
 * place.
 */
export interface ConnectionHost {
  readonly env: ThreadEnv
  readonly config: ListenerConfig
  readonly headLimits: HeadLimits
  readonly trusted: CidrSet
  readonly date: HttpDate
  readonly requestIds: RequestIds
  /** What the thread's clients hold together. */
  readonly memory: ClientMemory
  /** Those that can be closed to make room. */
  readonly idle: IdleList
  /** What clients may reset, by address. */
  readonly resets: ResetTable
  /** No new requests on this connection. */
  readonly draining: boolean
  route(exchange: Exchange): void
  exchangeBegan(): void
  exchangeEnded(exchange: ExchangeFacts): void
  /** In place of `exchangeEnded`, where nothing was decrypted. */
  tunnelEnded(tunnel: TunnelFacts): void
  /** A head was refused: no exchange came of it. */
  refused(facts: ExchangeFacts): void
  closed(connection: ClientConnection): void
}
