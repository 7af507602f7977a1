import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { ResponseReader } from './strict-response.ts'
import { PATIENCE_MS, until, within } from './until.ts'

/** An answer as the client saw it, byte by byte. */
export interface RawResponse {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** How its end was told. */
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  /** False where the connection ended before the body did. */
  readonly complete: boolean
  /** Interim answers that came before it. */
  readonly interim: readonly RawResponse[]
}

/** A client made of a raw socket: sends exactly what it is told, reads strictly. */
export class RawClient {
  readonly socket: Socket
  /** How the server ended the connection; undefined while it is open. */
  ended: 'fin' | 'reset' | undefined = undefined
  readonly #all: Buffer[] = []
  /** What no answer has taken yet: [#start, #end) of this, which grows by doubling. */
  #gathered: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  receivedBytes = 0
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', bytes => this.#arrived(bytes))
    socket.on('end', () => this.#finish('fin'))
    socket.on('error', () => this.#finish('reset'))
    socket.on('close', () => this.#finish('reset'))
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true })
    await within(
      () => `a connection to port ${port}`,
      new Promise<void>((done, failed) => socket.once('connect', done).once('error', failed)),
    )
    return new RawClient(socket)
  }

  /** The same over TLS: connected once the handshake is done; rejects with what TLS says. */
  static async connectTls(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
    const way: ConnectionOptions & { readonly allowHalfOpen: true } = {
      port,
      host: '127.0.0.1',
      allowHalfOpen: true,
      ...options,
    }
    const socket = connectTls(way)
    await within(
      () => `a TLS connection to port ${port}`,
      new Promise<void>((done, failed) => socket.once('secureConnect', done).once('error', failed)),
    )
    return new RawClient(socket)
  }

  /** Everything received so far. */
  get received(): string {
    return Buffer.concat(this.#all).toString('latin1')
  }

  /** Bytes that the other side's kernel has taken. */
  get sentBytes(): number {
    return this.socket.bytesWritten - this.socket.writableLength
  }

  /** latin1 text: one character a byte. */
  send(bytes: string | Uint8Array): void {
    if (!this.socket.writable) return
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** The same bytes in writes of `size`, each in its own turn of the event loop. */
  async sendInPieces(text: string, size = 1): Promise<void> {
    for (let at = 0; at < text.length; at += size) {
      this.send(text.slice(at, at + size))
      await new Promise(setImmediate)
    }
  }

  halfClose(): void {
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Stops reading: the peer's writes pile up in the kernel. */
  stall(): void {
    this.socket.pause()
  }

  /** The next whole answer, with the interim ones before it. `method` decides whether a body follows. */
  async response(method = 'GET', patienceMs = PATIENCE_MS): Promise<RawResponse> {
    const interim: RawResponse[] = []
    for (;;) {
      const answer = await this.#next(method, patienceMs)
      if (answer.status >= 200 || answer.status === 101) return { ...answer, interim }
      interim.push(answer)
    }
  }

  /** Resolves when the server has ended the connection; gives everything received. */
  async untilEnded(): Promise<string> {
    await until('the proxy to close the connection', () => this.ended)
    this.socket.destroy()
    return this.received
  }

  /** Waits until this text has come. */
  async untilReceived(text: string): Promise<void> {
    await until(`the bytes ${JSON.stringify(text)}`, () => this.received.includes(text) || this.ended)
  }

  async #next(method: string, patienceMs: number): Promise<RawResponse> {
    const reader = new ResponseReader(method)
    return within(
      () => `an answer; so far ${JSON.stringify(this.#rest.toString('latin1', 0, 300))}`,
      (async () => {
        for (;;) {
          const answer = reader.read(this.#rest, this.ended !== undefined)
          if (answer !== undefined) {
            this.#start += reader.used
            return { ...answer, interim: [] }
          }
          if (this.ended !== undefined) throw new Error(`connection ended (${this.ended}) without an answer`)
          await new Promise<void>(wake => {
            this.#wake = wake
          })
        }
      })(),
      patienceMs,
    )
  }

  get #rest(): Buffer {
    return this.#gathered.subarray(this.#start, this.#end)
  }

  /** Answers keep views of what was gathered before, so nothing there is ever overwritten. */
  #gather(bytes: Buffer): void {
    if (this.#end + bytes.length > this.#gathered.length) {
      const rest = this.#rest
      this.#gathered = Buffer.alloc(2 * (rest.length + bytes.length))
      rest.copy(this.#gathered)
      this.#start = 0
      this.#end = rest.length
    }
    bytes.copy(this.#gathered, this.#end)
    this.#end += bytes.length
  }

  #arrived(bytes: Buffer): void {
    this.#all.push(bytes)
    this.receivedBytes += bytes.length
    this.#gather(bytes)
    this.#wake?.()
  }

  #finish(how: 'fin' | 'reset'): void {
    this.ended ??= how
    this.#wake?.()
  }
}

/** The value of a field by its lower-case name. */
export function fieldOf(answer: RawResponse, name: string): string | undefined {
  return answer.fields.find(([n]) => n.toLowerCase() === name)?.[1]
}

/** One request on its own connection; gives its answer. The connection is dropped. */
export async function ask(port: number, request: string, method = methodOf(request)): Promise<RawResponse> {
  const client = await RawClient.connect(port)
  try {
    client.send(request)
    return await client.response(method)
  } finally {
    client.destroy()
  }
}

/** Sends bytes and waits for the server to close; gives the answers that came before. */
export async function askUntilEnded(port: number, request: string): Promise<RawResponse[]> {
  const client = await RawClient.connect(port)
  client.send(request)
  await client.untilEnded()
  const answers: RawResponse[] = []
  let at = 0
  const all = Buffer.from(client.received, 'latin1')
  while (at < all.length) {
    const reader = new ResponseReader(methodOf(request))
    const answer = reader.read(all.subarray(at), true)
    if (answer === undefined) throw new Error(`not an answer: ${JSON.stringify(all.toString('latin1', at))}`)
    answers.push({ ...answer, interim: [] })
    at += reader.used
  }
  return answers
}

/** A GET with nothing unusual in it. */
export function get(target: string, fields = ''): string {
  return `GET ${target} HTTP/1.1\r\nHost: example.test\r\n${fields}\r\n`
}

/** A POST with its length. */
export function post(target: string, body: string, fields = ''): string {
  return `POST ${target} HTTP/1.1\r\nHost: example.test\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`
}

function methodOf(request: string): string {
  return request.slice(0, Math.max(0, request.indexOf(' ')))
}
