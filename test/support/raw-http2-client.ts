import { connect, type Socket } from 'node:net'
import { requestBlock, statusOf } from './http2-fields.ts'
import {
  CODES,
  FLAG,
  type Frame,
  FrameReader,
  headers,
  PREFACE,
  ping,
  SETTING,
  settings,
  settingsAck,
  TYPE,
} from './http2-frames.ts'
import { until, within } from './until.ts'

/** What lies unsent here at most: a flood goes on when the peer has taken some of it. */
const UNSENT_BYTES = 256 * 1024

/** An HTTP/2 client made of a raw socket: sends exactly what it is told, and acknowledges what it must. */
export class RawHttp2Client {
  readonly socket: Socket
  /** How the peer ended the connection; undefined while it is open. */
  ended: 'fin' | 'reset' | undefined = undefined
  /** The name of the GOAWAY's code: the last one that is an error, or else `NO_ERROR`. */
  goaway: string | undefined = undefined
  /** Frames that came, by type. */
  readonly seen = new Map<number, number>()
  /** Bytes of DATA that came. */
  dataBytes = 0
  /** Told of each DATA frame. */
  onData: (stream: number, payload: Buffer) => void = () => {}
  readonly #reader = new FrameReader()
  readonly #statuses = new Map<number, number>()
  readonly #resets = new Map<number, string>()
  #nextStream = 1

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', bytes => this.#arrived(bytes))
    socket.on('end', () => this.#finish('fin'))
    socket.on('error', () => this.#finish('reset'))
    socket.on('close', () => this.#finish('reset'))
  }

  /** Connects with prior knowledge (RFC 9113 3.3) and waits for the peer's SETTINGS; `pairs` go into ours. */
  static async connect(
    port: number,
    pairs: readonly (readonly [id: number, value: number])[] = [],
  ): Promise<RawHttp2Client> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const client = new RawHttp2Client(socket)
    await within(
      () => `a connection to port ${port}`,
      new Promise<void>((done, failed) => socket.once('connect', done).once('error', failed)),
    )
    client.send(PREFACE, settings([SETTING.headerTableSize, 0], [SETTING.enablePush, 0], ...pairs))
    await until('the SETTINGS of the server', () => client.seen.has(TYPE.settings) || client.ended)
    return client
  }

  /** The number for one more stream. */
  stream(): number {
    const stream = this.#nextStream
    this.#nextStream += 2
    return stream
  }

  send(...frames: readonly Uint8Array[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(frames))
  }

  /** Sends a GET and gives its stream. */
  get(path: string, ...more: readonly Uint8Array[]): number {
    const stream = this.stream()
    this.send(headers(stream, requestBlock('GET', path, ...more), FLAG.endHeaders | FLAG.endStream))
    return stream
  }

  /** The status that a stream was answered with; undefined while there is none. */
  status(stream: number): number | undefined {
    return this.#statuses.get(stream)
  }

  /** The code by which the peer has reset a stream. */
  resetOf(stream: number): string | undefined {
    return this.#resets.get(stream)
  }

  /** Streams that the peer has reset. */
  get resets(): number {
    return this.#resets.size
  }

  /** The status of a GET of its own. Throws when there is none in time. */
  async ask(path: string): Promise<number> {
    const stream = this.get(path)
    const gone = () => this.ended !== undefined || this.resetOf(stream) !== undefined
    await until(`an answer to ${path}`, () => this.status(stream) !== undefined || gone())
    const status = this.status(stream)
    if (status === undefined) throw new Error(`no answer to ${path}: ${this.outcome}`)
    return status
  }

  /** Resolves once the kernel has room for more, or the connection has ended. */
  async untilRoom(patienceMs?: number): Promise<void> {
    await until(
      'the server to take what was sent',
      () => this.socket.writableLength < UNSENT_BYTES || this.ended,
      patienceMs,
    )
  }

  /** Stops reading: the peer's answers pile up in the kernel, then with the peer. */
  stall(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** What has become of the connection, in words. */
  get outcome(): string {
    const resets = new Set(this.#resets.values())
    const how = this.ended ?? 'open'
    return `${how}, GOAWAY ${this.goaway ?? 'none'}, ${this.resets} streams reset (${[...resets].join(', ')})`
  }

  #arrived(bytes: Buffer): void {
    for (const frame of this.#reader.push(bytes)) this.#take(frame)
  }

  #take({ type, flags, stream, payload }: Frame): void {
    this.seen.set(type, (this.seen.get(type) ?? 0) + 1)
    const acked = (flags & FLAG.ack) !== 0
    if (type === TYPE.settings && !acked) this.send(settingsAck)
    if (type === TYPE.ping && !acked) this.send(ping(FLAG.ack))
    if (type === TYPE.data) {
      this.dataBytes += payload.length
      this.onData(stream, payload)
    }
    if (type === TYPE.headers) this.#answered(stream, payload)
    if (type === TYPE.rstStream) this.#resets.set(stream, codeOf(payload.readUInt32BE(0)))
    if (type === TYPE.goaway) {
      const code = codeOf(payload.readUInt32BE(4))
      if (this.goaway === undefined || code !== 'NO_ERROR') this.goaway = code
    }
  }

  #answered(stream: number, block: Buffer): void {
    const status = statusOf(block)
    if (status !== undefined && status >= 200 && !this.#statuses.has(stream)) {
      this.#statuses.set(stream, status)
    }
  }

  #finish(how: 'fin' | 'reset'): void {
    this.ended ??= how
  }
}

const codeOf = (code: number) => CODES[code] ?? `code ${code}`
