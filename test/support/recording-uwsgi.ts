import { createServer, type Server, type Socket } from 'node:net'
import { readPacket } from './strict-packet.ts'
import { until } from './until.ts'

/** What the app does with a request; called when its packet has arrived. */
export type UwsgiScript = (line: UwsgiLine) => void | Promise<void>

/** One connection to the app, and its only request. */
export class UwsgiLine {
  readonly socket: Socket
  variables: ReadonlyMap<string, string> = new Map()
  body: Buffer = Buffer.alloc(0)
  /** The body has all of its bytes. */
  whole = false
  /** The proxy has closed its side of the connection. */
  ended = false
  closed = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  send(text: string): void {
    if (this.socket.writable) this.socket.write(text, 'latin1')
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Sends and closes, as uWSGI does behind each answer. */
  finish(text: string): void {
    if (this.socket.writable) this.socket.end(text, 'latin1')
  }
}

/** An app server for the uwsgi protocol made of a raw socket: reads strictly, and answers by script. */
export class RecordingUwsgi {
  readonly lines: UwsgiLine[] = []
  /** What no careful front sends: broken packets, bytes behind a request. */
  readonly dirty: string[] = []
  script: UwsgiScript = line => line.finish('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  port = 0
  readonly #server: Server

  constructor() {
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket))
  }

  static async start(t: { teardown(end: () => Promise<void>): void }): Promise<RecordingUwsgi> {
    const app = new RecordingUwsgi()
    await app.#listen()
    t.teardown(() => app.stop())
    return app
  }

  /** The request number `index`, when it is there. */
  async line(index: number): Promise<UwsgiLine> {
    return until(
      `request ${index} at the app`,
      () => this.lines.filter(line => line.variables.size > 0)[index],
    )
  }

  async stop(): Promise<void> {
    for (const { socket } of this.lines) socket.destroy()
    await new Promise<void>(done => this.#server.close(() => done()))
  }

  async #listen(): Promise<void> {
    await new Promise<void>(done => this.#server.listen(0, '127.0.0.1', () => done()))
    const address = this.#server.address()
    if (address !== null && typeof address === 'object') this.port = address.port
  }

  #accept(socket: Socket): void {
    const line = new UwsgiLine(socket)
    let bytes: Buffer = Buffer.alloc(0)
    this.lines.push(line)
    socket.on('data', more => {
      bytes = Buffer.concat([bytes, more])
      this.#read(line, bytes)
    })
    socket.on('error', () => undefined)
    socket.on('end', () => {
      line.ended = true
    })
    socket.on('close', () => {
      line.closed = true
    })
  }

  #read(line: UwsgiLine, bytes: Buffer): void {
    try {
      const packet = readPacket(bytes)
      if (packet === undefined) return
      const first = line.variables.size === 0
      const length = Number(packet.variables.get('CONTENT_LENGTH') ?? 0)
      line.variables = packet.variables
      line.body = bytes.subarray(packet.size)
      line.whole = line.body.length === length
      if (line.body.length > length) this.dirty.push(`${line.body.length - length} bytes behind the request`)
      if (first) Promise.resolve(this.script(line)).catch((error: unknown) => this.dirty.push(String(error)))
    } catch (error) {
      this.dirty.push(String(error))
    }
  }
}
