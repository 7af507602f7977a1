/**
 * A ring of bytes through which one data thread hands its access lines to the control thread: one writer, one
 * reader, no message and no copy of a string per batch (posting strings cost 12 % of a data thread's time).
 * Bounded: when the reader cannot keep up, lines are dropped and counted. What a thread wrote before it died
 * can still be read.
 */
export interface LineRingMemory {
  readonly buffer: SharedArrayBuffer
}

const HEADER_WORDS = 4
const HEADER_BYTES = HEADER_WORDS * Int32Array.BYTES_PER_ELEMENT
/** Positions count from 0 to twice the capacity, so that full and empty differ. */
const WRITTEN = 0
const READ = 1
const DROPPED = 2
/** A latin1 character takes at most two bytes of UTF-8; escaped text next to always one. */
const MAX_BYTES_A_CHARACTER = 2

/** `capacity` in bytes: what lines may wait for the reader. */
export function createLineRing(capacity: number): LineRingMemory {
  return { buffer: new SharedArrayBuffer(HEADER_BYTES + capacity) }
}

/** The data thread's end. */
export class LineRingWriter {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #capacity: number
  /** A line that does not fit before the end of the ring is made here and copied in two parts. */
  #scratch = Buffer.allocUnsafeSlow(16 * 1024)

  constructor(memory: LineRingMemory) {
    this.#words = new Int32Array(memory.buffer, 0, HEADER_WORDS)
    this.#bytes = Buffer.from(memory.buffer, HEADER_BYTES)
    this.#capacity = this.#bytes.length
  }

  /** Takes a line with its line end. Hot: nothing of it is kept but its bytes. */
  write(line: string): void {
    const written = this.#words[WRITTEN] as number
    const used = distance(Atomics.load(this.#words, READ), written, this.#capacity)
    const most = line.length * MAX_BYTES_A_CHARACTER
    if (used + most > this.#capacity) {
      Atomics.add(this.#words, DROPPED, 1)
      return
    }
    const at = written % this.#capacity
    const size =
      at + most <= this.#capacity ? this.#bytes.write(line, at, 'utf8') : this.#writeAround(line, at, most)
    Atomics.store(this.#words, WRITTEN, (written + size) % (2 * this.#capacity))
  }

  #writeAround(line: string, at: number, most: number): number {
    if (this.#scratch.length < most) this.#scratch = Buffer.allocUnsafeSlow(most)
    const size = this.#scratch.write(line, 0, 'utf8')
    const first = Math.min(size, this.#capacity - at)
    this.#scratch.copy(this.#bytes, at, 0, first)
    this.#scratch.copy(this.#bytes, 0, first, size)
    return size
  }
}

/** The control thread's end. */
export class LineRingReader {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #capacity: number

  constructor(memory: LineRingMemory) {
    this.#words = new Int32Array(memory.buffer, 0, HEADER_WORDS)
    this.#bytes = Buffer.from(memory.buffer, HEADER_BYTES)
    this.#capacity = this.#bytes.length
  }

  /** Whole lines that have come since the last call, copied; undefined when there are none. */
  read(): Buffer | undefined {
    const written = Atomics.load(this.#words, WRITTEN)
    const read = this.#words[READ] as number
    const size = distance(read, written, this.#capacity)
    if (size === 0) return undefined
    const at = read % this.#capacity
    const first = Math.min(size, this.#capacity - at)
    const lines = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(lines, 0, at, at + first)
    this.#bytes.copy(lines, first, 0, size - first)
    Atomics.store(this.#words, READ, written)
    return lines
  }

  /** Lines lost since the last call. */
  takeDropped(): number {
    return Atomics.exchange(this.#words, DROPPED, 0)
  }
}

function distance(read: number, written: number, capacity: number): number {
  return written >= read ? written - read : written + 2 * capacity - read
}
