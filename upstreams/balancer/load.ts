/** In a pool of so few, a policy that draws two endpoints looks at all: that is as cheap, and better. */
export const FEW = 8

/** All that a policy may know about an endpoint: how much it carries. Never health, never sockets. */
export interface Load {
  /** Share of the traffic, relative to the others'; above 0, and constant as long as a picker lives. */
  readonly weight: number
  /** Requests it runs now, over all data threads. */
  readonly inflight: number
  /** What a request to it costs by now (`PeakEwma.value`), milliseconds. Only `peak-ewma` reads it. */
  readonly latencyMs: number
}

/**
 * An endpoint that keeps its share of the keys over restarts and reloads: the identity is its name or
 * address.
 */
export interface NamedLoad extends Load {
  readonly identity: string
}

/**
 * Chooses an endpoint now. Built from the list of ready endpoints and thrown away when the list changes, so
 * that no policy asks about health. Hot: `pick` allocates nothing.
 */
export interface Picker<E extends Load> {
  /**
   * `key` is the request's hash (`hashKey`), 0 for policies that do not hash. `avoid` is the endpoint that
   * has just failed: it is chosen again only when there is no other. Undefined when nothing is ready.
   */
  pick(key: number, avoid?: E): E | undefined
}
