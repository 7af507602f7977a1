/** What an error asks for. */
export type Remedy =
  /** The account is not known there any more, or has been closed: a new one. */
  | 'new-account'
  /** Another kind of challenge may go through. */
  | 'other-challenge'
  /** Not before the operator, or the issuer, has changed something: seldom. */
  | 'patience'
  /** The same once more, later. */
  | 'again'

/** What an error was about: a request that the server did not take, or a challenge that it tried. */
export type Occasion = 'account' | 'request' | 'challenge'

export interface ProblemFacts {
  /**
   * `rateLimited` for `urn:ietf:params:acme:error:rateLimited` (RFC 8555 6.7); or one of ours, for what went
   * wrong before an answer.
   */
  readonly kind: string
  readonly occasion: Occasion
  /** As the server wants it: Retry-After. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * Something that stood between us and a certificate. The message is for people. Does not leave this folder.
 */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem'
  readonly kind: string
  readonly occasion: Occasion
  readonly retryAfterMs: number | undefined

  constructor(message: string, { kind, occasion, retryAfterMs, cause }: ProblemFacts) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.occasion = occasion
    this.retryAfterMs = retryAfterMs
  }
}

const PREFIX = 'urn:ietf:params:acme:error:'

/** RFC 8555 6.7: these do not go away by asking again. */
const LASTING = new Set([
  'caa',
  'externalAccountRequired',
  'rejectedIdentifier',
  'unsupportedContact',
  'invalidContact',
  'unsupportedIdentifier',
  'userActionRequired',
])

/**
 * What to do about an error (RFC 8555 6.7). `unauthorized` says of a challenge that its answer was wrong, of
 * any other request that the account is not valid; of a new account, that its binding to one with the issuer
 * is not good.
 */
export function remedyFor({ kind, occasion }: Pick<AcmeProblem, 'kind' | 'occasion'>): Remedy {
  if (LASTING.has(kind)) return 'patience'
  if (occasion === 'account') return kind === 'unauthorized' || kind === 'malformed' ? 'patience' : 'again'
  if (occasion === 'challenge') return 'other-challenge'
  return kind === 'accountDoesNotExist' || kind === 'unauthorized' ? 'new-account' : 'again'
}

/** An error as the server put it (RFC 7807), in an answer or in a challenge. */
export function readProblem(body: unknown, fallback: string, facts: Omit<ProblemFacts, 'kind'>): AcmeProblem {
  const { type, detail } = (typeof body === 'object' && body !== null ? body : {}) as {
    readonly type?: unknown
    readonly detail?: unknown
  }
  const kind = typeof type === 'string' && type.startsWith(PREFIX) ? type.slice(PREFIX.length) : 'unknown'
  const words = typeof detail === 'string' && detail !== '' ? clean(detail) : fallback
  return new AcmeProblem(kind === 'unknown' ? words : `${words} (${kind})`, { kind, ...facts })
}

/** One line, of a length for a log. */
function clean(text: string): string {
  return text
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
    .trim()
    .slice(0, 500)
}

/** RFC 9110 10.2.3: seconds, or a date. Undefined if it is neither, or past. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return ms > 0 ? ms : undefined
}
