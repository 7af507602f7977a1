import { Agent, type ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyServer } from 'http-proxy-3'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { HeadLimits } from '../wire/refusal.ts'
import { parseResponseHead } from '../wire/response-head.ts'
import type { WebSocketLeg } from './websocket-leg.ts'

// The one place where http-proxy-3 is used. It sends the request, waits for the switch, and joins app and
// client; whom to connect to, what the request says and what reaches the client is ours.

/** As for every other answer of an app. */
const RESPONSE_LIMITS: HeadLimits = { headersBytes: 64 * 1024, headerCount: 256, targetBytes: 8 * 1024 }
const NO_BYTES = Buffer.alloc(0)

/** What an app does with a request to switch. */
export interface WebSocketListener {
  informed(head: ResponseHead): void
  /** It does not switch: an ordinary answer, whose body is now read by whoever listens to it. */
  answered(head: ResponseHead, body: IncomingMessage): void
  /** It breaks HTTP. */
  bad(detail: string): void
}

interface Opening {
  readonly target: string
  readonly listener: WebSocketListener
}

const openings = new WeakMap<Duplex, Opening>()
const library = new ProxyServer({ xfwd: false, changeOrigin: false, ignorePath: true })
// Each WebSocket hears of its errors by itself; without a listener here the library would throw them.
library.on('error', () => {})
library.on('proxyReqWs', (request, _message, socket) => watch(request, socket))

/**
 * Asks the app at the other end of `socket`, which may still be connecting, to switch to WebSocket, and joins
 * it with `leg` once it has. `request` is the head as the app is to see it, without Connection and Upgrade.
 * The end of `socket` is the caller's to watch.
 */
export function openWebSocket(
  leg: WebSocketLeg,
  request: RequestHead,
  socket: Socket,
  listener: WebSocketListener,
): void {
  const message = new IncomingMessage(socket)
  message.method = request.method
  message.url = '/'
  message.httpVersion = '1.1'
  message.httpVersionMajor = 1
  message.headers = headersOf(request)
  openings.set(leg, { target: request.target, listener })
  const options = {
    // Not looked at: the agent has the connection.
    target: { host: 'endpoint', port: 80, protocol: 'http:' },
    agent: new OneSocketAgent(socket),
    // The name misleads: all of this goes to http.request.
    ssl: { maxHeaderSize: RESPONSE_LIMITS.headersBytes },
  }
  library.ws(message, leg, NO_BYTES, options, error => {
    if ('code' in error && String(error.code).startsWith('HPE_')) listener.bad(error.message)
  })
}

/** A head that the library hands on, in our words and by our rules; text says what is wrong with it. */
export function readSwitch(bytes: Buffer): ResponseHead | string {
  return readHead(bytes.toString('latin1'))
}

/** Has one connection to give, made already. */
class OneSocketAgent extends Agent {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
  }

  override createConnection(): Socket {
    return this.#socket
  }
}

/** Runs before the request is written, and before the library listens to it. */
function watch(request: ClientRequest, leg: Duplex): void {
  const opening = openings.get(leg)
  if (opening === undefined) return
  const { target, listener } = opening
  // The library would read the target as a URL and resolve its dots.
  request.path = target
  request.on('information', answer => {
    const head = headOf(answer)
    if (typeof head === 'string') listener.bad(head)
    else listener.informed(head)
  })
  request.once('response', answer => {
    // For the library the client has gone: it would write the answer unchecked and without back-pressure.
    leg.destroy()
    const head = headOf(answer)
    if (typeof head === 'string') listener.bad(head)
    else if (head.status === 101) listener.bad('101 without Connection: Upgrade')
    else listener.answered(head, answer)
  })
}

/** Names in the client's own writing; the library and Node look for these two in lower case. */
function headersOf({ fields }: RequestHead): Record<string, string | string[]> {
  const byName = new Map<string, { readonly name: string; readonly values: string[] }>()
  for (let i = 0; i < fields.count; i += 1) {
    const name = fields.name(i)
    const known = byName.get(name.toLowerCase())
    if (known === undefined) byName.set(name.toLowerCase(), { name, values: [fields.value(i)] })
    else known.values.push(fields.value(i))
  }
  const headers: Record<string, string | string[]> = {}
  for (const { name, values } of byName.values())
    headers[name] = values.length === 1 ? (values[0] as string) : values
  return { ...headers, connection: 'Upgrade', upgrade: 'websocket' }
}

/** What Node says of an answer. */
interface RawAnswer {
  readonly httpVersion: string
  readonly statusCode?: number | undefined
  readonly statusMessage?: string | undefined
  readonly rawHeaders: readonly string[]
}

function headOf({ httpVersion, statusCode, statusMessage, rawHeaders }: RawAnswer): ResponseHead | string {
  let text = `HTTP/${httpVersion} ${statusCode} ${statusMessage}\r\n`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return readHead(`${text}\r\n`)
}

function readHead(text: string): ResponseHead | string {
  const head = parseResponseHead(text, 'GET', RESPONSE_LIMITS)
  if (head === undefined) return 'incomplete head'
  return 'refused' in head ? head.detail : head
}
