import type { AttemptOwner, PooledPlace } from '../../upstreams/job.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Exchange } from '../http/exchange.ts'
import type { HeadLimits } from '../wire/refusal.ts'
import { parseRequestHead } from '../wire/request-head.ts'
import { Forwarding } from './forwarding.ts'
import { WebSocketAttempt } from './websocket-attempt.ts'

/** The listener has held its client to limits of its own; this text is ours. */
const OWN_LIMITS: HeadLimits = {
  headersBytes: Number.POSITIVE_INFINITY,
  headerCount: Number.POSITIVE_INFINITY,
  targetBytes: Number.POSITIVE_INFINITY,
}

/**
 * A request that asks for a WebSocket on its way through an upstream: answered as any other, unless the app
 * switches.
 */
export class WebSocketRequest extends Forwarding {
  readonly #exchange: Exchange
  readonly #key: string
  readonly #env: ThreadEnv

  /** `key`: what the app has to answer (`websocketKey`). `rest`: as for every request. */
  constructor(key: string, env: ThreadEnv, ...rest: ConstructorParameters<typeof Forwarding>) {
    super(...rest)
    this.#exchange = rest[0]
    this.#key = key
    this.#env = env
  }

  dial(place: PooledPlace, owner: AttemptOwner): void {
    const head = parseRequestHead(this.headText, OWN_LIMITS)
    if (head === undefined || 'refused' in head) {
      place.give()
      const detail = 'a generated request head cannot be parsed'
      return owner.attemptFailed(place.endpoint, this, {
        code: 'INTERNAL',
        kind: 'protocol',
        detail,
        answered: false,
      })
    }
    const question = { exchange: this.#exchange, job: this, head, key: this.#key }
    new WebSocketAttempt(question, place, owner, this.#env)
  }
}
