import { hashKey } from '../../upstreams/balancer/key-hash.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { HashKey } from '../config/model.ts'
import type { Exchange } from '../http/exchange.ts'
import { FIELD } from '../http/field-ids.ts'
import type { FieldList } from '../http/field-list.ts'
import type { Handler } from '../http/handler.ts'
import { Forwarding } from './forwarding.ts'

/** Answers exchanges through an upstream. */
export class ProxyHandler implements Handler {
  readonly #upstream: Upstream

  constructor(upstream: Upstream) {
    this.#upstream = upstream
  }

  handle(exchange: Exchange): void {
    const { config } = this.#upstream
    exchange.record.upstream = config.name
    const key = config.balance === 'hash' ? hashKey(keyText(exchange, config.hashOn)) : 0
    this.#upstream.submit(new Forwarding(exchange, key))
  }
}

/** What the request is told apart by; without the field or cookie all requests are one. */
function keyText(exchange: Exchange, hashOn: HashKey): string {
  switch (hashOn.on) {
    case 'client-ip':
      return exchange.origin.clientIp
    case 'uri':
      return exchange.request.target
    case 'header':
      return fieldNamed(exchange.request.fields, hashOn.name)
    case 'cookie':
      return cookieNamed(exchange.request.fields.joined(FIELD.cookie) ?? '', hashOn.name)
  }
}

function fieldNamed(fields: FieldList, name: string): string {
  const wanted = name.toLowerCase()
  for (let i = 0; i < fields.count; i += 1) {
    if (fields.name(i).toLowerCase() === wanted) return fields.value(i)
  }
  return ''
}

function cookieNamed(cookies: string, name: string): string {
  for (const pair of cookies.split(';')) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return ''
}
