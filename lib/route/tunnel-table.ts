import { Router } from './router.ts'

/** Which TLS connections one tunnel takes. */
export interface TunnelRule<T> {
  /** Lower case; `*.example.com` for every name below; empty for any, and for none. */
  readonly hosts: readonly string[]
  /** Names; empty for each. */
  readonly listeners: readonly string[]
  readonly target: T
}

/**
 * Finds the tunnel of a TLS connection by the name that its client asks for: the most specific host wins
 * (exact name, longest wildcard, any), the order of the rules does not matter. Built once per snapshot, never
 * changed.
 */
export class TunnelTable<T> {
  /** Of the listeners that a rule names. */
  readonly #named: ReadonlyMap<string, Router<T>>
  readonly #others: Router<T>

  constructor(rules: readonly TunnelRule<T>[]) {
    const named = new Set(rules.flatMap(({ listeners }) => listeners))
    this.#named = new Map([...named].map(listener => [listener, routerOf(rules, listener)]))
    this.#others = routerOf(rules, undefined)
  }

  /** `serverName`: lower case; undefined for a client that names nobody. */
  find(listener: string, serverName: string | undefined): T | undefined {
    const router = this.#named.get(listener) ?? this.#others
    return router.findPlain(serverName ?? '', '/')
  }
}

/** Hosts as those of routes, below the one path that all have. */
function routerOf<T>(rules: readonly TunnelRule<T>[], listener: string | undefined): Router<T> {
  const own = rules.filter(
    ({ listeners }) => listeners.length === 0 || (listener !== undefined && listeners.includes(listener)),
  )
  return new Router(own.map(({ hosts, target }) => ({ hosts, path: '/', target })))
}
