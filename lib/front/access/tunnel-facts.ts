import type { ClientFacts } from '../../http/client-facts.ts'
import type { ExchangeRecord } from '../../http/record.ts'

/** What is left to say of a TLS connection that a tunnel took, once it is over. */
export interface TunnelFacts {
  readonly client: ClientFacts
  readonly record: ExchangeRecord
  readonly tunnel: string
  /** Lower case; undefined if the client named nobody (SNI). */
  readonly serverName: string | undefined
}
