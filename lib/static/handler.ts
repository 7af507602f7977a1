import type { ThreadEnv } from '../base/thread-env.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Handler } from '../http/handler.ts'
import { refuseMethod, refuseName } from './answer.ts'
import { nameOfFile, nameOfUri } from './file-path.ts'
import type { FileShelf } from './file-shelf.ts'
import type { FileStore, ShelfOptions } from './file-store.ts'
import type { InternalAnswer } from './internal-answer.ts'
import { answerFromMemory, StaticExchange } from './static-exchange.ts'

export interface StaticOptions extends ShelfOptions {
  /** Only for what apps hand over: clients get 404. */
  readonly internal: boolean
  /** One a data thread; it outlives the handler. */
  readonly store: FileStore
  readonly env: ThreadEnv
}

/**
 * Answers GET and HEAD from a folder. What is not there is 404: a static route never falls through to an app.
 */
export class StaticHandler implements Handler {
  /** True for a route that only apps may use, by `serveInternal`. */
  readonly internal: boolean
  readonly #shelf: FileShelf
  readonly #env: ThreadEnv

  constructor(options: StaticOptions) {
    this.internal = options.internal
    // What apps hand over is often what users sent: their manifests mean nothing.
    this.#shelf = options.store.shelf({ ...options, manifest: options.manifest && !options.internal })
    this.#env = options.env
  }

  /** A file in memory is answered before this returns. */
  handle(exchange: Exchange): void {
    const { method, path } = exchange.request
    if (this.internal) {
      refuseName(exchange, 'the route is internal')
      return
    }
    if (method !== 'GET' && method !== 'HEAD') {
      refuseMethod(exchange)
      return
    }
    const resource = this.#shelf.find(path)
    if (resource === undefined) {
      this.#exchange(exchange, path, undefined).wait()
    } else if (!answerFromMemory(exchange, resource, this.#shelf) && resource.kind === 'file') {
      this.#exchange(exchange, path, undefined).stream(resource)
    }
  }

  /**
   * The name below this root that X-Accel-Redirect means: a path of our site, perhaps escaped, perhaps with a
   * query, that lies below the route's; undefined if it does not, or could name no file.
   */
  nameOfUri(value: string): string | undefined {
    return nameOfUri(value, this.#shelf.site.routePath)
  }

  /**
   * The name below this root that X-Sendfile means, an absolute file name; undefined if it lies elsewhere.
   * Links are followed later.
   */
  nameOfFile(value: string): string | undefined {
    return nameOfFile(value, this.#shelf.site.root)
  }

  /**
   * Answers with a file because an app said so; `name` is from `nameOfUri` or `nameOfFile`. Whoever had the
   * exchange has it no more, and must be done with its upstream; the answer must not have begun. The app's
   * fields win over ours: Content-Type (unless empty), Content-Disposition, Cache-Control, Expires,
   * Set-Cookie, ETag and Last-Modified, and all others but those of its own body. Conditions and ranges count
   * for GET and HEAD and are judged by the validators that the client sees; any other method is answered 200
   * with the whole. A file that is not there, a folder, and a name that leaves the root are 404. Never
   * throws, and ends the exchange by itself.
   */
  serveInternal(exchange: Exchange, name: string, answer: InternalAnswer): void {
    if (exchange.ended) return
    const path = this.#shelf.pathOf(name)
    const file = this.#exchange(exchange, path, answer)
    const resource = this.#shelf.find(path)
    if (resource === undefined) file.wait()
    else file.resourceReady(resource)
  }

  #exchange(exchange: Exchange, path: string, answer: InternalAnswer | undefined): StaticExchange {
    return new StaticExchange(exchange, this.#shelf, this.#env, { path, answer })
  }
}
