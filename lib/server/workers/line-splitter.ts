/** Bytes of one line that are kept; the rest of a longer one is cut away. */
const MAX_LINE_BYTES = 8 * 1024
const LINE_FEED = 10
const NOTHING = Buffer.alloc(0)

/** Cuts a process's output into lines. Bounded: an endless line costs no more than its first part. */
export class LineSplitter {
  readonly #take: (line: string) => boolean
  /** The line that has begun: as much of it as is kept, and a byte more if it is longer. */
  #begun: Buffer = NOTHING
  /** Some of the line that has begun was dropped, so all of it is. */
  #isLost = false

  /** `take`: false if it has no room for the line, and for none behind it. */
  constructor(take: (line: string) => boolean) {
    this.#take = take
  }

  /** Hands out the lines that end in here. Returns how many of them were lost because they were not taken. */
  push(bytes: Buffer): number {
    let from = 0
    let lost = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      if (this.#isLost) {
        this.#isLost = false
        lost += 1
      } else if (!this.#endLine(bytes, from, end)) return lost + 1 + this.skip(bytes, end + 1)
      from = end + 1
    }
    this.#hold(bytes, from)
    return lost
  }

  /** Drops bytes, whatever they are. Returns how many lines end in there: cheap, at a nanosecond a byte. */
  skip(bytes: Buffer, from = 0): number {
    if (from >= bytes.length) return 0
    let lost = 0
    for (let at = from; at < bytes.length; at += 1) if (bytes[at] === LINE_FEED) lost += 1
    this.#begun = NOTHING
    this.#isLost = bytes[bytes.length - 1] !== LINE_FEED
    return lost
  }

  /** The output has ended: what stands there without a line end is a line too. Returns how many were lost. */
  end(): number {
    return !this.#isLost && this.#endLine(NOTHING, 0, 0) ? 0 : 1
  }

  /** Empty ones are nothing to take. */
  #endLine(bytes: Buffer, from: number, end: number): boolean {
    this.#hold(bytes, from, end)
    const line = this.#begun
    this.#begun = NOTHING
    const cut = line.length > MAX_LINE_BYTES ? ' [cut]' : ''
    const text = `${line.toString('utf8', 0, MAX_LINE_BYTES)}${cut}`.trimEnd()
    return text === '' || this.#take(text)
  }

  /** Copies: what is read lies in memory that is larger. */
  #hold(bytes: Buffer, from: number, end = bytes.length): void {
    const room = MAX_LINE_BYTES + 1 - this.#begun.length
    if (this.#isLost || from >= end || room <= 0) return
    this.#begun = Buffer.concat([this.#begun, bytes.subarray(from, Math.min(end, from + room))])
  }
}
