import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Pebble } from './pebble.ts'

/** A refusal in place of the server's answer. */
export interface Refusal {
  /** Of the request's path. */
  readonly path: RegExp
  readonly status: number
  /** Behind `urn:ietf:params:acme:error:`. */
  readonly kind: string
  readonly detail: string
  readonly retryAfterS?: number
}

/**
 * Stands before Pebble and does what this Pebble does not know: renewal information (RFC 9773), and rate
 * limits.
 */
export class AcmeFront {
  /** What is answered about the renewal of any certificate; undefined: 404. */
  advice: { readonly start: Date; readonly end: Date; readonly explanationURL?: string } | undefined
  /** Runs before a request is passed on. */
  before: ((path: string) => Promise<void>) | undefined
  /** Used up by the next request that it fits. */
  refusal: Refusal | undefined
  /** Certificates that were asked about, and those that orders which were taken said to replace. */
  readonly askedAbout: string[] = []
  readonly replaced: string[] = []
  readonly #server: Server
  readonly #pebble: Pebble
  /** Kept, because the last requests may still be under way when the server is closed. */
  #base = ''

  static async start(t: Pick<Test, 'teardown'>, pebble: Pebble): Promise<AcmeFront> {
    const front = new AcmeFront(pebble)
    await new Promise<void>(done => front.#server.listen(0, '127.0.0.1', done))
    front.#base = `https://localhost:${(front.#server.address() as AddressInfo).port}`
    t.teardown(() => {
      front.#server.close()
      front.#server.closeAllConnections()
    })
    return front
  }

  private constructor(pebble: Pebble) {
    this.#pebble = pebble
    const { certificate: cert, key } = pebble.own
    this.#server = createServer({ cert, key }, (question, answer) => {
      this.#take(question, answer).catch(() => answer.destroy())
    })
  }

  get directory(): string {
    return `${this.#base}/dir`
  }

  async #take(question: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { url = '' } = question
    const body = await textOf(question)
    await this.before?.(url)
    if (this.refusal?.path.test(url) && question.method === 'POST') return this.#refuse(this.refusal, answer)
    if (url.startsWith('/renewal-info/')) return this.#advise(url.slice('/renewal-info/'.length), answer)
    const asked = request(new URL(url, this.#pebble.directory), {
      method: question.method ?? 'GET',
      // Pebble makes its URLs of the Host field.
      headers: question.headers,
      ca: readFileSync(this.#pebble.ca),
      agent: false,
    })
    asked.once('response', from => {
      // Not those that Pebble refuses for their nonce: they come again.
      if (url.startsWith('/order-plz') && from.statusCode === 201) this.#note(body)
      this.#pass(url, from, answer).catch(() => answer.destroy())
    })
    asked.once('error', () => answer.destroy())
    asked.end(body)
  }

  async #pass(url: string, from: IncomingMessage, answer: ServerResponse): Promise<void> {
    const text = await textOf(from)
    const { 'content-length': _, ...headers } = from.headers
    answer.writeHead(from.statusCode ?? 502, headers)
    if (url !== '/dir') return void answer.end(text)
    answer.end(JSON.stringify({ ...JSON.parse(text), renewalInfo: `${this.#base}/renewal-info` }))
  }

  #advise(id: string, answer: ServerResponse): void {
    this.askedAbout.push(id)
    if (this.advice === undefined) return void answer.writeHead(404).end()
    const { explanationURL, ...suggestedWindow } = this.advice
    answer.writeHead(200, { 'Content-Type': 'application/json', 'Retry-After': '7200' })
    answer.end(JSON.stringify({ suggestedWindow, explanationURL }))
  }

  #refuse({ status, kind, detail, retryAfterS }: Refusal, answer: ServerResponse): void {
    this.refusal = undefined
    const wish = retryAfterS === undefined ? {} : { 'Retry-After': String(retryAfterS) }
    answer.writeHead(status, { 'Content-Type': 'application/problem+json', ...wish })
    answer.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${kind}`, detail }))
  }

  #note(body: string): void {
    const { payload } = JSON.parse(body) as { readonly payload: string }
    const { replaces } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      readonly replaces?: string
    }
    if (replaces !== undefined) this.replaced.push(replaces)
  }
}

async function textOf(from: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of from) text += chunk
  return text
}
