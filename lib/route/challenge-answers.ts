import { ACME_CHALLENGE_PATH, type AcmeChallenges } from '../http/acme-challenge.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import { FieldList } from '../http/field-list.ts'
import type { Gate } from '../http/handler.ts'

/** The answer is one small write: there is nothing to stop or to go on with. */
const NOBODY: ExchangeOwner = { answerDrained: () => undefined, clientGone: () => undefined }

/**
 * Answers an ACME server that asks whether a name is ours (RFC 8555 8.3). Comes before routes and redirects,
 * whatever the host. Over https too: a redirect that something in front of us makes is followed by the
 * server, without a look at the certificate.
 */
export class ChallengeAnswers implements Gate {
  readonly #answers: ReadonlyMap<string, string>

  constructor({ http }: AcmeChallenges) {
    this.#answers = new Map(http)
  }

  /**
   * False for one of our challenges, which has then been answered. All else under the path is for routes: an
   * app may have its own.
   */
  admits(exchange: Exchange): boolean {
    if (this.#answers.size === 0) return true
    const { method, path } = exchange.request
    if (!path.startsWith(ACME_CHALLENGE_PATH) || (method !== 'GET' && method !== 'HEAD')) return true
    const answer = this.#answers.get(path.slice(ACME_CHALLENGE_PATH.length))
    if (answer === undefined) return true
    const fields = FieldList.of([
      ['Content-Type', 'application/octet-stream'],
      ['Cache-Control', 'no-store'],
    ])
    exchange.attach(NOBODY)
    exchange.begin({ status: 200, reason: '', fields, length: answer.length })
    exchange.writeText(answer)
    exchange.end()
    return false
  }
}
