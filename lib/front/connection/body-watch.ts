import type { ErrorCode } from '../../base/errors.ts'
import type { Deadline } from '../../base/timers.ts'
import { isConversation } from '../../http/conversation.ts'
import type { RequestHead } from '../../http/message.ts'
import { ByteRate } from './byte-rate.ts'
import type { ConnectionHost } from './connection-host.ts'
import type { BodyState } from './request-body.ts'

/** An exchange whose body is watched, whatever it came by. */
export interface WatchedExchange {
  readonly body: WatchedBody
  readonly request: RequestHead
  /** Its answer has begun. */
  readonly answered: boolean
  fail(code: ErrorCode, detail: string): void
}

export interface WatchedBody {
  readonly state: BodyState
  readonly failure: { readonly code: ErrorCode; readonly detail: string } | undefined
  /** Somebody else ends the exchange if it is a conversation and nothing moves in it. */
  readonly silenceWatched?: boolean
}

/** Of a request without one. */
export const NO_BODY: WatchedBody = { state: 'done', failure: undefined }

/**
 * Holds one client to its request bodies: well-framed, within the limit and, where they are uploads, never
 * silent for too long and not too slow on average.
 */
export class BodyWatch {
  readonly #host: ConnectionHost
  readonly #deadline: Deadline
  /** undefined while the client owes us nothing. */
  #rate: ByteRate | undefined = undefined

  /** `deadline` is armed for silence; it then calls `silent`. */
  constructor(host: ConnectionHost, deadline: Deadline) {
    this.#host = host
    this.#deadline = deadline
  }

  /** So many bytes have just been taken, 0 when the body has only been asked for. */
  arrived(exchange: WatchedExchange, bytes: number): void {
    const { env, config } = this.#host
    if (mayBeSilent(exchange)) this.#rate = undefined
    else if (exchange.body.state === 'flowing') {
      this.#rate ??= new ByteRate(env.clock)
      this.#rate.add(bytes)
      env.timers.arm(this.#deadline, config.timeouts.bodyMs)
    }
    this.#judge(exchange)
  }

  silent(exchange: WatchedExchange | undefined): void {
    if (exchange?.body.state === 'flowing' && !mayBeSilent(exchange))
      exchange.fail('CLIENT_TIMEOUT', 'body-silence')
  }

  #judge(exchange: WatchedExchange): void {
    const { body } = exchange
    const { bodyMs, minRateBytes } = this.#host.config.timeouts
    if (body.failure !== undefined) exchange.fail(body.failure.code, body.failure.detail)
    // While the upstream is slow the client owes us nothing.
    else if (body.state === 'done' || body.state === 'paused') this.#rate = undefined
    else if (this.#rate?.isBelow(minRateBytes, bodyMs) === true) exchange.fail('CLIENT_TIMEOUT', 'body-rate')
  }
}

/** The client of an upload owes it; in a conversation nobody owes anything. */
function mayBeSilent({ body, request, answered }: WatchedExchange): boolean {
  return body.silenceWatched === true && isConversation(request, answered)
}
