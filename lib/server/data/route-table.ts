import { isDeepStrictEqual } from 'node:util'
import type { Upstream } from '../../../upstreams/upstream.ts'
import type { Kept } from '../../base/kept.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { ProxyAction, RouteConfig, UpstreamConfig } from '../../config/model.ts'
import type { AnswerPolicy } from '../../http/answer-policy.ts'
import type { Gate, Handler } from '../../http/handler.ts'
import { DISAGREED } from '../../http/path-readings.ts'
import { ProxyHandler } from '../../proxy/handler.ts'
import { Mirror } from '../../proxy/mirror.ts'
import type { MirrorResult } from '../../proxy/mirror-measures.ts'
import { MIRROR_TRAFFIC, MirrorTraffic } from '../../proxy/mirror-site.ts'
import { Mount } from '../../proxy/mount.ts'
import type { NamedFiles } from '../../proxy/site.ts'
import type { Spool } from '../../proxy/spool.ts'
import { Sticky } from '../../proxy/sticky.ts'
import type { UpstreamLink } from '../../proxy/upstream-link.ts'
import { RouteHosts } from '../../route/route-hosts.ts'
import { policyOf } from '../../route/route-policy.ts'
import { Router } from '../../route/router.ts'
import type { SecuredHosts } from '../../route/secured-hosts.ts'
import type { FileStore } from '../../static/file-store.ts'
import { StaticHandler } from '../../static/handler.ts'
import { chained, chainedApp, gatesOf } from './chain.ts'
import type { ExchangeRows } from './exchange-rows.ts'
import { FilesOfRoutes } from './named-files.ts'
import type { Overload } from './overload.ts'

/** What handlers and gates are made with. */
export interface RouteParts {
  readonly upstreams: ReadonlyMap<string, UpstreamLink>
  readonly spool: Spool
  readonly store: FileStore
  readonly env: ThreadEnv
  readonly kept: Kept
  readonly overload: Overload
  readonly rows: ExchangeRows
  /** Set where a listener has its certificates from an ACME server. */
  readonly secured: SecuredHosts | undefined
  countMirrored(listener: string, route: string, result: MirrorResult): void
}

/** What a route leads to. */
export interface Target {
  readonly route: string
  /** What it says about answers; undefined if nothing. */
  readonly policy: AnswerPolicy | undefined
  readonly gates: readonly Gate[]
  readonly handler: Handler
  /**
   * Its folder, for apps that name files in it, whatever stands around its handler; undefined for a route to
   * an app.
   */
  readonly files: StaticHandler | undefined
}

/** All routes of a snapshot with their gates and handlers. Built whole, never changed. */
export class RouteTable {
  readonly #router: Router<Target>
  readonly #routes: readonly RouteConfig[]
  readonly #parts: RouteParts
  readonly #files: NamedFiles
  readonly #hosts: RouteHosts
  readonly #stickies = new Map<string, Sticky>()
  /** What it was built from besides the routes. */
  readonly #builtFrom: readonly UpstreamCharacter[]

  constructor(routes: readonly RouteConfig[], parts: RouteParts) {
    this.#routes = routes
    this.#parts = parts
    this.#builtFrom = charactersOf(parts.upstreams)
    this.#hosts = new RouteHosts(routes)
    const internal: StaticHandler[] = []
    this.#files = new FilesOfRoutes((hostname, uri) => this.#folderAt(hostname, uri), internal)
    const rules = routes.map(route => ({ hosts: route.hosts, path: route.path, target: this.#target(route) }))
    for (const { target } of rules) if (target.files?.internal === true) internal.push(target.files)
    this.#router = new Router<Target>(rules)
  }

  /**
   * Would one that is built from these be the same? Members of upstreams and certificates come and go without
   * it.
   */
  isFor(routes: readonly RouteConfig[], { upstreams, secured }: RouteParts): boolean {
    return (
      secured === this.#parts.secured &&
      isDeepStrictEqual(routes, this.#routes) &&
      isDeepStrictEqual(charactersOf(upstreams), this.#builtFrom)
    )
  }

  /** `path` as it stands in the request; DISAGREED if its readings lead to different routes (router.ts). */
  find(hostname: string, path: string): Target | undefined | typeof DISAGREED {
    return this.#router.find(hostname, path)
  }

  #folderAt(hostname: string, uri: string): StaticHandler | undefined {
    const found = this.find(hostname, uri.replace(/\?.*$/s, ''))
    return found === undefined || found === DISAGREED ? undefined : found.files
  }

  #target(route: RouteConfig): Target {
    const files = this.#folderOf(route)
    const inner = files ?? this.#proxyTo(route)
    const handlerTo = (upstream: string) => this.#proxyTo(route, upstream)
    return {
      route: route.name,
      policy: policyOf(route),
      gates: this.#gatesOf(route),
      handler: chained(route, inner, { handlerTo }),
      files,
    }
  }

  #gatesOf(route: RouteConfig): readonly Gate[] {
    const { upstreams } = this.#parts
    const { action } = route
    const names = action.kind === 'static' ? [] : [action.upstream, action.canary?.upstream ?? '']
    const healthPaths = names.flatMap(name => healthPathOf(upstreams.get(name)?.current) ?? [])
    return gatesOf(route, { ...this.#parts, hosts: this.#hosts, healthPaths })
  }

  #folderOf({ path, action }: RouteConfig): StaticHandler | undefined {
    const { store, env } = this.#parts
    return action.kind === 'static'
      ? new StaticHandler({ ...action, routePath: path, store, env })
      : undefined
  }

  #proxyTo({ name, action }: RouteConfig, to?: string): Handler {
    if (action.kind === 'static') throw new Error(`route "${name}" leads to no upstream`)
    const { spool, env } = this.#parts
    const upstream = this.#upstream(to ?? action.upstream, name)
    const { config } = upstream.current
    const site = {
      room: { spool, env, maxBytes: config.readAheadBytes },
      mount: mountOf(action, config),
      files: this.#files,
      priority: action.priority,
    }
    const handler = new ProxyHandler(upstream, site, this.#mirror(name, action))
    return chainedApp(action, handler, this.#sticky(upstream))
  }

  #mirror(route: string, action: ProxyAction): Mirror | undefined {
    if (action.mirror === undefined) return undefined
    const { spool, env, kept, countMirrored } = this.#parts
    const { share } = action.mirror
    const upstream = this.#upstream(action.mirror.upstream, route)
    const mount = mountOf(action, upstream.current.config)
    const traffic = kept.get(MIRROR_TRAFFIC, '', () => new MirrorTraffic())
    const count = (listener: string, result: MirrorResult) => countMirrored(listener, route, result)
    return new Mirror({ upstream, share, traffic, spool, env, mount, count })
  }

  #upstream(name: string, route: string): UpstreamLink {
    const upstream = this.#parts.upstreams.get(name)
    if (upstream === undefined) throw new Error(`route "${route}" leads to no upstream`)
    return upstream
  }

  /** One an upstream, however many routes lead there: it makes a digest for each endpoint. */
  #sticky(upstream: UpstreamLink): Sticky | undefined {
    const { name, sticky: config } = upstream.current.config
    if (config === undefined) return undefined
    const sticky = this.#stickies.get(name) ?? new Sticky(() => upstream.current.config, config)
    this.#stickies.set(name, sticky)
    return sticky
  }
}

/** All of an upstream's configuration but its members, which may be others at every look. */
type UpstreamCharacter = Omit<UpstreamConfig, 'endpoints' | 'names'>

function charactersOf(upstreams: ReadonlyMap<string, UpstreamLink>): readonly UpstreamCharacter[] {
  return [...upstreams.values()].map(({ current }) => {
    const { endpoints, names, ...character } = current.config
    return character
  })
}

function mountOf({ mount }: ProxyAction, { server }: UpstreamConfig): Mount | undefined {
  return mount === undefined ? undefined : new Mount(mount, server)
}

function healthPathOf(upstream: Upstream | undefined): string | undefined {
  const health = upstream?.config.health
  return health?.kind === 'http' ? health.path.replace(/\?.*$/s, '') : undefined
}
