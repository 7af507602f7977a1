import type { Spool } from './spool.ts'
import { SpoolFile } from './spool-file.ts'

/** Whom a log tells what becomes of its bytes. */
export interface SpoolLogOwner {
  /** It is no longer full. */
  spoolRoom(): void
  /** Bytes could not go to the file, and why. They stay in memory and can be read; the log is full until they are. */
  spoolFailed(why: string): void
}

/** bytes[start, end), valid until the log is told of anything. */
export interface Piece {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

const NOTHING: Buffer<ArrayBuffer> = Buffer.alloc(0)
/** While a block is on its way to the file, so many times the usual may gather behind it: larger blocks, fewer pauses. */
const BURST = 3
/** What is gathered behind a block: the usual of one read more. Such buffers are used again: making them cost more than filling them. */
const BLOCK_BYTES = 256 * 1024
const MAX_SPARE_BLOCKS = 16
const spareBlocks: Buffer<ArrayBuffer>[] = []

/** Bytes handed out at a time, so that whoever takes them can say stop. */
const PIECE_BYTES = 64 * 1024

/**
 * Bytes on their way from one side to a slower one: the newest in memory, and once those are too many, the older ones in a file. Read by position,
 * as often as one likes; what nobody will read again is forgotten, and its room comes free.
 *
 * Positions run from the first byte: [fileStart, fileEnd) is in the file, then comes the block that is being written, then the tail.
 */
export class SpoolLog {
  readonly #spool: Spool
  readonly #owner: SpoolLogOwner
  readonly #maxBytes: number
  #file: SpoolFile | undefined = undefined
  #fileStart = 0
  #fileEnd = 0
  /** On its way to the file; after a failure it stays here. */
  #block = NOTHING
  #blockSize = 0
  #writing = false
  #tail = NOTHING
  #tailSize = 0
  #forgotten = 0
  #full = false
  #usedFile = false
  #broken = false
  #closed = false

  /** `maxBytes`: beyond so many the file takes no more until all of it is forgotten. */
  constructor(spool: Spool, owner: SpoolLogOwner, maxBytes: number) {
    this.#spool = spool
    this.#owner = owner
    this.#maxBytes = maxBytes
  }

  /** The position behind the last byte. */
  get end(): number {
    return this.#tailStart + this.#tailSize
  }

  /** To be given no more until `spoolRoom`. */
  get full(): boolean {
    return this.#full
  }

  /** Did any of it go to a file? */
  get usedFile(): boolean {
    return this.#usedFile
  }

  /** Takes a copy of bytes[start, end), also when full. */
  append(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return
    const size = this.#tailSize + end - start
    if (size > this.#tail.length) this.#growTail(size)
    this.#tail.set(bytes.subarray(start, end), this.#tailSize)
    this.#tailSize = size
    if (size <= this.#memoryBytes) return
    this.#spill()
    // No longer full: that is only said between two calls from outside.
    if (this.#isBurst) this.#full = true
  }

  /** Some bytes from `at` on, which is before the end; undefined if they are in the file. */
  inMemory(at: number): Piece | undefined {
    if (at < this.#fileEnd) return undefined
    const tailStart = this.#tailStart
    if (at < tailStart) return pieceOf(this.#block, at - this.#fileEnd, this.#blockSize)
    return pieceOf(this.#tail, at - tailStart, this.#tailSize)
  }

  /** Reads some bytes from `at` on, which are in the file; `done` is told how many. */
  readFile(at: number, into: Buffer, done: (count: number, error: Error | undefined) => void): void {
    const count = Math.min(into.length, this.#fileEnd - at)
    this.#file?.read(into, count, at - this.#fileStart, error => done(count, error))
  }

  /** Nothing before `at` will be read again. */
  forget(at: number): void {
    this.#forgotten = at
    this.#trim()
    this.#spill()
    this.#lookForRoom()
  }

  /** Nothing more will be appended: what is in memory takes no more than it needs. */
  settle(): void {
    if (!this.#closed && this.#tail.length > 2 * this.#tailSize)
      this.#moveTail(Buffer.allocUnsafeSlow(this.#tailSize))
  }

  /** Frees everything. Nobody is told anything afterwards. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#spool.giveMemory(this.#tail.length + this.#block.length)
    this.#spool.giveDisk(this.#fileEnd - this.#fileStart + (this.#writing ? this.#blockSize : 0))
    this.#closeFile()
    recycle(this.#tail)
    if (!this.#writing) recycle(this.#block)
    this.#tail = NOTHING
    this.#block = NOTHING
  }

  get #tailStart(): number {
    return this.#fileEnd + this.#blockSize
  }

  get #memoryBytes(): number {
    return Math.min(this.#spool.memoryBytes, this.#maxBytes)
  }

  get #isOver(): boolean {
    return this.#tailSize > this.#memoryBytes
  }

  get #isBurst(): boolean {
    return this.#tailSize > this.#memoryBytes * (this.#writing ? BURST : 1)
  }

  #growTail(size: number): void {
    if (this.#writing && size <= BLOCK_BYTES)
      return this.#moveTail(spareBlocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES))
    // A body that comes in one piece takes just its size, from Node's pool, which is far cheaper; one in many pieces is copied a few times at most.
    if (this.#tailSize === 0) this.#moveTail(Buffer.allocUnsafe(size))
    else this.#moveTail(Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#tail.length)))
  }

  #moveTail(into: Buffer<ArrayBuffer>): void {
    if (this.#tailSize > 0) into.set(this.#tail.subarray(0, this.#tailSize))
    this.#spool.takeMemory(into.length - this.#tail.length)
    recycle(this.#tail)
    this.#tail = into
  }

  /** Sends the tail to the file if it is too long for memory and nothing else is on its way. */
  #spill(): void {
    if (this.#closed || this.#blockSize > 0 || this.#broken || !this.#isOver) return
    const size = this.#tailSize
    if (this.#fileEnd - this.#fileStart + size > this.#maxBytes) return
    if (!this.#spool.takeDisk(size)) return this.#owner.spoolFailed('server.spool.disk is used up')
    if (this.#file === undefined && !this.#spool.takeFile()) {
      this.#spool.giveDisk(size)
      return this.#owner.spoolFailed('the limit of open files leaves no descriptor for a spool file')
    }
    this.#block = this.#tail
    this.#blockSize = size
    this.#tail = NOTHING
    this.#tailSize = 0
    this.#usedFile = true
    this.#writing = true
    this.#file ??= new SpoolFile(this.#spool.folder)
    this.#file.write(this.#block, size, this.#fileEnd - this.#fileStart, error => this.#written(error))
  }

  #written(error: NodeJS.ErrnoException | undefined): void {
    this.#writing = false
    if (error === undefined) {
      this.#fileEnd += this.#blockSize
      this.#dropBlock()
    } else {
      this.#spool.giveDisk(this.#blockSize)
      this.#broken = true
      this.#owner.spoolFailed(`server.spool.folder: ${error.message}`)
    }
    this.#trim()
    this.#spill()
    this.#lookForRoom()
  }

  /** Gives back what is forgotten: the file as a whole, then the block, then the tail. */
  #trim(): void {
    if (this.#closed || this.#writing || this.#forgotten < this.#fileEnd) return
    if (this.#fileEnd > this.#fileStart) this.#dropFile()
    if (this.#forgotten < this.#tailStart) return
    this.#fileEnd = this.#tailStart
    this.#dropBlock()
    this.#fileStart = this.#fileEnd
    if (this.#forgotten < this.end || this.#tailSize === 0) return
    this.#fileEnd = this.end
    this.#fileStart = this.#fileEnd
    this.#spool.giveMemory(this.#tail.length)
    recycle(this.#tail)
    this.#tail = NOTHING
    this.#tailSize = 0
  }

  #dropFile(): void {
    this.#closeFile()
    this.#spool.giveDisk(this.#fileEnd - this.#fileStart)
    this.#fileStart = this.#fileEnd
  }

  #closeFile(): void {
    if (this.#file === undefined) return
    this.#file.close()
    this.#file = undefined
    this.#spool.giveFile()
  }

  #dropBlock(): void {
    this.#spool.giveMemory(this.#block.length)
    recycle(this.#block)
    this.#block = NOTHING
    this.#blockSize = 0
  }

  #lookForRoom(): void {
    if (!this.#full || this.#closed || this.#isBurst) return
    this.#full = false
    this.#owner.spoolRoom()
  }
}

function recycle(buffer: Buffer<ArrayBuffer>): void {
  if (buffer.length === BLOCK_BYTES && spareBlocks.length < MAX_SPARE_BLOCKS) spareBlocks.push(buffer)
}

function pieceOf(bytes: Buffer, start: number, size: number): Piece {
  return { bytes, start, end: Math.min(size, start + PIECE_BYTES) }
}
