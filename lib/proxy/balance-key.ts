import { hashKey } from '../../upstreams/balancer/key-hash.ts'
import type { HashKey, UpstreamConfig } from '../config/model.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import { fieldNamed } from '../http/one-field.ts'

/** The request's key for the upstream's policy; 0 for those that do not hash. */
export function balanceKey(exchange: Exchange, { balance, hashOn }: UpstreamConfig): number {
  return balance === 'hash' ? hashKey(hashText(exchange, hashOn)) : 0
}

/** What `balance = "hash"` tells a request apart by; without the field or cookie all requests are one. */
function hashText({ origin, request }: Exchange, hashOn: HashKey): string {
  switch (hashOn.on) {
    case 'client-ip':
      return origin.clientIp
    case 'uri':
      return request.target
    case 'header':
      return fieldNamed(request.fields, hashOn.name)
    case 'cookie':
      return cookieNamed(request.fields, hashOn.name)
  }
}
