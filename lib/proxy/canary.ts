import { hashKey, mixBits } from '../../upstreams/balancer/key-hash.ts'
import type { CanaryConfig } from '../config/model.ts'
import { cookieNamed } from '../http/cookies.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Handler } from '../http/handler.ts'
import { fieldNamed } from '../http/one-field.ts'

interface Mark {
  readonly name: string
  readonly value: string
}

/** Which requests of a route go to the upstream on trial. */
export class CanaryChoice {
  readonly #share: number
  readonly #header: Mark | undefined
  readonly #cookie: Mark | undefined
  /** Differs by route, so that not the same clients try everything first. */
  readonly #salt: number

  constructor(route: string, { share, header, cookie }: Omit<CanaryConfig, 'upstream'>) {
    this.#share = share
    this.#header = markOf(header)
    this.#cookie = markOf(cookie)
    this.#salt = mixBits(hashKey(route))
  }

  /** Marked requests all go; of the others a share of the clients, always the same ones. */
  takes(exchange: Pick<Exchange, 'request' | 'origin' | 'record'>): boolean {
    const { fields } = exchange.request
    const header = this.#header
    if (header !== undefined && fieldNamed(fields, header.name) === header.value) return true
    const cookie = this.#cookie
    if (cookie !== undefined && cookieNamed(fields, cookie.name) === cookie.value) return true
    return this.#placeOf(exchange) < this.#share
  }

  /** 0 to 1, evenly spread. A client without an address (a unix socket's) is another one each time. */
  #placeOf({ origin, record }: Pick<Exchange, 'origin' | 'record'>): number {
    const client = origin.clientIp === '' ? record.requestId : origin.clientIp
    return mixBits(hashKey(client) ^ this.#salt) / 2 ** 32
  }
}

/** A route with two upstreams. */
export class CanaryHandler implements Handler {
  readonly #choice: CanaryChoice
  readonly #trial: Handler
  readonly #usual: Handler

  constructor(choice: CanaryChoice, trial: Handler, usual: Handler) {
    this.#choice = choice
    this.#trial = trial
    this.#usual = usual
  }

  handle(exchange: Exchange): void {
    if (this.#choice.takes(exchange)) this.#trial.handle(exchange)
    else this.#usual.handle(exchange)
  }
}

/** Of `NAME=VALUE`. */
function markOf(text: string | undefined): Mark | undefined {
  if (text === undefined) return undefined
  const equals = text.indexOf('=')
  return { name: text.slice(0, equals), value: text.slice(equals + 1) }
}
