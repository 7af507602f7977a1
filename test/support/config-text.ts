/** What a test's configuration says beyond the usual: each part is TOML that is put into its table. */
export interface ConfigParts {
  /** The app's endpoints: ports on 127.0.0.1, or whole addresses. */
  readonly endpoints: readonly (number | string)[]
  readonly workers?: number
  /** Keys of [server]. */
  readonly server?: string
  /** Keys of [listeners.web]. */
  readonly listener?: string
  /** Keys of [upstreams.app]. */
  readonly upstream?: string
  /** Keys of [routes.app]. */
  readonly route?: string
  /** Further tables. */
  readonly more?: string
}

/** A listener `web` on a free port and a route for everything to the upstream `app`. */
export function configText(parts: ConfigParts): string {
  const endpoints = parts.endpoints
    .map(address => (typeof address === 'number' ? `"127.0.0.1:${address}"` : `"${address}"`))
    .join(', ')
  return `
[server]
workers = ${parts.workers ?? 1}
drain = "1s"
${parts.server ?? ''}

[admin]
address = "127.0.0.1:0"

[listeners.web]
address = "127.0.0.1:0"
${parts.listener ?? ''}

[upstreams.app]
endpoints = [${endpoints}]
${parts.upstream ?? ''}

[routes.app]
path = "/"
upstream = "app"
${parts.route ?? ''}

${parts.more ?? ''}
`
}
