import type { SpoolLog } from './spool-log.ts'

/** Who takes what a reader brings. */
export interface SpoolSink {
  /** Bytes are valid during the call. False: wait for `resume`. */
  spoolBytes(bytes: Uint8Array, start: number, end: number): boolean
  /** All that there is so far has been brought; for more, `resume`. */
  spoolEmpty(): void
  /** The file cannot be read. Nothing more will come. */
  spoolUnreadable(why: string): void
}

const CHUNK_BYTES = 64 * 1024
/** Buffers kept for the next read: a reader that waits holds none. */
const MAX_SPARE = 16
const spare: Buffer[] = []

/** Brings a log's bytes in their order, at the pace of who takes them: from memory at once, from the file one read at a time. */
export class SpoolReader {
  readonly #log: SpoolLog
  readonly #sink: SpoolSink
  /** Position of the next byte. */
  #at = 0
  /** idle: waits for `resume`. */
  #state: 'idle' | 'busy' | 'stopped' = 'idle'
  #buffer: Buffer | undefined = undefined

  constructor(log: SpoolLog, sink: SpoolSink) {
    this.#log = log
    this.#sink = sink
  }

  get at(): number {
    return this.#at
  }

  resume(): void {
    if (this.#state !== 'idle') return
    this.#state = 'busy'
    this.#goOn()
  }

  /** The sink is not called again. */
  stop(): void {
    this.#state = 'stopped'
  }

  #goOn(): void {
    while (this.#state === 'busy') {
      if (this.#at === this.#log.end) {
        this.#state = 'idle'
        return this.#sink.spoolEmpty()
      }
      const piece = this.#log.inMemory(this.#at)
      if (piece === undefined) return this.#readFile()
      this.#give(piece.bytes, piece.start, piece.end)
    }
  }

  #give(bytes: Buffer, start: number, end: number): void {
    this.#at += end - start
    if (!this.#sink.spoolBytes(bytes, start, end) && this.#state === 'busy') this.#state = 'idle'
  }

  #readFile(): void {
    this.#buffer = spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.#log.readFile(this.#at, this.#buffer, (count, error) => this.#read(count, error))
  }

  #read(count: number, error: Error | undefined): void {
    const buffer = this.#buffer as Buffer
    this.#buffer = undefined
    if (this.#state === 'stopped') return
    if (error !== undefined) {
      this.#state = 'stopped'
      return this.#sink.spoolUnreadable(`server.spool.folder: ${error.message}`)
    }
    this.#give(buffer, 0, count)
    if (spare.length < MAX_SPARE) spare.push(buffer)
    this.#goOn()
  }
}
