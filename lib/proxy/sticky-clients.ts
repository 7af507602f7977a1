import type { BodyReader, ClientWebSocket, Exchange } from '../http/exchange.ts'
import type { FieldList } from '../http/field-list.ts'
import type { Handler } from '../http/handler.ts'
import type { AnswerHead } from '../http/message.ts'
import { PassingExchange } from '../http/passing-exchange.ts'
import type { Sticky } from './sticky.ts'

/** The answers of an exchange, with a cookie if its client is to stay with another endpoint from now on. */
class BoundExchange extends PassingExchange {
  readonly #sticky: Sticky
  /** When the request came. */
  readonly #tokens: ReadonlyMap<string, string>

  constructor(outer: Exchange, sticky: Sticky) {
    super(outer)
    this.#sticky = sticky
    this.#tokens = sticky.tokens
  }

  protected override changed(head: AnswerHead): AnswerHead {
    const fields = this.#bound(head.fields)
    return fields === head.fields ? head : { ...head, fields }
  }

  override upgrade(protocol: string, fields: FieldList, reader: BodyReader): ClientWebSocket | undefined {
    return this.outer.upgrade(protocol, this.#bound(fields), reader)
  }

  #bound(fields: FieldList): FieldList {
    const { endpoint, boundTo } = this.record
    if (endpoint === undefined || endpoint === boundTo) return fields
    return this.#sticky.bind(fields, endpoint, this.origin.scheme, this.#tokens)
  }
}

/**
 * A handler of an upstream whose clients stay with their endpoint: names the one that a client is bound to,
 * and binds those that are not.
 */
export class StickyClients implements Handler {
  readonly #sticky: Sticky
  readonly #inner: Handler

  constructor(sticky: Sticky, inner: Handler) {
    this.#sticky = sticky
    this.#inner = inner
  }

  handle(exchange: Exchange): void {
    exchange.record.boundTo = this.#sticky.wanted(exchange.request.fields)
    this.#inner.handle(new BoundExchange(exchange, this.#sticky))
  }
}
