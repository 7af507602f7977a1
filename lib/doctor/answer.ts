/** An answer as it was recorded. */
export interface Answer {
  readonly kind: 'answer'
  /** What was asked for, with its scheme and port. */
  readonly url: string
  readonly status: number
  /** By lower-case name, in the order in which they came. */
  readonly fields: Readonly<Record<string, readonly string[]>>
  /** At most the first MiB of the body. */
  readonly text: string
  /** Came over a connection that an earlier answer had used. */
  readonly reused: boolean
  /** Address of the other side, such as `192.0.2.1:443`. */
  readonly peer: string
}

/** No answer came. */
export interface Failure {
  readonly kind: 'failure'
  readonly url: string
  /** Node's code, such as `ECONNREFUSED`. */
  readonly code: string
  readonly reason: string
}

export type Outcome = Answer | Failure

/** The field's first value. */
export function fieldOf(answer: Answer, name: string): string | undefined {
  return answer.fields[name]?.[0]
}

/** True for the redirects that a browser follows (RFC 9110 15.4). */
export function isRedirect(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && [301, 302, 303, 307, 308].includes(outcome.status)
}

/**
 * Where a redirect leads, as an absolute URL; undefined for any other answer, and for a Location that is no
 * URL.
 */
export function targetOf(outcome: Outcome): string | undefined {
  if (outcome.kind === 'failure' || !isRedirect(outcome)) return undefined
  const location = fieldOf(outcome, 'location')
  if (location === undefined || !URL.canParse(location, outcome.url)) return undefined
  return new URL(location, outcome.url).href
}

/**
 * True if `to` is another site than `from`, which we were not asked to look at. `www.` in front makes no
 * other site.
 */
export function leadsAway(from: string, to: string): boolean {
  const [a, b] = [new URL(from), new URL(to)]
  const name = ({ hostname }: URL) => hostname.replace(/^www\./, '')
  return !/^https?:$/.test(b.protocol) || name(a) !== name(b)
}

/** True for an answer whose media type is HTML. */
export function isHtml(answer: Answer): boolean {
  return /^(?:text\/html|application\/xhtml\+xml)\b/i.test(fieldOf(answer, 'content-type') ?? '')
}
