import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { ErrorCode } from '../lib/base/errors.ts'
import type { BodyReader, ClientWebSocket } from '../lib/http/exchange.ts'
import type { FieldList } from '../lib/http/field-list.ts'
import { acceptOf } from '../lib/http/websocket.ts'
import { TunnelAttempt } from '../lib/proxy/tunnel-attempt.ts'
import { WebSocketAttempt } from '../lib/proxy/websocket-attempt.ts'
import { parseRequestHead } from '../lib/wire/request-head.ts'
import type { PooledEndpoint, PooledPlace } from '../upstreams/job.ts'
import { AppConnection } from '../upstreams/transport/app-connection.ts'
import { HTTP1 } from '../upstreams/transport/http1.ts'
import { attemptHttp2 } from '../upstreams/transport/http2-sessions.ts'
import { attemptContract } from './contract/attempt.ts'
import type { AppLine, AttemptBench, ContractJob } from './contract/attempt-bench.ts'
import { Http2App } from './support/http2-app.ts'
import { RecordingExchange } from './support/recording-exchange.ts'
import { startPlain } from './support/tls-app.ts'
import { KEY } from './support/websocket-app.ts'

const HEAD_END = '\r\n\r\n'

/** How an answer begins. */
type HeadOf = (length: number, status: number | undefined) => string

/** An app's side on a connection of its own. */
class SocketLine implements AppLine {
  got = 0
  gone = false
  readonly #socket: Socket
  readonly #headOf: HeadOf
  #text: string | undefined = ''
  /** It ends when it is told to, not when the other side does. */
  #isSlow = false

  constructor(socket: Socket, headOf: HeadOf, serve: (line: AppLine) => void) {
    this.#socket = socket
    this.#headOf = headOf
    socket.on('data', bytes => this.#take(bytes, serve))
    socket.on('end', () => {
      if (!this.#isSlow) socket.end()
    })
    socket.on('close', () => {
      this.gone = true
    })
  }

  inform(): void {
    this.#socket.write('HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n')
  }

  answer(length: number, status?: number): void {
    this.#socket.write(this.#headOf(length, status))
  }

  send(bytes: Buffer): boolean {
    return this.#socket.write(bytes)
  }

  end(): void {
    this.#socket.end()
  }

  cut(): void {
    this.#socket.resetAndDestroy()
  }

  pause(): void {
    this.#isSlow = true
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #take(bytes: Buffer, serve: (line: AppLine) => void): void {
    if (this.#text === undefined) {
      this.got += bytes.length
      return
    }
    this.#text += bytes.toString('latin1')
    const end = this.#text.indexOf(HEAD_END)
    if (end < 0) return
    this.got = this.#text.length - end - HEAD_END.length
    this.#text = undefined
    serve(this)
  }
}

const socketApp =
  (headOf: HeadOf): AttemptBench['app'] =>
  async (t, serve) =>
    startPlain(t, socket => new SocketLine(socket, headOf, serve))

const answerHead = (length: number, status = 200) =>
  `HTTP/1.1 ${status} Said\r\nContent-Length: ${length}\r\n\r\n`

const switchHead = () =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(KEY)}\r\n\r\n`

/** An app's side as a stream of HTTP/2. */
class StreamLine implements AppLine {
  got = 0
  gone = false
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream
    stream.on('data', (bytes: Buffer) => {
      this.got += bytes.length
    })
    stream.on('close', () => {
      this.gone = true
    })
  }

  inform(): void {
    this.#stream.additionalHeaders({ ':status': 103, link: '</style.css>' })
  }

  answer(length: number, status = 200): void {
    this.#stream.respond({ ':status': status, 'content-length': length })
  }

  send(bytes: Buffer): boolean {
    return this.#stream.write(bytes)
  }

  end(): void {
    if (this.#stream.headersSent) this.#stream.end()
    else this.#stream.session?.destroy()
  }

  cut(): void {
    this.#stream.close(2)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }
}

function placeAt(endpoint: PooledEndpoint): PooledPlace {
  const place = endpoint.openPlace(1)
  if (place === undefined) throw new Error('no place')
  return place
}

/** What a client behind a switch does is the job's. */
class SwitchedExchange extends RecordingExchange {
  readonly #job: ContractJob

  constructor(job: ContractJob) {
    super({ target: '/x' })
    this.#job = job
  }

  override upgrade(_protocol: string, _fields: FieldList, reader: BodyReader): ClientWebSocket {
    return {
      write: bytes => this.#job.answerBytes(bytes, 0, bytes.length),
      endOutput: () => reader.bodyEnd(),
      pause: () => {},
      resume: () => {},
    }
  }

  override fail(code: ErrorCode, detail = ''): void {
    this.#job.failed(code, detail)
  }
}

const LIMITS = { headersBytes: 8192, headerCount: 100, targetBytes: 8192 }
const OPENING = `GET /x HTTP/1.1\r\nHost: example.test\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`

const askSwitch: AttemptBench['attempt'] = (endpoint, owner, env, job) => {
  const head = parseRequestHead(OPENING, LIMITS)
  if (head === undefined || 'refused' in head) throw new Error('no head')
  const question = { exchange: new SwitchedExchange(job), job, head, key: KEY }
  new WebSocketAttempt(question, placeAt(endpoint), owner, env)
}

attemptContract(t, 'HTTP/1', {
  protocol: 'http1',
  status: 200,
  tunnels: false,
  informs: true,
  sends: true,
  exchanges: true,
  commits: false,
  app: socketApp(answerHead),
  attempt: (endpoint, owner, env, job) => {
    new AppConnection(placeAt(endpoint), owner, env, job, HTTP1)
  },
})

attemptContract(t, 'HTTP/2', {
  protocol: 'h2c',
  status: 200,
  tunnels: false,
  informs: true,
  sends: true,
  exchanges: true,
  commits: false,
  app: async (t: Test, serve) => {
    const app = new Http2App(createServer(), stream => serve(new StreamLine(stream)))
    return (await app.listen(t)).port
  },
  attempt: (endpoint, owner, env, job) =>
    attemptHttp2(endpoint, owner, env, job, { idleMs: undefined, max: 8 }),
})

attemptContract(t, 'WebSocket, not opened', {
  protocol: 'http1',
  status: 403,
  tunnels: false,
  informs: true,
  sends: false,
  exchanges: false,
  commits: false,
  app: socketApp((length, status = 403) => answerHead(length, status)),
  attempt: askSwitch,
})

attemptContract(t, 'WebSocket, opened', {
  protocol: 'http1',
  status: 101,
  tunnels: true,
  informs: true,
  sends: false,
  exchanges: false,
  commits: false,
  app: socketApp(switchHead),
  attempt: askSwitch,
})

attemptContract(t, 'tunnel', {
  protocol: 'http1',
  status: 200,
  tunnels: true,
  informs: false,
  sends: true,
  exchanges: false,
  commits: true,
  app: socketApp(() => ''),
  attempt: (endpoint, owner, env, job) => {
    job.opening = `hello${HEAD_END}`
    new TunnelAttempt(job, placeAt(endpoint), owner, env)
  },
})
