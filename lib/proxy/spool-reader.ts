import { ReadBuffers } from '../base/read-buffers.ts'
import type { SpoolLog } from './spool-log.ts'

/** Who takes what a reader brings. */
export interface SpoolSink {
  /**
   * Bytes are valid during the call. The position behind the last one that was taken; if that is before the
   * end, the rest waits for `resume`.
   */
  spoolBytes(bytes: Uint8Array, start: number, end: number): number
  /** `at` stands behind what was taken: what is before can be forgotten. */
  spoolTaken(): void
  /** All that there is so far has been brought; for more, `resume`. */
  spoolEmpty(): void
  /** The file cannot be read. Nothing more will come. */
  spoolUnreadable(why: string): void
}

/** More reads of spool files at a time would wait for the disk anyhow. */
const BUFFERS = new ReadBuffers(8)

/**
 * Brings a log's bytes in their order, at the pace of who takes them: from memory at once, from the file one
 * read at a time.
 */
export class SpoolReader {
  readonly #log: SpoolLog
  readonly #sink: SpoolSink
  /** Position of the next byte. */
  #at = 0
  /** idle: waits for `resume`. */
  #state: 'idle' | 'busy' | 'stopped' = 'idle'

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

  /** The sink takes no more until `resume`. */
  pause(): void {
    if (this.#state === 'busy') this.#state = 'idle'
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
    const stop = this.#sink.spoolBytes(bytes, start, end)
    this.#at += stop - start
    this.#sink.spoolTaken()
    if (stop < end) this.pause()
  }

  #readFile(): void {
    BUFFERS.take(buffer => {
      // Who waited for the buffer may have been stopped meanwhile, or its bytes have gone.
      if (this.#state === 'stopped') return BUFFERS.giveBack(buffer)
      this.#log.readFile(this.#at, buffer, (count, error) => {
        this.#read(buffer, count, error)
        BUFFERS.giveBack(buffer)
      })
    })
  }

  #read(buffer: Buffer, count: number, error: Error | undefined): void {
    if (this.#state === 'stopped') return
    if (error !== undefined) {
      this.#state = 'stopped'
      return this.#sink.spoolUnreadable(`server.spool.folder: ${error.message}`)
    }
    this.#give(buffer, 0, count)
    this.#goOn()
  }
}
