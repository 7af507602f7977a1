/** The hosts that the routes of a snapshot name. Built once, never changed. */
export class RouteHosts {
  readonly #exact = new Set<string>()
  /** By suffix, the leading dot included. */
  readonly #below = new Set<string>()

  constructor(routes: readonly { readonly hosts: readonly string[] }[]) {
    for (const host of routes.flatMap(({ hosts }) => hosts)) {
      if (host.startsWith('*.')) this.#below.add(host.slice(1))
      else this.#exact.add(host)
    }
  }

  /** `hostname`: lower case, without port and final dot. */
  has(hostname: string): boolean {
    if (this.#exact.has(hostname)) return true
    if (this.#below.size === 0) return false
    for (let dot = hostname.indexOf('.', 1); dot > 0; dot = hostname.indexOf('.', dot + 1)) {
      if (this.#below.has(hostname.slice(dot))) return true
    }
    return false
  }
}
