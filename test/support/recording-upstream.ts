import { createServer, type Server, type Socket } from 'node:net'
import { type StrictHead, StrictRequestParser } from './strict-request.ts'
import { PATIENCE_MS, until } from './until.ts'

/** What the app does with a request; called as soon as its head has arrived. */
export type Script = (line: UpstreamLine, request: RecordedRequest) => void | Promise<void>

/** A request as it reached the app. */
export class RecordedRequest {
  readonly head: StrictHead
  /** Number of the connection it came on, from 1. */
  readonly connection: number
  readonly #pieces: Buffer[] = []
  readonly #end = Promise.withResolvers<void>()
  bodyBytes = 0
  complete = false

  constructor(head: StrictHead, connection: number) {
    this.head = head
    this.connection = connection
  }

  get method(): string {
    return this.head.method
  }

  get target(): string {
    return this.head.target
  }

  get body(): Buffer {
    return Buffer.concat(this.#pieces)
  }

  /** Value of a field by its lower-case name; undefined without it. */
  field(name: string): string | undefined {
    return this.head.fields.find(([n]) => n.toLowerCase() === name)?.[1]
  }

  /** Lower-case names of all fields. */
  get names(): string[] {
    return this.head.fields.map(([n]) => n.toLowerCase())
  }

  add(bytes: Buffer): void {
    this.#pieces.push(bytes)
    this.bodyBytes += bytes.length
  }

  finish(): void {
    this.complete = true
    this.#end.resolve()
  }

  /** Resolves when the whole body has arrived; never, if it never does. */
  whole(): Promise<void> {
    return this.#end.promise
  }
}

/** One connection to the app, for scripts. */
export class UpstreamLine {
  readonly number: number
  readonly socket: Socket
  closed = false

  constructor(socket: Socket, number: number) {
    this.socket = socket
    this.number = number
  }

  send(bytes: string | Uint8Array): void {
    if (!this.socket.writable) return
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** FIN behind what was sent. */
  end(): void {
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  async untilClosed(): Promise<void> {
    await until('the proxy to close its upstream connection', () => this.closed)
  }
}

/**
 * An app server made of a raw socket: records every request after a strict reading, and answers by script. A
 * request's script is chosen by its path; without one it is answered 200.
 */
export class RecordingUpstream {
  readonly requests: RecordedRequest[] = []
  /** Whatever was not in canonical form, with its bytes. Every test ends by looking that this is empty. */
  readonly dirty: string[] = []
  /** Connections taken so far. */
  connections = 0
  /**
   * Most that were open at a time. Looked at when all that one turn of the event loop has brought is known:
   * ends may come behind newcomers.
   */
  mostOpen = 0
  #unended = 0
  readonly #scripts = new Map<string, Script>()
  readonly #lines = new Set<UpstreamLine>()
  #server: Server | undefined
  readonly #host: string
  #port: number

  /** On 127.0.0.1 and a free port, unless `at` says otherwise. */
  static async start(
    t: { teardown(end: () => Promise<void>): void },
    at: { readonly host?: string; readonly port?: number } = {},
  ): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream(at.host, at.port)
    await upstream.listen()
    t.teardown(() => upstream.stop())
    return upstream
  }

  constructor(host = '127.0.0.1', port = 0) {
    this.#host = host
    this.#port = port
  }

  get port(): number {
    return this.#port
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#lines.size
  }

  /** Bytes that the proxy's side has taken on the connections that are open now. */
  get bytesSent(): number {
    return this.sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0)
  }

  /** Their sockets. */
  get sockets(): Socket[] {
    return [...this.#lines].map(line => line.socket)
  }

  /** Sets what requests for this path get (whatever their query). */
  on(path: string, script: Script): void {
    this.#scripts.set(path, script)
  }

  /** Listens, again on the same port after `stop`. */
  async listen(): Promise<void> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => this.#accept(socket))
    this.#server = server
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen(this.#port, this.#host, () => done())
    })
    const address = server.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  /** From now on connects are refused; what is open is cut. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise<void>(done => server.close(() => done()))
    for (const line of this.#lines) line.socket.destroy()
    await closed
  }

  /** Requests for this path so far. */
  seen(path: string): RecordedRequest[] {
    return this.requests.filter(request => pathOf(request.target) === path)
  }

  /** Waits for the next request of this path, or takes the first one there is. */
  async arrival(path: string, patienceMs = PATIENCE_MS): Promise<RecordedRequest> {
    return until(`a request for ${path} at the app`, () => this.seen(path)[0], patienceMs)
  }

  #accept(socket: Socket): void {
    this.connections += 1
    const line = new UpstreamLine(socket, this.connections)
    this.#lines.add(line)
    this.#countOpen(socket)
    const parser = new StrictRequestParser(this.#sinkOf(line))
    socket.on('data', bytes => parser.push(bytes))
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      line.closed = true
      this.#lines.delete(line)
    })
  }

  #countOpen(socket: Socket): void {
    this.#unended += 1
    setImmediate(() => {
      this.mostOpen = Math.max(this.mostOpen, this.#unended)
    })
    let over = false
    const end = () => {
      if (!over) this.#unended -= 1
      over = true
    }
    socket.once('end', end).once('close', end)
  }

  #sinkOf(line: UpstreamLine) {
    let current: RecordedRequest | undefined
    return {
      head: (head: StrictHead) => {
        if (current?.complete === false) this.dirty.push(`pipelined: ${head.raw}`)
        current = new RecordedRequest(head, line.number)
        this.requests.push(current)
        this.#run(line, current)
      },
      body: (bytes: Buffer) => current?.add(bytes),
      end: () => current?.finish(),
      dirty: (reason: string, raw: string) => this.dirty.push(`${reason}: ${JSON.stringify(raw)}`),
    }
  }

  #run(line: UpstreamLine, request: RecordedRequest): void {
    const script = this.#scripts.get(pathOf(request.target)) ?? ok()
    Promise.resolve(script(line, request)).catch((error: unknown) => {
      // A script whose body never came: its request was cut, which is what the test is about.
      if (!line.closed) this.dirty.push(`script of ${request.target}: ${String(error)}`)
    })
  }
}

/** 200 with this body and its length, once the whole request has arrived. */
export function ok(body = 'ok\n', fields = ''): Script {
  return raw(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${fields}\r\n${body}`)
}

/** These very bytes, once the whole request has arrived. */
export function raw(bytes: string): Script {
  return async (line, request) => {
    await request.whole()
    line.send(bytes)
  }
}

/** These very bytes, then the end of the connection. */
export function rawThenClose(bytes: string): Script {
  return async (line, request) => {
    await request.whole()
    line.send(bytes)
    line.end()
  }
}

/** No answer, ever. */
export const never: Script = () => undefined

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
