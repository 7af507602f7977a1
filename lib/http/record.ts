import type { EndCause } from '../base/errors.ts'

/**
 * What becomes of an exchange, gathered on the way for one access line and the metrics. Times are
 * milliseconds on the process clock (`Clock.now`); undefined until they happen.
 */
export class ExchangeRecord {
  /** Unique in this process's life; sent on as X-Request-Id and shown on error pages. */
  requestId: string
  /** First byte of the request seen. */
  readonly startMs: number
  route: string | undefined = undefined
  /** Address after `trusted_proxies` was applied. */
  clientIp = ''
  /** Scheme the client used, after `trusted_proxies`. */
  scheme: 'http' | 'https' = 'http'
  status = 0
  end: EndCause = 'ok'
  /** For the log: what exactly went wrong. */
  detail: string | undefined = undefined
  /** Bytes from and to the client, heads included. */
  bytesIn = 0
  bytesOut = 0
  upstream: string | undefined = undefined
  /** The endpoint that the client's cookie names, where clients stay with theirs. */
  boundTo: string | undefined = undefined
  endpoint: string | undefined = undefined
  attempts = 0
  /**
   * Milliseconds that the request's body took to come, before a slot was asked for; 0 if it is passed on as
   * it comes.
   */
  bodyMs = 0
  /** Milliseconds spent waiting for a slot. */
  queueMs = 0
  /** When the client may ask again, seconds; undefined: as the route says. */
  retryAfterSeconds: number | undefined = undefined
  /** Milliseconds spent connecting, in all attempts; 0 on a pooled connection. */
  connectMs = 0
  /** When the last attempt began, when its request was written out, when its answer's head and end came. */
  attemptAtMs: number | undefined = undefined
  sentAtMs: number | undefined = undefined
  firstByteAtMs: number | undefined = undefined
  upstreamEndAtMs: number | undefined = undefined

  constructor(requestId: string, startMs: number) {
    this.requestId = requestId
    this.startMs = startMs
  }
}
