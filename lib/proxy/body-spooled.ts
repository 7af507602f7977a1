import type { Attempt } from '../../upstreams/job.ts'
import type { Piece } from '../base/extent-chain.ts'
import type { Exchange } from '../http/exchange.ts'
import type { BodySource } from './body-source.ts'
import type { SpoolLog } from './spool-log.ts'
import { SpoolReader, type SpoolSink } from './spool-reader.ts'

/** A body that is here whole: every attempt gets it from its first byte. */
export class SpooledBody implements BodySource, SpoolSink {
  readonly length: number
  readonly repeatable = true
  readonly #exchange: Exchange
  readonly #log: SpoolLog
  #reader: SpoolReader | undefined = undefined
  #attempt: Attempt | undefined = undefined

  constructor(exchange: Exchange, log: SpoolLog) {
    this.#exchange = exchange
    this.#log = log
    this.length = log.end
  }

  copy(): Buffer | undefined {
    if (this.#log.usedFile) return undefined
    const bytes = Buffer.allocUnsafe(this.length)
    for (let at = 0; at < this.length; ) {
      const piece = this.#log.inMemory(at)
      if (piece === undefined) return undefined
      at += piece.bytes.copy(bytes, at, piece.start, piece.end)
    }
    return bytes
  }

  flowTo(attempt: Attempt): void {
    this.#reader?.stop()
    this.#attempt = attempt
    const whole = this.#log.inMemory(0)
    if (whole !== undefined && whole.end - whole.start === this.length) return sendWhole(attempt, whole)
    this.#reader = new SpoolReader(this.#log, this)
    this.#reader.resume()
  }

  drained(): void {
    this.#reader?.resume()
  }

  release(): void {
    this.#reader?.stop()
    this.#reader = undefined
    this.#attempt = undefined
    this.#log.close()
  }

  spoolBytes(bytes: Uint8Array, start: number, end: number): number {
    if (this.#attempt?.sendBody(bytes, start, end) !== true) this.#reader?.pause()
    return end
  }

  spoolTaken(): void {}

  spoolEmpty(): void {
    this.#attempt?.endBody()
  }

  spoolUnreadable(why: string): void {
    this.#exchange.fail('SPOOL_FAILED', why)
  }
}

/** The usual small body: no reader, and one write with the head. */
function sendWhole(attempt: Attempt, { bytes, start, end }: Piece): void {
  if (end > start) attempt.sendBody(bytes, start, end)
  attempt.endBody()
}
