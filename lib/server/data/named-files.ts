import type { Exchange } from '../../http/exchange.ts'
import { FIELD } from '../../http/field-ids.ts'
import type { ResponseHead } from '../../http/message.ts'
import type { NamedFiles } from '../../proxy/site.ts'
import type { StaticHandler } from '../../static/handler.ts'
import { limitRateOf } from '../../static/internal-answer.ts'

/** Finds the static route that a path of the site leads to, if it leads to one. */
export type StaticRoutes = (hostname: string, path: string) => StaticHandler | undefined

/**
 * Files that apps name instead of sending them. X-Accel-Redirect (nginx) names a path of the site, below any
 * static route; X-Sendfile (Apache, lighttpd) a file of the machine, which must lie below the root of an
 * internal one: other files are not the app's to give away.
 */
export class FilesOfRoutes implements NamedFiles {
  readonly #routes: StaticRoutes
  readonly #internal: readonly StaticHandler[]

  constructor(routes: StaticRoutes, internal: readonly StaticHandler[]) {
    this.#routes = routes
    this.#internal = internal
  }

  serve(exchange: Exchange, head: ResponseHead): boolean {
    // Without an internal route nobody has asked us to heed such fields: the answer's own body counts.
    if (this.#internal.length === 0) return false
    const uri = head.fields.rawFirst(FIELD['x-accel-redirect'])
    const file = head.fields.rawFirst(FIELD['x-sendfile'])
    if (uri === undefined && file === undefined) return false
    const found = uri === undefined ? this.#byFile(file as string) : this.#byUri(exchange, uri)
    if (found === undefined) {
      const said = uri === undefined ? `X-Sendfile: ${file}` : `X-Accel-Redirect: ${uri}`
      exchange.fail(
        'NOT_FOUND',
        `${said} is not below any ${uri === undefined ? 'internal ' : ''}static route`,
      )
      return true
    }
    const answer = { fields: head.fields, bytesPerSecond: limitRateOf(head.fields) }
    found.handler.serveInternal(exchange, found.name, answer)
    return true
  }

  #byUri(exchange: Exchange, uri: string) {
    const handler = this.#routes(exchange.request.hostname, uri)
    const name = handler?.nameOfUri(uri)
    return handler === undefined || name === undefined ? undefined : { handler, name }
  }

  #byFile(file: string) {
    for (const handler of this.#internal) {
      const name = handler.nameOfFile(file)
      if (name !== undefined) return { handler, name }
    }
    return undefined
  }
}
