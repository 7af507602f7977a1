import type { ExchangeRecord } from '../../http/record.ts'

/**
 * How long a client that has half-closed may go without a byte of answer to write before it counts as gone.
 */
export const HALF_CLOSED_MS = 5000

/**
 * FIN says "I send no more" and also "I am gone"; only a write tells which, by the reset that it draws. So a
 * client to which nothing was written for some time after its FIN counts as gone, and its upstream slot comes
 * free. One that owes us the taking of bytes has drawn no reset: the stream watches whether it takes them.
 */
export class HalfClosed {
  /** Of the exchange that ran at the last look. */
  #record: ExchangeRecord | undefined
  #bytesOut: number

  /** `record`: of the exchange that runs when its FIN comes. */
  constructor(record: ExchangeRecord | undefined) {
    this.#record = record
    this.#bytesOut = record?.bytesOut ?? 0
  }

  /**
   * To be asked at the end of each term. `record`: of the exchange that runs now: what was asked before the
   * FIN is answered one by one.
   */
  isGone(record: ExchangeRecord | undefined, allSent: boolean): boolean {
    const before = record === this.#record ? this.#bytesOut : 0
    this.#record = record
    this.#bytesOut = record?.bytesOut ?? 0
    return this.#bytesOut <= before && allSent
  }
}
