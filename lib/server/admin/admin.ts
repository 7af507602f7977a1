import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { ServerLog } from '../../base/server-log.ts'
import type { Address, AdminConfig } from '../../config/model.ts'
import type { ReloadResult } from '../rollout/reloads.ts'
import { AddressTaken, bindErrorText, claimAddress } from '../shared/address-claim.ts'
import { AdminConnections } from './admin-connections.ts'
import { refuseAdmin } from './admin-guard.ts'
import { isUpstreamPath, readUpstreamRequest, type UpstreamRequest } from './upstream-request.ts'
import type { VerbAnswer } from './verbs.ts'

/** What the admin listener shows. Everything is asked for at the moment of the request. */
export interface AdminPages {
  ready(): boolean
  metrics(): Promise<{ readonly type: string; readonly text: string }>
  status(): object
  config(): object
  page(): { readonly html: string; readonly styleHash: string }
  reload(): Promise<ReloadResult>
  upstreams(request: UpstreamRequest): Promise<VerbAnswer>
}

interface Page {
  readonly method: 'GET' | 'POST'
  /** Needs no token: says only yes or no. */
  readonly open: boolean
  /** What machines ask for again and again: answered whatever else goes on here. */
  readonly kept: boolean
  answer(response: ServerResponse): Promise<void> | void
}

/** Programs take the first, browsers the second: they ask for a name and a password. */
const CHALLENGES = ['Bearer', 'Basic realm="Causeway", charset="UTF-8"']

/** Bytes of a request's head and time for it: this listener serves operators, not the world. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 5000,
}

/**
 * The admin listener: state for machines and people, and the reload. Runs in the control thread, on
 * node:http.
 */
export class Admin {
  readonly #server: Server
  readonly #pages: ReadonlyMap<string, Page>
  readonly #upstreams: AdminPages['upstreams']
  readonly #log: ServerLog
  readonly #connections: AdminConnections
  #address: Address
  #token: string | undefined

  /** `places`: connections that may be open at a time. */
  constructor(config: AdminConfig, pages: AdminPages, log: ServerLog, places: number) {
    this.#address = config.address
    this.#token = config.token
    this.#log = log
    this.#pages = pageTable(pages)
    this.#upstreams = request => pages.upstreams(request)
    this.#server = createServer({ ...LIMITS, connectionsCheckingInterval: 5000 }, (request, response) => {
      this.#serve(request, response).catch(error => this.#broken(response, error))
    })
    this.#connections = new AdminConnections(places)
    this.#connections.follow(this.#server)
  }

  /** Where it listens; with the real port once it does. */
  get address(): Address {
    return this.#address
  }

  /** Rejects with a message that names the address when it cannot be had. */
  async listen(): Promise<void> {
    const address = this.#address
    if (address.kind === 'unix') await claimSocket(address)
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', error => reject(new Error(`admin: ${bindErrorText(address, error)}`)))
      if (address.kind === 'unix') this.#server.listen(address.path, resolve)
      else this.#server.listen(address.port, address.host, resolve)
    })
    this.#server.on('error', error => this.#log.error({ err: error }, 'admin listener failed'))
    const bound = this.#server.address()
    if (address.kind === 'tcp' && bound !== null && typeof bound === 'object') {
      this.#address = { ...address, port: bound.port }
    }
  }

  /** A reload brought another token. */
  setToken(token: string | undefined): void {
    this.#token = token
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // What a client sends along is read and thrown away: a POST needs no body.
    request.resume()
    response.on('error', () => {})
    const target = request.url ?? ''
    const path = target.split('?', 1)[0] ?? ''
    const page = this.#pages.get(path)
    const { host, authorization, origin } = request.headers
    const fetchSite = request.headers['sec-fetch-site']?.toString()
    const asks = { method: request.method, host, authorization, origin, fetchSite, open: page?.open ?? false }
    const refusal = refuseAdmin(asks, this.#address, this.#token)
    if (refusal?.status === 401) response.setHeader('WWW-Authenticate', CHALLENGES)
    if (refusal !== undefined) return sendJson(response, refusal.status, { error: refusal.message })
    if (page?.kept !== true && !this.#connections.hasRoomForPage) return sendBusy(response)
    if (isUpstreamPath(path)) return this.#serveUpstreams(request.method ?? '', target, response)
    if (page === undefined)
      return sendJson(response, 404, { error: 'no such page', pages: [...this.#pages.keys(), '/upstreams'] })
    const method = request.method === 'HEAD' ? 'GET' : request.method
    if (method !== page.method) {
      response.setHeader('Allow', page.method === 'GET' ? 'GET, HEAD' : page.method)
      return sendJson(response, 405, { error: `use ${page.method}` })
    }
    await page.answer(response)
  }

  async #serveUpstreams(method: string, target: string, response: ServerResponse): Promise<void> {
    const asked = readUpstreamRequest(method, target)
    if ('error' in asked) {
      const { status, error, allow } = asked
      if (allow !== undefined) response.setHeader('Allow', allow)
      return sendJson(response, status, { error })
    }
    const { status, body } = await this.#upstreams(asked)
    sendJson(response, status, body)
  }

  #broken(response: ServerResponse, error: unknown): void {
    this.#log.error({ err: error }, 'admin page failed')
    if (response.headersSent) response.destroy()
    else sendJson(response, 500, { error: 'internal error' })
  }
}

async function claimSocket(address: Address): Promise<void> {
  try {
    await claimAddress(address, new Set())
  } catch (error) {
    throw error instanceof AddressTaken ? new Error(`admin: ${error.message}`, { cause: error }) : error
  }
}

function pageTable(pages: AdminPages): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ['/', get(response => sendPage(response, pages.page()))],
    ['/healthz', open(response => sendText(response, 200, 'ok\n'))],
    ['/readyz', open(response => sendReady(response, pages.ready()))],
    ['/metrics', { ...get(async response => sendMetrics(response, await pages.metrics())), kept: true }],
    ['/status', get(response => sendJson(response, 200, pages.status()))],
    ['/config', get(response => sendJson(response, 200, pages.config()))],
    [
      '/reload',
      {
        method: 'POST',
        open: false,
        kept: false,
        answer: async response => sendReload(response, await pages.reload()),
      },
    ],
  ])
}

function get(answer: Page['answer']): Page {
  return { method: 'GET', open: false, kept: false, answer }
}

function open(answer: Page['answer']): Page {
  return { method: 'GET', open: true, kept: true, answer }
}

function sendBusy(response: ServerResponse): void {
  response.setHeader('Retry-After', '1')
  sendJson(response, 503, { error: 'too many concurrent requests' })
}

function sendReady(response: ServerResponse, ready: boolean): void {
  sendText(response, ready ? 200 : 503, ready ? 'ready\n' : 'not ready\n')
}

function sendMetrics(response: ServerResponse, { type, text }: { type: string; text: string }): void {
  send(response, 200, type, text)
}

function sendReload(response: ServerResponse, result: ReloadResult): void {
  // 422: the request was right, the configuration is not.
  sendJson(response, result.ok ? 200 : 422, result)
}

function sendPage(response: ServerResponse, { html, styleHash }: { html: string; styleHash: string }): void {
  response.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src '${styleHash}'; frame-ancestors 'none'`,
  )
  send(response, 200, 'text/html; charset=utf-8', html)
}

function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', text)
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body, undefined, 2)}\n`)
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.statusCode = status
  response.setHeader('Content-Type', type)
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.end(text)
}
