import type t from 'tap'
import type { Test } from 'tap'
import type { Exchange, ExchangeOwner, KeptAnswer } from '../../lib/http/exchange.ts'
import { FieldList } from '../../lib/http/field-list.ts'

export type Tap = Pick<typeof t, 'test'>

/** A request of the bench's client. */
export interface Asked {
  /** GET if there is no body, POST if there is one. */
  readonly method?: string
  readonly body?: string
  /** The body is sent without its length. */
  readonly unknownLength?: boolean
}

/** What the client has seen of an answer. */
export interface Seen {
  readonly status: number
  /** Lower-case names. */
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
  /** False: the client can tell that something is missing. */
  readonly whole: boolean
}

/** One implementation of Exchange with a client on the other side. */
export interface ExchangeBench {
  /**
   * Sends a request and lets `act` answer; resolves when the client has an answer, or knows that it gets
   * none.
   */
  ask(t: Test, asked: Asked, act: (exchange: Exchange) => void): Promise<Seen>
  /** Sends a request and leaves when `act` has run; resolves when the exchange has ended. */
  leave(t: Test, act: (exchange: Exchange) => void): Promise<void>
}

/** What an implementation does not have: it stands for less than a protocol. */
export interface Lacks {
  /** It has no body to receive. */
  readonly requestBodies?: boolean
  /**
   * It keeps what handlers answer and not what a client sees: lengths, pages and policies are the fronts'.
   */
  readonly wire?: boolean
}

export class Owner implements ExchangeOwner {
  gone = 0
  drained = 0

  answerDrained(): void {
    this.drained += 1
  }

  clientGone(): void {
    this.gone += 1
  }
}

export const NONE = FieldList.of([])
export const ONE = FieldList.of([['X-One', '1']])

export const head = (length: number | undefined, status = 200, fields = ONE) => ({
  status,
  reason: '',
  fields,
  length,
})
export const kept = (text: string): KeptAnswer => {
  const body = Buffer.from(text)
  return { head: head(body.length), body, rendering: undefined, http2Rendering: undefined }
}
export const bytes = Buffer.from('0123456789')

/** Answers with what `act` does, `owner` attached before. */
export function owned(owner: Owner, act: (exchange: Exchange) => void): (exchange: Exchange) => void {
  return exchange => {
    exchange.attach(owner)
    act(exchange)
  }
}
