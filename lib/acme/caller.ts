import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import type { Clock } from '../base/clock.ts'
import { AcmeProblem, readProblem, retryAfterMs } from './problem.ts'

export interface CallerOptions {
  /** PEM text of the authority of the issuer's server; undefined: those that Node knows. */
  readonly ca: string | undefined
  readonly clock: Clock
  /** Ends calls that run. */
  readonly signal: AbortSignal
}

export interface Call {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface CallAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** One call, from the look-up of the name to the last byte. */
const CALL_MS = 30_000
/** A chain of certificates has a few thousand bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * Calls to an ACME server, one connection each. Errors come out as AcmeProblem with the server's own words;
 * only badNonce is given back as the answer that it is, for whoever signs again (RFC 8555 6.5).
 */
export class Caller {
  /** The last answer said that a nonce is used up. */
  nonceRefused = false
  /** How long the last answer wants us to wait. */
  retryAfterMs: number | undefined = undefined
  readonly #options: CallerOptions

  constructor(options: CallerOptions) {
    this.#options = options
  }

  async call(call: Call): Promise<CallAnswer> {
    const answer = await this.#exchange(call)
    const problem = answer.status >= 300 ? this.#problemOf(answer, call) : undefined
    this.retryAfterMs = this.#wish(answer)
    this.nonceRefused = problem?.kind === 'badNonce'
    if (problem !== undefined && !this.nonceRefused) throw problem
    return answer
  }

  #wish({ headers }: CallAnswer): number | undefined {
    return retryAfterMs(headers['retry-after'], this.#options.clock.wall())
  }

  #problemOf(answer: CallAnswer, { url }: Call): AcmeProblem {
    const fallback = `${hostOf(url)} responded with status ${answer.status}`
    const facts = { occasion: 'request', retryAfterMs: this.#wish(answer) } as const
    return readProblem(jsonOf(answer.text), fallback, facts)
  }

  async #exchange(call: Call): Promise<CallAnswer> {
    try {
      return await exchange(call, this.#options)
    } catch (error) {
      if (error instanceof AcmeProblem) throw error
      const { code, message } = error as NodeJS.ErrnoException
      const words = this.#options.signal.aborted ? 'ended' : (code ?? message)
      const text = `${hostOf(call.url)} cannot be reached: ${words}`
      throw new AcmeProblem(text, { kind: 'unreachable', occasion: 'request', cause: error })
    }
  }
}

/** URLs come out of the server's answers: they need not be any. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : JSON.stringify(url)
}

/** `undefined` for what is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function exchange({ method, url, headers, body }: Call, { ca, signal }: CallerOptions): Promise<CallAnswer> {
  return new Promise((resolve, reject) => {
    const options = {
      method,
      headers: { ...headers, 'User-Agent': 'causeway', 'Accept-Language': 'en' },
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]),
      ...(ca === undefined ? {} : { ca }),
    } as const
    const asked = request(url, options, answer => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES)
          answer.destroy(new Error(`the response exceeds ${MAX_ANSWER_BYTES} bytes`))
      })
      answer.once('error', reject)
      answer.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text })
      })
    })
    asked.once('error', reject)
    asked.end(body)
  })
}
