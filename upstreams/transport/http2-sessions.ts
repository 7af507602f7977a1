import type { ThreadEnv } from '../../lib/base/thread-env.ts'
import type { UpstreamConfig } from '../../lib/config/model.ts'
import type { SharedConnections } from '../endpoint.ts'
import type { AttemptOwner, Job, PooledEndpoint } from '../job.ts'
import { Http2Attempt } from './http2-attempt.ts'
import { Http2Session } from './http2-session.ts'
import type { SessionSet, StreamAttempt } from './http2-stream-attempt.ts'

/** Makes the attempt as a stream of a connection that others may share. */
export function attemptHttp2(
  endpoint: PooledEndpoint,
  owner: AttemptOwner,
  env: ThreadEnv,
  job: Job,
  keepalive: UpstreamConfig['keepalive'],
): void {
  const known = endpoint.shared instanceof Http2Sessions ? endpoint.shared : undefined
  const sessions = known ?? new Http2Sessions(endpoint, env)
  endpoint.shared = sessions
  sessions.keepalive = keepalive
  sessions.place(new Http2Attempt(endpoint, owner, env, job))
}

/** The HTTP/2 connections of one thread to one endpoint: one, and another when that is full. */
export class Http2Sessions implements SharedConnections, SessionSet<Http2Session> {
  keepalive: UpstreamConfig['keepalive'] = { idleMs: undefined, max: 0 }
  readonly #endpoint: PooledEndpoint
  readonly #env: ThreadEnv
  readonly #all = new Set<Http2Session>()
  #retired = false

  constructor(endpoint: PooledEndpoint, env: ThreadEnv) {
    this.#endpoint = endpoint
    this.#env = env
  }

  /** Connections on which nothing runs. */
  get resting(): number {
    let count = 0
    for (const session of this.#all) if (session.resting) count += 1
    return count
  }

  /** Gives the attempt a connection, now or when there is one. */
  place(attempt: StreamAttempt<Http2Session>): void {
    for (const session of this.#all) {
      if (attempt.isUpload ? !session.isUnused : !session.hasRoom) continue
      this.#endpoint.countReuse()
      return session.take(attempt)
    }
    if (!this.#env.descriptors.takeFor(attempt.siblings)) return attempt.hasNoConnection()
    const session = new Http2Session(this.#endpoint, this.#env, attempt.connectMs, this)
    this.#all.add(session)
    session.take(attempt)
    if (this.#retired) session.leave()
  }

  /** The connection has closed. */
  forget(session: Http2Session): void {
    this.#all.delete(session)
  }

  closeResting(): boolean {
    for (const session of this.#all) {
      if (!session.resting) continue
      session.leave()
      return true
    }
    return false
  }

  retire(): void {
    this.#retired = true
    for (const session of [...this.#all]) session.leave()
  }
}
