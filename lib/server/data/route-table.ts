import type { Upstream } from '../../../upstreams/upstream.ts'
import type { ThreadEnv } from '../../base/thread-env.ts'
import type { Priority, ProxyAction, RouteConfig, StaticAction } from '../../config/model.ts'
import type { Handler } from '../../http/handler.ts'
import { DISAGREED } from '../../http/path-readings.ts'
import { CanaryChoice, CanaryHandler } from '../../proxy/canary.ts'
import { ProxyHandler } from '../../proxy/handler.ts'
import { Mirror } from '../../proxy/mirror.ts'
import type { MirrorResult } from '../../proxy/mirror-measures.ts'
import type { MirrorTraffic } from '../../proxy/mirror-site.ts'
import { Mount } from '../../proxy/mount.ts'
import type { NamedFiles } from '../../proxy/site.ts'
import type { Spool } from '../../proxy/spool.ts'
import { Sticky } from '../../proxy/sticky.ts'
import { gateOf, type RouteGate } from '../../route/gate.ts'
import { RouteHosts } from '../../route/route-hosts.ts'
import { Router } from '../../route/router.ts'
import type { SecuredHosts } from '../../route/secured-hosts.ts'
import type { FileStore } from '../../static/file-store.ts'
import { StaticHandler } from '../../static/handler.ts'
import { FilesOfRoutes } from './named-files.ts'

/** What handlers are made with. */
export interface HandlerParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: Spool
  readonly store: FileStore
  readonly env: ThreadEnv
  readonly mirrors: MirrorTraffic
  /** Set where a listener has its certificates from an ACME server. */
  readonly secured: SecuredHosts | undefined
  countMirrored(listener: string, route: string, result: MirrorResult): void
}

/** What a route leads to. */
export interface Target {
  readonly route: string
  readonly gate: RouteGate | undefined
  readonly handler: Handler
  /** Of requests that go to an app. */
  readonly priority: Priority | undefined
}

/** All routes of a snapshot with their gates and handlers. Built whole, never changed. */
export class RouteTable {
  readonly #router: Router<Target>
  readonly #parts: HandlerParts
  readonly #files: NamedFiles
  readonly #hosts: RouteHosts
  readonly #stickies = new Map<string, Sticky>()

  constructor(routes: readonly RouteConfig[], parts: HandlerParts) {
    this.#parts = parts
    this.#hosts = new RouteHosts(routes)
    const internal: StaticHandler[] = []
    this.#files = new FilesOfRoutes((hostname, uri) => this.#staticRoute(hostname, uri), internal)
    const rules = routes.map(route => {
      const handler = this.#handler(route)
      if (handler instanceof StaticHandler && handler.internal) internal.push(handler)
      return {
        hosts: route.hosts,
        path: route.path,
        target: { route: route.name, gate: this.#gate(route), handler, priority: priorityOf(route) },
      }
    })
    this.#router = new Router<Target>(rules)
  }

  /** `path` as it stands in the request; DISAGREED if its readings lead to different routes (router.ts). */
  find(hostname: string, path: string): Target | undefined | typeof DISAGREED {
    return this.#router.find(hostname, path)
  }

  #staticRoute(hostname: string, uri: string): StaticHandler | undefined {
    const found = this.find(hostname, uri.replace(/\?.*$/s, ''))
    if (found === undefined || found === DISAGREED) return undefined
    return found.handler instanceof StaticHandler ? found.handler : undefined
  }

  #gate(route: RouteConfig): RouteGate | undefined {
    const { secured, upstreams } = this.#parts
    const { action } = route
    const names = action.kind === 'static' ? [] : [action.upstream, action.canary?.upstream ?? '']
    const healthPaths = names.flatMap(name => healthPathOf(upstreams.get(name)) ?? [])
    return gateOf(route, { hosts: this.#hosts, secured, healthPaths })
  }

  #handler(route: RouteConfig): Handler {
    const { action } = route
    return action.kind === 'static'
      ? this.#staticHandler(route.path, action)
      : this.#proxyHandler(route.name, action)
  }

  #staticHandler(routePath: string, action: StaticAction): Handler {
    const { store, env } = this.#parts
    return new StaticHandler({ ...action, routePath, store, env })
  }

  #proxyHandler(route: string, action: ProxyAction): Handler {
    const { canary } = action
    const mirror = this.#mirror(route, action)
    const usual = this.#handlerTo(action.upstream, route, action, mirror)
    if (canary === undefined) return usual
    const trial = this.#handlerTo(canary.upstream, route, action, mirror)
    return new CanaryHandler(new CanaryChoice(route, canary), trial, usual)
  }

  #handlerTo(name: string, route: string, action: ProxyAction, mirror: Mirror | undefined): ProxyHandler {
    const { spool, env } = this.#parts
    const upstream = this.#upstream(name, route)
    const site = {
      room: { spool, env, maxBytes: upstream.config.readAheadBytes },
      mount: mountOf(action, upstream),
      files: this.#files,
      priority: action.priority,
      sticky: this.#sticky(upstream),
    }
    return new ProxyHandler(upstream, site, mirror)
  }

  #mirror(route: string, action: ProxyAction): Mirror | undefined {
    if (action.mirror === undefined) return undefined
    const { spool, env, mirrors: traffic, countMirrored } = this.#parts
    const { share } = action.mirror
    const upstream = this.#upstream(action.mirror.upstream, route)
    const count = (listener: string, result: MirrorResult) => countMirrored(listener, route, result)
    return new Mirror({ upstream, share, traffic, spool, env, mount: mountOf(action, upstream), count })
  }

  #upstream(name: string, route: string): Upstream {
    const upstream = this.#parts.upstreams.get(name)
    if (upstream === undefined) throw new Error(`route "${route}" leads to no upstream`)
    return upstream
  }

  /** One an upstream, however many routes lead there: it makes a digest for each endpoint. */
  #sticky({ config }: Upstream): Sticky | undefined {
    if (config.sticky === undefined) return undefined
    const sticky = this.#stickies.get(config.name) ?? new Sticky(config, config.sticky)
    this.#stickies.set(config.name, sticky)
    return sticky
  }
}

function mountOf({ mount }: ProxyAction, { config }: Upstream): Mount | undefined {
  return mount === undefined ? undefined : new Mount(mount, config.server)
}

function healthPathOf(upstream: Upstream | undefined): string | undefined {
  const health = upstream?.config.health
  return health?.kind === 'http' ? health.path.replace(/\?.*$/s, '') : undefined
}

function priorityOf({ action }: RouteConfig): Priority | undefined {
  return action.kind === 'proxy' ? action.priority : undefined
}
