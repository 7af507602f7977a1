import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import { DROPPED, FieldList } from '../http/field-list.ts'
import type { Handler } from '../http/handler.ts'
import type { AnswerHead } from '../http/message.ts'
import { PassingExchange } from '../http/passing-exchange.ts'
import { encodePath } from '../http/path.ts'
import { isBelow } from './mount.ts'

/** Where the links of an app lead that does not know its prefix: below the prefix all the same. */
class Links {
  /** As it stands in a target. */
  readonly #prefix: string

  constructor(stripPrefix: string) {
    this.#prefix = encodePath(stripPrefix)
  }

  /** The app's fields, with the prefix put in front of where it points. */
  fieldsOf(fields: FieldList, host: string): FieldList {
    if (!fields.has(FIELD.location) && !fields.has(FIELD['set-cookie'])) return fields
    const pairs: [string, string][] = []
    for (let i = 0; i < fields.count; i += 1) {
      if ((fields.flags(i) & DROPPED) === 0) pairs.push([fields.name(i), this.#rewritten(fields, i, host)])
    }
    return FieldList.of(pairs)
  }

  #rewritten(fields: FieldList, index: number, host: string): string {
    const value = fields.value(index)
    switch (fields.id(index)) {
      case FIELD.location:
        return this.#location(value, host)
      case FIELD['set-cookie']:
        return value.replace(
          /(;\s*path=)(\/[^;]*)/i,
          (_, name: string, path: string) => name + this.#under(path),
        )
      default:
        return value
    }
  }

  /** Only paths of this very site: other sites' are theirs. */
  #location(value: string, host: string): string {
    if (value.startsWith('/') && !value.startsWith('//')) return this.#under(value)
    const [, origin = '', name = '', path = ''] = /^(https?:\/\/([^/?#]+))(.*)$/i.exec(value) ?? []
    if (origin === '' || name.toLowerCase() !== host.toLowerCase()) return value
    return origin + this.#under(path.startsWith('/') ? path : `/${path}`)
  }

  /** An app that knows its script name has written the prefix itself. */
  #under(path: string): string {
    return isBelow(path, this.#prefix) ? path : this.#prefix + path
  }
}

/** The answers of an exchange, their Location and Set-Cookie fields below the prefix. */
class RewrittenExchange extends PassingExchange {
  readonly #links: Links

  constructor(outer: Exchange, links: Links) {
    super(outer)
    this.#links = links
  }

  protected override changed(head: AnswerHead): AnswerHead {
    const fields = this.#links.fieldsOf(head.fields, this.request.host)
    return fields === head.fields ? head : { ...head, fields }
  }
}

/** A handler of an app that writes its links without the prefix that it is mounted at. */
export class LinkRewriting implements Handler {
  readonly #links: Links
  readonly #inner: Handler

  /** `stripPrefix`: without a slash at its end. */
  constructor(stripPrefix: string, inner: Handler) {
    this.#links = new Links(stripPrefix)
    this.#inner = inner
  }

  handle(exchange: Exchange): void {
    this.#inner.handle(new RewrittenExchange(exchange, this.#links))
  }
}
