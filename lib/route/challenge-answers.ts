import { ACME_CHALLENGE_PATH, type AcmeChallenges } from '../http/acme-challenge.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'

/** The answer is one small write: there is nothing to stop or to go on with. */
const NOBODY: ExchangeOwner = { answerDrained: () => undefined, clientGone: () => undefined }

/**
 * Answers an ACME server that asks whether a name is ours (RFC 8555 8.3). Comes before routes and redirects, whatever the host. Over https
 * too: a redirect that something in front of us makes is followed by the server, without a look at the certificate.
 */
export class ChallengeAnswers {
  readonly #answers: ReadonlyMap<string, string>

  constructor({ http }: AcmeChallenges) {
    this.#answers = new Map(http)
  }

  /** True if it was one of our challenges: then it has been answered. All else under the path is for routes: an app may have its own. */
  take(exchange: Exchange): boolean {
    if (this.#answers.size === 0) return false
    const { method, path } = exchange.request
    if (!path.startsWith(ACME_CHALLENGE_PATH) || (method !== 'GET' && method !== 'HEAD')) return false
    const answer = this.#answers.get(path.slice(ACME_CHALLENGE_PATH.length))
    if (answer === undefined) return false
    const fields = FieldList.of([
      ['Content-Type', 'application/octet-stream'],
      ['Cache-Control', 'no-store'],
    ])
    exchange.attach(NOBODY)
    exchange.begin({ status: 200, reason: '', fields, length: answer.length })
    exchange.writeText(answer)
    exchange.end()
    return true
  }
}
