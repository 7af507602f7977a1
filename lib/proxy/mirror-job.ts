import type { Attempt, Job, WaitingLine } from '../../upstreams/job.ts'
import type { Deadline } from '../base/timers.ts'
import type { Exchange } from '../http/exchange.ts'
import type { ResponseHead } from '../http/message.ts'
import { ExchangeRecord } from '../http/record.ts'
import type { PacketRefusal } from '../wire/uwsgi-packet.ts'
import { clientHeader } from './client-header.ts'
import type { Forwarding } from './forwarding.ts'
import { http2Request } from './http2-request.ts'
import type { MirrorResult } from './mirror-measures.ts'
import type { MirrorSite } from './mirror-site.ts'
import { isLive } from './read-ahead.ts'
import { requestText } from './request-text.ts'
import { uwsgiRequest } from './uwsgi-request.ts'

/** An answer that is not over by then is a stream, and nobody listens. */
const MAX_ANSWER_MS = 60_000

/**
 * A copy of a request: one attempt, at once or not at all, and its answer is dropped. The client's leaving
 * does not end it.
 */
export class MirrorJob implements Job, Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly method: string
  readonly idempotent: boolean
  readonly headText: string
  readonly bodyFraming: 'none' | 'length'
  /** So it is never tried again, and never waits for that. */
  readonly repeatable = false
  readonly key: number
  readonly priority = 'low'
  readonly siblings = 1
  readonly wanted = undefined
  readonly record: ExchangeRecord
  tried: Job['tried'] = undefined
  unsent = 0
  readonly #exchange: Exchange
  readonly #body: Buffer | undefined
  readonly #site: MirrorSite
  #attempt: Attempt | undefined = undefined
  #state: 'new' | 'running' | 'over' = 'new'

  /**
   * `job`: the request itself, which has the text but for a mount of the other upstream's own. `body`: a copy
   * that nobody else changes.
   */
  constructor(exchange: Exchange, job: Forwarding, body: Buffer | undefined, key: number, site: MirrorSite) {
    this.#exchange = exchange
    this.#body = body
    this.#site = site
    this.method = job.method
    this.idempotent = job.idempotent
    this.headText =
      site.mount === undefined ? job.headText : `${requestText(exchange, site.mount, body?.length)}\r\n`
    this.bodyFraming = body === undefined ? 'none' : 'length'
    this.key = key
    this.record = new ExchangeRecord(exchange.record.requestId, site.env.clock.now())
  }

  /** Sends it if there is a slot for it now. */
  start(): void {
    const { upstream, traffic, spool } = this.#site
    this.#state = 'running'
    traffic.running += 1
    spool.takeMemory(this.#body?.length ?? 0)
    if (!upstream.current.submitNow(this)) this.#over('dropped')
  }

  uwsgiPacket(): string | PacketRefusal {
    return uwsgiRequest(this.#exchange, this.#site.mount, this.#body?.length)
  }

  http2Fields(scheme: 'http' | 'https'): string[] {
    return http2Request(this.#exchange, this.#site.mount, this.#body?.length, scheme)
  }

  proxyHeader(version: 'v1' | 'v2'): string {
    return clientHeader(this.#exchange.client, version)
  }

  waitsIn(line: WaitingLine | undefined): void {
    if (line === undefined) return
    line.withdraw(this)
    this.#over('dropped')
  }

  attempting(attempt: Attempt): void {
    this.#attempt = attempt
  }

  bodyWanted(): void {
    if (this.#body === undefined) return
    this.#attempt?.sendBody(this.#body, 0, this.#body.length)
    this.#attempt?.endBody()
  }

  sendDrained(): void {}
  informed(): void {}

  answered(head: ResponseHead): void {
    if (isLive(head.fields)) this.#cut()
    else this.#site.env.timers.arm(this, MAX_ANSWER_MS)
  }

  answerBytes(): boolean {
    return true
  }

  answerFlush(): void {}

  answerEnd(): void {
    this.#over('ok')
  }

  failed(): void {
    this.#over('failed')
  }

  expired(): void {
    this.#cut()
  }

  #cut(): void {
    const attempt = this.#attempt
    this.#over('ok')
    attempt?.cancel()
  }

  #over(result: MirrorResult): void {
    if (this.#state !== 'running') return
    this.#state = 'over'
    this.#attempt = undefined
    const { env, traffic, spool, count } = this.#site
    env.timers.disarm(this)
    traffic.running -= 1
    spool.giveMemory(this.#body?.length ?? 0)
    count(this.#exchange.client.listener, result)
  }
}
