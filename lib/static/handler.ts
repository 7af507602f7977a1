import type { Clock } from '../base/clock.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Handler } from '../http/handler.ts'
import { refuseMethod } from './answer.ts'
import type { FileShelf } from './file-shelf.ts'
import type { FileStore } from './file-store.ts'
import { answerFromMemory, StaticExchange } from './static-exchange.ts'

export interface StaticOptions {
  /** Folder that the route's path stands for. */
  readonly root: string
  readonly index: readonly string[]
  readonly routePath: string
  /** One a data thread; it outlives the handler. */
  readonly store: FileStore
  readonly env: ThreadEnv
}

/**
 * Answers GET and HEAD from a folder. What is not there is 404: a static route never falls through to an app.
 */
export class StaticHandler implements Handler {
  readonly #shelf: FileShelf
  readonly #clock: Clock

  constructor({ root, index, routePath, store, env }: StaticOptions) {
    this.#shelf = store.shelf(root, index, routePath)
    this.#clock = env.clock
  }

  /** A file in memory is answered before this returns. */
  handle(exchange: Exchange): void {
    const { method, path } = exchange.request
    if (method !== 'GET' && method !== 'HEAD') {
      refuseMethod(exchange)
      return
    }
    const resource = this.#shelf.find(path)
    if (resource === undefined) {
      new StaticExchange(exchange, this.#shelf, this.#clock).wait()
    } else if (!answerFromMemory(exchange, resource, this.#clock) && resource.kind === 'file') {
      new StaticExchange(exchange, this.#shelf, this.#clock).stream(resource)
    }
  }
}
