import type { FieldList } from './field-list.ts'

/** How a body ends: there is none, after a known length, with a last chunk, or with the connection. */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

/** A request head that passed every rule of RFC 9110 and 9112 we hold; whatever protocol it came by. */
export interface RequestHead {
  readonly method: string
  /** Origin form, as sent: starts with `/`; or `*` for OPTIONS. An absolute form was cut to its path. */
  readonly target: string
  /** The target before the `?`, still percent-encoded. */
  readonly path: string
  /** The target behind the `?`; undefined without one. */
  readonly query: string | undefined
  /**
   * Host with its port exactly as the client named it (for the app); '' only from an HTTP/1.0 client without
   * Host.
   */
  readonly host: string
  /** Lower-case host without port or final dot (for routing). */
  readonly hostname: string
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'
  readonly fields: FieldList
  readonly framing: 'none' | 'length' | 'chunked'
  /** Bytes of the body; 0 unless framing is `length`. */
  readonly contentLength: number
  /** Lower-case names listed in Connection; undefined for the usual `close`, `keep-alive` or none. */
  readonly connectionNamed: ReadonlySet<string> | undefined
  readonly keepAlive: boolean
  readonly expectsContinue: boolean
  /** Bytes that the head took on the wire. */
  readonly size: number
}

/** An upstream's final or interim response head, as read from the wire. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  readonly minor: 0 | 1
  readonly fields: FieldList
  /**
   * Of the body that follows on this connection, with the request's method taken into account (RFC 9112 6.3).
   */
  readonly framing: Framing
  readonly contentLength: number
  /**
   * Content-Length as the field says it, also where no body follows (HEAD, 304); undefined without the field.
   */
  readonly declaredLength: number | undefined
  readonly connectionNamed: ReadonlySet<string> | undefined
  readonly keepAlive: boolean
  readonly size: number
}

/**
 * An answer as a handler gives it to the client's connection, which adds framing, Connection, and Date where
 * missing.
 */
export interface AnswerHead {
  readonly status: number
  /** '' for the standard phrase of the status. */
  readonly reason: string
  /**
   * What does not travel on is already dropped; has no Content-Length, Transfer-Encoding or Connection left.
   */
  readonly fields: FieldList
  /**
   * Bytes of the body that `write` will bring (or, for HEAD and 304, would have brought); undefined if not
   * known.
   */
  readonly length: number | undefined
}
