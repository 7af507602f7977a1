import type { ServerKind } from '../lib/config/model.ts'
import { FIELD } from '../lib/http/field-ids.ts'
import type { FieldList } from '../lib/http/field-list.ts'

/**
 * Milliseconds that a connection may wait in the pool, below the time after which each server closes it:
 * gunicorn 2 s, uvicorn and hypercorn 5 s, daphne 60 s; uWSGI closes at once. An unknown server is taken for
 * the most impatient.
 */
const USUAL_MS: Readonly<Record<ServerKind, number>> = {
  auto: 1500,
  uwsgi: 0,
  gunicorn: 1500,
  uvicorn: 4000,
  hypercorn: 4000,
  daphne: 50_000,
}

/**
 * What the Server field of each begins with. `uvicorn` may be gunicorn's UvicornWorker as well, which closes
 * after gunicorn's 2 s.
 */
const SERVER_WORDS: readonly (readonly [word: string, idleMs: number])[] = [
  ['gunicorn', USUAL_MS.gunicorn],
  ['uvicorn', USUAL_MS.gunicorn],
  ['hypercorn', USUAL_MS.hypercorn],
  ['daphne', USUAL_MS.daphne],
]

/** Share of a promised or observed time after which we let go first. */
const SHARE = 0.8
/** An observed limit doubles in this time, so that a mistake or an old setting is forgotten. */
const DOUBLES_IN_MS = 30_000
/** Closes within this time are one event: an app that restarts closes all connections, whatever their age. */
const ONE_EVENT_MS = 1000
/** Below this, one tick of the timers, a connection is not worth keeping. */
const LEAST_MS = 50

/**
 * For how long a connection to one endpoint may wait for its next request, as long as the configuration does
 * not say it.
 */
export class KeepaliveLimit {
  /**
   * It keeps connections at all. uWSGI's http-socket closes each behind its answer without having said so, a
   * moment too late.
   */
  #keeps = false
  #kind: ServerKind = 'auto'
  #usualMs = USUAL_MS.auto
  /** The Server field that was seen last. */
  #server: string | undefined = undefined
  /** What closes have taught, and when; it counts for less as time goes by. */
  #learnedMs = Number.POSITIVE_INFINITY
  #learnedAtMs = 0
  /** A close that came too early, alone so far. */
  #suspectMs: number | undefined = undefined
  #suspectAtMs = 0

  /** What the configuration says of the server. */
  set kind(kind: ServerKind) {
    if (kind === this.#kind) return
    this.#kind = kind
    this.#usualMs = USUAL_MS[kind]
    this.#server = undefined
    this.#keeps = kind !== 'auto' && kind !== 'uwsgi'
  }

  /** The fields of an answer, which name the server if the configuration does not. */
  recognise(fields: FieldList): void {
    if (this.#kind !== 'auto') return
    const server = fields.first(FIELD.server)
    if (server === this.#server) return
    this.#server = server
    this.#usualMs = idleOf(server?.toLowerCase() ?? '')
  }

  /** Milliseconds; 0: not at all. `promisedMs`: what the app itself says in Keep-Alive. */
  restMs(promisedMs: number | undefined, nowMs: number): number {
    const expectedMs = promisedMs === undefined ? this.#usualMs : promisedMs * SHARE
    const limitMs = Math.min(expectedMs, this.#stillLearned(nowMs))
    return limitMs < LEAST_MS ? 0 : limitMs
  }

  /**
   * The app has closed a connection that had waited for `agedMs`, before we did. One such event may be a
   * restart; a second at about the same age is its limit. One that never kept a connection, and closes at
   * once, is believed the first time.
   */
  closedEarly(agedMs: number, nowMs: number): void {
    const kept = this.#keeps
    const suspectMs = this.#suspectMs
    const atOnce = agedMs < LEAST_MS
    if (atOnce) this.#keeps = false
    if (suspectMs !== undefined && nowMs - this.#suspectAtMs < ONE_EVENT_MS) return
    this.#suspectMs = agedMs
    this.#suspectAtMs = nowMs
    if (atOnce && !kept) this.#learn(agedMs, nowMs)
    else if (suspectMs !== undefined && isAlike(suspectMs, agedMs))
      this.#learn(Math.min(suspectMs, agedMs), nowMs)
  }

  /** The app has left a connection alone for as long as we wanted to keep it. */
  survived(agedMs: number): void {
    this.#keeps = true
    if (this.#suspectMs !== undefined && agedMs > this.#suspectMs) this.#suspectMs = undefined
  }

  /** A used connection has carried another answer. */
  kept(): void {
    this.#keeps = true
  }

  #learn(agedMs: number, nowMs: number): void {
    const learnedMs = Math.max(1, agedMs * SHARE)
    if (learnedMs >= this.#stillLearned(nowMs)) return
    this.#learnedMs = learnedMs
    this.#learnedAtMs = nowMs
  }

  #stillLearned(nowMs: number): number {
    if (this.#learnedMs === Number.POSITIVE_INFINITY) return this.#learnedMs
    return this.#learnedMs * 2 ** ((nowMs - this.#learnedAtMs) / DOUBLES_IN_MS)
  }
}

function idleOf(server: string): number {
  const known = SERVER_WORDS.find(([word]) => server.startsWith(word))
  return known?.[1] ?? USUAL_MS.auto
}

function isAlike(one: number, other: number): boolean {
  const [less, more] = one < other ? [one, other] : [other, one]
  return more <= 2 * Math.max(less, LEAST_MS)
}
