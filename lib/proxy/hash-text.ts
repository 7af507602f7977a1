import type { HashKey } from '../config/model.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import { fieldNamed } from '../http/one-field.ts'

/** What `balance = "hash"` tells a request apart by; without the field or cookie all requests are one. */
export function hashText({ origin, request }: Exchange, hashOn: HashKey): string {
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
