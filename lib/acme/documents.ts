import { jsonOf } from './caller.ts'
import { AcmeProblem } from './problem.ts'

/** An order as the server tells of it (RFC 8555 7.1.3). */
export interface Order {
  readonly url: string
  readonly status: string
  readonly authorizations: readonly string[]
  readonly finalize: string
  readonly certificate: string | undefined
  /** A problem document, where it has gone wrong. */
  readonly error: unknown
}

/** That an account may have a certificate for a name, or how it can prove it (RFC 8555 7.1.4). */
export interface Authorization {
  readonly url: string
  readonly status: string
  readonly name: string
  readonly challenges: readonly Challenge[]
}

/** One way to prove it (RFC 8555 7.1.5). */
export interface Challenge {
  readonly type: string
  readonly url: string
  readonly token: string
  readonly error: unknown
}

type Fields = Readonly<Record<string, unknown>>

/** The order at `url`; throws AcmeProblem if the text is none. */
export function readOrder(url: string, text: string): Order {
  const { status, authorizations, finalize, certificate, error } = fieldsOf(text)
  if (typeof status !== 'string' || typeof finalize !== 'string' || !Array.isArray(authorizations))
    throw senseless('order')
  return {
    url,
    status,
    finalize,
    authorizations: authorizations.map(String),
    certificate: typeof certificate === 'string' ? certificate : undefined,
    error,
  }
}

/** The authorization at `url`; throws AcmeProblem if the text is none. */
export function readAuthorization(url: string, text: string): Authorization {
  const { status, identifier, challenges } = fieldsOf(text)
  const { value } = (identifier ?? {}) as Fields
  if (typeof status !== 'string' || typeof value !== 'string' || !Array.isArray(challenges))
    throw senseless('authorization')
  return { url, status, name: value, challenges: challenges.flatMap(readChallenge) }
}

/** The status of an account; throws AcmeProblem if the text does not tell it (RFC 8555 7.1.2). */
export function readAccountStatus(text: string): string {
  const { status } = fieldsOf(text)
  if (typeof status !== 'string') throw senseless('account')
  return status
}

/** Challenges without a token are of a kind that we do not answer. */
function readChallenge(value: unknown): Challenge[] {
  const { type, url, token, error } = (value ?? {}) as Fields
  if (typeof type !== 'string' || typeof url !== 'string' || typeof token !== 'string') return []
  return [{ type, url, token, error }]
}

function fieldsOf(text: string): Fields {
  const json = jsonOf(text)
  return typeof json === 'object' && json !== null ? (json as Fields) : {}
}

function senseless(what: string): AcmeProblem {
  return new AcmeProblem(`the server sent an invalid ${what}`, { kind: 'badDocument', occasion: 'request' })
}
