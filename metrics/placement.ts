/**
 * Which cells and shared words belong to which name of the running configuration. Made by the control thread
 * with every snapshot, from the same rows and indexes that the data threads are handed.
 */
export interface Placement {
  readonly spool: PlacedPart
  readonly static: PlacedPart
  readonly listeners: readonly PlacedListener[]
  /**
   * One for each listener and route, one for each listener with the route '' (no route was found), one for
   * each listener and `tunnelRoute`.
   */
  readonly exchanges: readonly PlacedExchange[]
  readonly upstreams: readonly PlacedUpstream[]
}

/** A part that every data thread has, whatever the configuration: the spool, the static files. */
export interface PlacedPart {
  /** First row of its SPOOL_BLOCK or STATIC_BLOCK. */
  readonly row: number
}

export interface PlacedListener {
  readonly name: string
  /** First row of its LISTENER_BLOCK. */
  readonly row: number
}

export interface PlacedExchange {
  readonly listener: string
  readonly route: string
  /** First row of its EXCHANGE_BLOCK. */
  readonly row: number
}

export interface PlacedUpstream {
  readonly name: string
  /** First row of its UPSTREAM_BLOCK. */
  readonly row: number
  readonly endpoints: readonly PlacedEndpoint[]
}

export interface PlacedEndpoint {
  readonly name: string
  /** First row of its ENDPOINT_BLOCK. */
  readonly row: number
  /** Its words in SharedState. */
  readonly index: number
  readonly weight: number
}

/** Under which route a tunnel's connections are counted. No route of the configuration can have this name. */
export function tunnelRoute(tunnel: string): string {
  return `tunnel:${tunnel}`
}
