import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { until, within } from './until.ts'

/** An answer as a client of HTTP/2 saw it. */
export interface Http2Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly trailers: Readonly<Record<string, unknown>> | undefined
  /** Statuses of interim answers. */
  readonly interim: readonly number[]
  readonly body: Buffer
  /** Code of the RST_STREAM; 0 for an end as it should be, and for NO_ERROR. */
  readonly reset: number
}

/** One stream under way. */
export class Http2Call {
  readonly stream: ClientHttp2Stream
  readonly answer: Promise<Http2Answer>
  received = 0

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream
    this.answer = this.#read()
  }

  #read(): Promise<Http2Answer> {
    const { stream } = this
    const chunks: Buffer[] = []
    const interim: number[] = []
    let headers: Record<string, string | string[] | undefined> = {}
    let trailers: Record<string, unknown> | undefined
    stream.on('headers', found => interim.push(Number(found[':status'])))
    stream.on('response', found => {
      headers = found as typeof headers
    })
    stream.on('trailers', found => {
      trailers = found as Record<string, unknown>
    })
    stream.on('data', (chunk: Buffer) => {
      this.received += chunk.length
      chunks.push(chunk)
    })
    stream.on('error', () => undefined)
    return within(
      'the end of a stream',
      new Promise(done =>
        stream.once('close', () =>
          done({
            status: Number(headers[':status'] ?? 0),
            headers,
            trailers,
            interim,
            body: Buffer.concat(chunks),
            reset: stream.rstCode,
          }),
        ),
      ),
      20_000,
    )
  }
}

/** A client of HTTP/2 with prior knowledge. */
export class Http2Client {
  readonly session: ClientHttp2Session
  /** Code of the GOAWAY; undefined before one. */
  goaway: number | undefined = undefined
  closed = false

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`)
    this.session.on('goaway', code => {
      this.goaway = code
    })
    this.session.on('error', () => undefined)
    this.session.on('close', () => {
      this.closed = true
    })
  }

  /** Sends a head; with `open`, the body is the caller's to write. */
  call(headers: OutgoingHttpHeaders, open = false): Http2Call {
    return new Http2Call(
      this.session.request({ ':authority': 'example.test', ...headers }, { endStream: !open }),
    )
  }

  async get(path: string, headers: OutgoingHttpHeaders = {}): Promise<Http2Answer> {
    return this.call({ ':path': path, ...headers }).answer
  }

  async post(
    path: string,
    body: Uint8Array | string,
    headers: OutgoingHttpHeaders = {},
  ): Promise<Http2Answer> {
    const call = this.call({ ':method': 'POST', ':path': path, ...headers }, true)
    call.stream.end(body)
    return call.answer
  }

  async untilClosed(): Promise<void> {
    await until('the connection to close', () => this.closed)
  }

  destroy(): void {
    this.session.destroy()
  }
}
