import { configuredPath } from '../http/path.ts'
import { agreedBy, type DISAGREED, isPlain } from '../http/path-readings.ts'

/** What one route answers to. */
export interface RouteRule<T> {
  /** Lower case; `*.example.com` for every name below; empty for any. */
  readonly hosts: readonly string[]
  /** `/static/` is a prefix; `/static` is that path and what lies below it; `/` is everything. */
  readonly path: string
  readonly target: T
}

interface Prefix<T> {
  readonly path: string
  /** No slash at its end, so the next character must be one. */
  readonly open: boolean
  readonly target: T
}

/** Longest path first. */
type Prefixes<T> = readonly Prefix<T>[]

/**
 * Finds a request's route: the most specific host that has a matching path wins (exact name, longest
 * wildcard, any), then its longest path; the order of the rules does not matter. Built once per snapshot,
 * never changed.
 */
export class Router<T> {
  readonly #exact: ReadonlyMap<string, Prefixes<T>>
  /** By suffix, the leading dot included. */
  readonly #wildcard: ReadonlyMap<string, Prefixes<T>>
  readonly #any: Prefixes<T>

  constructor(routes: readonly RouteRule<T>[]) {
    const exact = new Map<string, Prefix<T>[]>()
    const wildcard = new Map<string, Prefix<T>[]>()
    const any: Prefix<T>[] = []
    for (const route of routes) {
      const prefix = prefixOf(route)
      if (route.hosts.length === 0) any.push(prefix)
      for (const host of route.hosts) {
        if (host.startsWith('*.')) addTo(wildcard, host.slice(1), prefix)
        else addTo(exact, host, prefix)
      }
    }
    for (const prefixes of [...exact.values(), ...wildcard.values(), any]) prefixes.sort(longerFirst)
    this.#exact = exact
    this.#wildcard = wildcard
    this.#any = any
  }

  /**
   * `hostname` is lower case without port, `path` as it stands in the request; the `*` of `OPTIONS *` counts
   * as `/`. DISAGREED if not all readings of the path find the same: whatever is done then, some app behind
   * would take the request for another. Hot.
   */
  find(hostname: string, path: string): T | undefined | typeof DISAGREED {
    if (path === '*') return this.findPlain(hostname, '/')
    if (isPlain(path)) return this.findPlain(hostname, path)
    return agreedBy(path, reading => this.findPlain(hostname, reading))
  }

  /** The same for a path of which only one reading counts: one character a byte, decoded. Hot. */
  findPlain(hostname: string, path: string): T | undefined {
    const exact = this.#exact.get(hostname)
    const found = exact === undefined ? undefined : longest(exact, path)
    if (found !== undefined) return found.target
    const below = this.#wildcard.size === 0 ? undefined : this.#findWildcard(hostname, path)
    return (below ?? longest(this.#any, path))?.target
  }

  #findWildcard(hostname: string, path: string): Prefix<T> | undefined {
    // From the first dot on the suffixes only get shorter, so the first that matches is the longest.
    for (let dot = hostname.indexOf('.', 1); dot > 0; dot = hostname.indexOf('.', dot + 1)) {
      const prefixes = this.#wildcard.get(hostname.slice(dot))
      const found = prefixes === undefined ? undefined : longest(prefixes, path)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function prefixOf<T>(route: RouteRule<T>): Prefix<T> {
  const path = configuredPath(route.path)
  return { path, open: !path.endsWith('/'), target: route.target }
}

function addTo<T>(table: Map<string, Prefix<T>[]>, host: string, prefix: Prefix<T>): void {
  const prefixes = table.get(host)
  if (prefixes === undefined) table.set(host, [prefix])
  else prefixes.push(prefix)
}

function longerFirst<T>(a: Prefix<T>, b: Prefix<T>): number {
  return b.path.length - a.path.length
}

function longest<T>(prefixes: Prefixes<T>, path: string): Prefix<T> | undefined {
  for (let i = 0; i < prefixes.length; i += 1) {
    const prefix = prefixes[i] as Prefix<T>
    if (path.startsWith(prefix.path) && (!prefix.open || endsSegment(path, prefix.path.length))) return prefix
  }
  return undefined
}

function endsSegment(path: string, at: number): boolean {
  return path.length === at || path.charCodeAt(at) === 0x2f
}
