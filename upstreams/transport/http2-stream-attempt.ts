import type { ErrorCode } from '../../lib/base/errors.ts'
import type { UpstreamConfig } from '../../lib/config/model.ts'
import type { AttemptFailure } from '../job.ts'

/** One request as its connection, a Session, sees it. */
export interface StreamAttempt<Session> {
  readonly connectMs: number
  /** Requests that its client's connection runs now, this one included. */
  readonly siblings: number
  /** Its body is so large that it gets a connection to itself. */
  readonly isUpload: boolean
  /** There is no descriptor for one. */
  hasNoConnection(): void
  /** It is to be told when the connection is there, or lost. */
  waitsFor(session: Session): void
  /** The connection was made for it, in so long. */
  connected(tookMs: number): void
  /** False if the connection takes no request any more. */
  begin(session: Session): boolean
  /**
   * Its connection has closed before it took it, and it looks for another; false if that has been often
   * enough.
   */
  mayMove(): boolean
  notConnected(code: ErrorCode, kind: AttemptFailure['kind'], detail: string): void
}

/** All connections of a thread to the endpoint. */
export interface SessionSet<Session> {
  readonly keepalive: UpstreamConfig['keepalive']
  /** Those on which nothing runs. */
  readonly resting: number
  /** Gives the attempt another connection. */
  place(attempt: StreamAttempt<Session>): void
  /** The connection has closed. */
  forget(session: Session): void
}
