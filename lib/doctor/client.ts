import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { Outcome } from './answer.ts'

/** What to ask. */
export interface Question {
  readonly url: string
  /** Path of a unix socket to ask at, in place of the URL's host. */
  readonly socket?: string | undefined
  readonly fields?: Readonly<Record<string, string>>
  /** A form's text: makes it a POST. */
  readonly form?: string
}

/** Longest time that one answer may take. */
const TIMEOUT_MS = 15_000
const MAX_TEXT_BYTES = 1024 * 1024
const CERTIFICATE =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA)/

/**
 * Asks a site, one question at a time, over as few connections as it allows. A certificate that is not valid
 * is noted once and not looked at again, so that the other checks still say something.
 */
export class Client {
  readonly #plain = new PlainAgent({ keepAlive: true, maxSockets: 1 })
  readonly #tls = new TlsAgent({ keepAlive: true, maxSockets: 1 })
  #certificateProblem: string | undefined

  /** What is wrong with the site's certificate. */
  get certificateProblem(): string | undefined {
    return this.#certificateProblem
  }

  async ask(question: Question): Promise<Outcome> {
    const outcome = await this.#once(question)
    if (outcome.kind === 'answer') return outcome
    if (CERTIFICATE.test(outcome.code) && this.#certificateProblem === undefined) {
      this.#certificateProblem = outcome.reason
      return this.#once(question)
    }
    // An idle connection may have been closed in the moment in which we used it (RFC 9112 9.3.1).
    return outcome.code === 'ECONNRESET' && question.form === undefined ? this.#once(question) : outcome
  }

  close(): void {
    this.#plain.destroy()
    this.#tls.destroy()
  }

  #once({ url, socket, fields, form }: Question): Promise<Outcome> {
    const { protocol, hostname, port, pathname, search } = new URL(url)
    const host = hostname.replace(/^\[|\]$/g, '')
    const options = {
      ...(socket === undefined ? { host, port } : { socketPath: socket }),
      method: form === undefined ? 'GET' : 'POST',
      path: pathname + search,
      headers: headersFor(fields, form),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }
    const tls = { agent: this.#tls, rejectUnauthorized: this.#certificateProblem === undefined }
    return new Promise(resolve => {
      const asked =
        protocol === 'https:'
          ? tlsRequest({ ...options, ...tls, servername: isIP(host) === 0 ? host : '' })
          : plainRequest({ ...options, agent: this.#plain })
      record(asked, url, resolve)
      asked.end(form)
    })
  }
}

function headersFor(fields: Question['fields'], form: string | undefined): Record<string, string | number> {
  const type = 'application/x-www-form-urlencoded'
  const own = { 'user-agent': 'causeway-doctor', accept: 'text/html, */*;q=0.8' }
  const body = form === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(form) }
  return { ...own, ...body, ...fields }
}

function record(asked: ClientRequest, url: string, done: (outcome: Outcome) => void): void {
  const failed = (error: NodeJS.ErrnoException) => done(failure(url, error))
  asked.on('error', failed)
  asked.on('response', (answer: IncomingMessage) => {
    const { remoteAddress = '', remotePort = 0 } = answer.socket
    const pieces: Buffer[] = []
    let bytes = 0
    answer.on('data', (piece: Buffer) => {
      if (bytes < MAX_TEXT_BYTES) pieces.push(piece)
      bytes += piece.length
    })
    answer.on('error', failed)
    answer.on('end', () =>
      done({
        kind: 'answer',
        url,
        status: answer.statusCode ?? 0,
        fields: answer.headersDistinct as Record<string, readonly string[]>,
        text: Buffer.concat(pieces).toString('utf8', 0, MAX_TEXT_BYTES),
        reused: asked.reusedSocket,
        peer: remoteAddress.includes(':')
          ? `[${remoteAddress}]:${remotePort}`
          : `${remoteAddress}:${remotePort}`,
      }),
    )
  })
}

function failure(url: string, { name, code = '', message }: NodeJS.ErrnoException): Outcome {
  const late = name === 'AbortError' || name === 'TimeoutError'
  const reason = late ? `no response within ${TIMEOUT_MS / 1000} s` : message || code
  return { kind: 'failure', url, code: late ? 'ETIMEDOUT' : code, reason }
}
