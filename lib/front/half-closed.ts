/**
 * FIN says "I send no more" and also "I am gone"; only a write tells which, by the reset that it draws. So a client to which nothing was written
 * for some time after its FIN counts as gone, and its upstream slot comes free. One that owes us the taking of bytes has drawn no reset: the
 * stream watches whether it takes them.
 */
export class HalfClosed {
  #bytesOut: number

  /** `bytesOut`: what was written until its FIN came. */
  constructor(bytesOut: number) {
    this.#bytesOut = bytesOut
  }

  /** To be asked at the end of each term. */
  isGone(bytesOut: number, allSent: boolean): boolean {
    const written = bytesOut > this.#bytesOut
    this.#bytesOut = bytesOut
    return !written && allSent
  }
}
