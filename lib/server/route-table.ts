import type { Upstream } from '../../upstreams/upstream.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { ProxyAction, RouteConfig, StaticAction } from '../config/model.ts'
import type { Handler } from '../http/handler.ts'
import type { RequestHead } from '../http/message.ts'
import { matchPath } from '../http/path.ts'
import { ProxyHandler } from '../proxy/handler.ts'
import { Mount } from '../proxy/mount.ts'
import type { NamedFiles } from '../proxy/site.ts'
import type { Spool } from '../proxy/spool.ts'
import { gateOf, type RouteGate } from '../route/gate.ts'
import { Router } from '../route/router.ts'
import type { FileStore } from '../static/file-store.ts'
import { StaticHandler } from '../static/handler.ts'
import { FilesOfRoutes } from './named-files.ts'

/** What handlers are made with. */
export interface HandlerParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: Spool
  readonly store: FileStore
  readonly env: ThreadEnv
}

/** What a route leads to. */
export interface Target {
  readonly route: string
  readonly gate: RouteGate | undefined
  readonly handler: Handler
}

/** All routes of a snapshot with their gates and handlers. Built whole, never changed. */
export class RouteTable {
  readonly #router: Router<Target>
  readonly #parts: HandlerParts
  readonly #files: NamedFiles

  constructor(routes: readonly RouteConfig[], parts: HandlerParts) {
    this.#parts = parts
    const internal: StaticHandler[] = []
    this.#files = new FilesOfRoutes((hostname, uri) => this.#staticRoute(hostname, uri), internal)
    const rules = routes.map(route => {
      const handler = this.#handler(route)
      if (handler instanceof StaticHandler && handler.internal) internal.push(handler)
      return {
        hosts: route.hosts,
        path: route.path,
        target: { route: route.name, gate: gateOf(route), handler },
      }
    })
    this.#router = new Router<Target>(rules)
  }

  /** `path`: as `matchPath` gives it. */
  find(hostname: string, path: string): Target | undefined {
    return this.#router.find(hostname, path)
  }

  /**
   * WSGI and ASGI servers hand an escaped slash to the app as a plain one. True if the app would so read a path of another route: past that
   * one's maintenance, redirect or upstream.
   */
  leadsAround(target: Target, { hostname, path }: RequestHead): boolean {
    const asAppsRead = matchPath(path.replace(/%2f/gi, '/'))
    return asAppsRead === undefined || this.find(hostname, asAppsRead) !== target
  }

  #staticRoute(hostname: string, uri: string): StaticHandler | undefined {
    const path = matchPath(uri.replace(/\?.*$/s, ''))
    const handler = path === undefined ? undefined : this.find(hostname, path)?.handler
    return handler instanceof StaticHandler ? handler : undefined
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
    const { upstreams, spool, env } = this.#parts
    const upstream = upstreams.get(action.upstream)
    if (upstream === undefined) throw new Error(`route "${route}" leads to no upstream`)
    const { server, readAheadBytes } = upstream.config
    const mount = action.mount === undefined ? undefined : new Mount(action.mount, server)
    return new ProxyHandler(upstream, {
      room: { spool, env, maxBytes: readAheadBytes },
      mount,
      files: this.#files,
      priority: action.priority,
    })
  }
}
