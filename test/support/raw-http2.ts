import { createServer, type Server, type Socket } from 'node:net'
import { until } from './until.ts'

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 } as const
export const END_STREAM = 1
export const END_HEADERS = 4
const ACK = 1
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** A frame as it came. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** One connection of `RawHttp2Server`. */
export class RawHttp2Line {
  readonly frames: Frame[] = []
  readonly socket: Socket
  closed = false
  /** Answers pings; switched off for an endpoint that is gone without a word. */
  alive = true
  #rest: Buffer = Buffer.alloc(0)
  #prefaced = false

  constructor(socket: Socket, settings: Buffer) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
    })
    this.send(FRAME.settings, 0, 0, settings)
  }

  send(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    this.socket.write(Buffer.concat([head, payload]))
  }

  /** A field block as it is given, whatever may stand in one. */
  fields(stream: number, pairs: readonly (readonly [string, string])[], flags = 0): void {
    this.send(FRAME.headers, END_HEADERS | flags, stream, block(pairs))
  }

  data(stream: number, text: string, flags = 0): void {
    this.send(FRAME.data, flags, stream, Buffer.from(text, 'latin1'))
  }

  reset(stream: number, code: number): void {
    this.send(FRAME.reset, 0, stream, word(code))
  }

  goaway(lastStream: number, code = 0): void {
    this.send(FRAME.goaway, 0, 0, Buffer.concat([word(lastStream), word(code)]))
  }

  /** Frames of one type. */
  of(type: number): Frame[] {
    return this.frames.filter(frame => frame.type === type)
  }

  /** The stream of the n-th request, once it is there. */
  async request(n = 1): Promise<number> {
    return until(`request ${n}`, () => this.of(FRAME.headers)[n - 1]?.stream)
  }

  take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (!this.#prefaced) {
      if (this.#rest.length < PREFACE.length) return
      this.#prefaced = true
      this.#rest = this.#rest.subarray(PREFACE.length)
    }
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) return
      const [type, flags] = [this.#rest[3] as number, this.#rest[4] as number]
      const frame = { type, flags, stream: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(9, end) }
      this.#rest = this.#rest.subarray(end)
      this.#heard(frame)
    }
  }

  #heard(frame: Frame): void {
    if ((frame.flags & ACK) === 0 && this.alive) {
      if (frame.type === FRAME.settings) this.send(FRAME.settings, ACK, 0)
      if (frame.type === FRAME.ping) this.send(FRAME.ping, ACK, 0, frame.payload)
    }
    this.frames.push(frame)
  }
}

/** An HTTP/2 endpoint of raw frames, without TLS: says what no library would let it say. */
export class RawHttp2Server {
  readonly lines: RawHttp2Line[] = []
  readonly #server: Server

  static async start(
    t: { teardown(end: () => void): void },
    settings: readonly (readonly [id: number, value: number])[] = [],
  ): Promise<RawHttp2Server> {
    const server = new RawHttp2Server(settings)
    await new Promise<void>(done => server.#server.listen(0, '127.0.0.1', done))
    t.teardown(() => {
      for (const { socket } of server.lines) socket.destroy()
      server.#server.close()
    })
    return server
  }

  private constructor(settings: readonly (readonly [id: number, value: number])[]) {
    const payload = Buffer.concat(
      settings.map(([id, value]) => Buffer.from([id >> 8, id & 255, ...word(value)])),
    )
    this.#server = createServer(socket => {
      const line = new RawHttp2Line(socket, payload)
      this.lines.push(line)
      socket.on('data', bytes => line.take(bytes))
    })
  }

  get port(): number {
    const address = this.#server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  async line(n = 1): Promise<RawHttp2Line> {
    return until(`connection ${n}`, () => this.lines[n - 1])
  }
}

/** RFC 7541 6.2.2 with literal names and no Huffman coding. */
function block(pairs: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]))
}

/** RFC 7541 5.2, for lengths of which a prefix of 7 bits and one more byte know. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length >= 127 + 128) throw new Error('too long for this encoder')
  const length = bytes.length < 127 ? [bytes.length] : [127, bytes.length - 127]
  return Buffer.concat([Buffer.from(length), bytes])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
