import type { ByteStream } from '../../base/byte-stream.ts'

/** Whether one client takes what waits for it, from look to look. */
export class Taking {
  readonly #stream: ByteStream
  #takenBytes = 0

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  /** True: bytes wait, and it has taken none since it was last asked about. */
  hasStalled(): boolean {
    const { allSent, taken } = this.#stream
    const tookNone = taken === this.#takenBytes
    this.#takenBytes = taken
    return tookNone && !allSent
  }
}
