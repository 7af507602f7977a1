import { ExtentChain, type Piece } from '../base/extent-chain.ts'
import type { Spool } from './spool.ts'
import { SpoolFile } from './spool-file.ts'
import type { PressedLog } from './spool-pressure.ts'

/** Whom a log tells what becomes of its bytes. */
export interface SpoolLogOwner {
  /**
   * It is full: to be given no more until `spoolRoom`. Told when that comes of others, not of what it was
   * given.
   */
  spoolFull(): void
  /** It is no longer full. */
  spoolRoom(): void
  /**
   * Bytes could not go to the file, and why. They stay in memory and can be read; the log is full until they
   * are.
   */
  spoolFailed(why: string): void
  /**
   * There was no memory for bytes just appended, or it had to give way to others, and why: the log is of no
   * use any more, and to be closed.
   */
  spoolLost(why: string): void
}

/** What is known of the bytes that will come. */
export interface SpoolTerms {
  /** Beyond so many the file takes no more until all of it is forgotten. */
  readonly maxBytes: number
  /** How many will come; undefined if nobody knows. */
  readonly expected: number | undefined
  /**
   * patient: it waits for its share of the files, then fails; so it is for bodies that are of no use in part.
   * passing: whoever reads it makes room, and nobody else's is waited for.
   */
  readonly kind: 'patient' | 'passing'
}

/**
 * While a block is on its way to the file, so many times the usual may gather behind it: larger blocks, fewer
 * pauses.
 */
const BURST = 3
/** Bytes handed out at a time, so that whoever takes them can say stop. */
const PIECE_BYTES = 64 * 1024
/** Little room is left in files when less than this share of it is. */
const SCARCE_SHARE = 1 / 2

/**
 * Bytes on their way from one side to a slower one: the newest in memory, and once those are too many, the
 * older ones in a file. Read by position, as often as one likes; what nobody will read again is forgotten,
 * and its room comes free.
 *
 * Positions run from the first byte: [fileStart, fileEnd) is in the file, then comes the block that is being
 * written, then the tail.
 */
export class SpoolLog implements PressedLog {
  readonly #spool: Spool
  readonly #owner: SpoolLogOwner
  readonly #terms: SpoolTerms
  #file: SpoolFile | undefined = undefined
  #fileStart = 0
  #fileEnd = 0
  /** Room in files that was promised and is not used yet. */
  #promised = 0
  /** On its way to the file; after a failure it stays here. */
  #block: ExtentChain
  #writing = false
  #tail: ExtentChain
  #forgotten = 0
  #full = false
  /** Stopped, because memory is short for all. */
  #held = false
  /** Waits for its turn to have room in files. */
  #waitsForDisk = false
  #usedFile = false
  #broken = false
  #settled = false
  #closed = false
  /** Among those that are stopped when memory is short. */
  #listed = false

  constructor(spool: Spool, owner: SpoolLogOwner, terms: SpoolTerms) {
    this.#spool = spool
    this.#owner = owner
    this.#terms = terms
    this.#block = new ExtentChain(spool)
    this.#tail = new ExtentChain(spool)
  }

  /** The position behind the last byte. */
  get end(): number {
    return this.#tailStart + this.#tail.size
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
    if (this.#closed || start === end) return
    const { pressure } = this.#spool
    if (this.yields && !pressure.mayYieldingTake(this)) return this.#lose()
    if (!this.#listed) {
      this.#listed = true
      pressure.begins(this)
    }
    const at = this.#tail.append(bytes, start, end)
    if (at < end && !this.#appendOwn(bytes, at, end)) return
    pressure.took(this)
    if (this.#closed || !this.#isOver) return
    this.#spill(true)
    // No longer full: that is only said between two calls from outside.
    if (this.#isBurst) this.#full = true
  }

  /** Some bytes from `at` on, none at the end; undefined if they are in the file. */
  inMemory(at: number): Piece | undefined {
    if (at === this.end) return NOTHING
    if (at < this.#fileEnd) return undefined
    const tailStart = this.#tailStart
    if (at < tailStart) return pieceOf(this.#block.piece(at - this.#fileEnd))
    return pieceOf(this.#tail.piece(at - tailStart))
  }

  /** Reads some bytes from `at` on, which are in the file; `done` is told how many. */
  readFile(at: number, into: Buffer, done: (count: number, error: Error | undefined) => void): void {
    const count = Math.min(into.length, this.#fileEnd - at)
    if (this.#file === undefined) return done(0, new Error('the spool file is closed'))
    this.#file.read(into, count, at - this.#fileStart, error => done(count, error))
  }

  /** Nothing before `at` will be read again. */
  forget(at: number): void {
    if (at > this.#forgotten) {
      this.#forgotten = at
      this.#spool.pressure.moved(this)
    }
    this.#trim()
    if (this.#isOver) this.#spill(true)
    // With nothing of it left here it does no harm, whatever others have.
    if (at === this.end) this.#unlist()
    this.#lookForRoom()
  }

  /** Nothing more will be appended. */
  settle(): void {
    if (this.#closed || this.#settled) return
    this.#settled = true
    this.#waitsForDisk = false
    this.#unlist()
  }

  /** Frees everything. Nobody is told anything afterwards. */
  close(): void {
    if (this.#closed) return
    this.settle()
    this.#closed = true
    this.#spool.pressure.left(this)
    this.#clear(this.#tail)
    if (this.#writing) return
    this.#clear(this.#block)
    this.#dropFile()
  }

  // PressedLog.

  evict(): void {
    this.#spill(false)
  }

  hold(): void {
    this.#held = true
    if (this.#full) return
    this.#full = true
    this.#owner.spoolFull()
  }

  release(): void {
    this.#held = false
    this.#lookForRoom()
  }

  diskRoom(): void {
    if (this.#waitsForDisk) this.#spill(true)
    this.#lookForRoom()
  }

  get yields(): boolean {
    return this.#terms.kind === 'passing'
  }

  get isTaken(): boolean {
    return this.#forgotten > 0
  }

  giveWay(): void {
    this.#lose()
  }

  giveUp(): void {
    if (this.yields) return
    const why = this.#waitsForDisk ? 'server.spool.disk' : 'server.spool.memory_total'
    this.settle()
    this.#owner.spoolFailed(`${why} is exhausted`)
  }

  get #tailStart(): number {
    return this.#fileEnd + this.#block.size
  }

  get #memoryBytes(): number {
    return Math.min(this.#spool.memoryBytes, this.#terms.maxBytes)
  }

  get #isOver(): boolean {
    return this.#tail.size > this.#memoryBytes
  }

  get #isBurst(): boolean {
    return this.#tail.size > this.#memoryBytes * (this.#writing ? BURST : 1)
  }

  /**
   * Memory of its own, since the arena has none: what has been read from a socket must go somewhere. False:
   * there is none to spare.
   */
  #appendOwn(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.yields || !this.#spool.mayOverdraw(end - start)) {
      this.#lose()
      return false
    }
    this.#spool.takeMemory(end - start)
    this.#tail.appendOwn(bytes, start, end)
    return true
  }

  #lose(): void {
    this.settle()
    this.#owner.spoolLost('server.spool.memory_total is exhausted')
  }

  /**
   * Sends the tail to the file if nothing else is on its way. `must`: it waits or fails where there is no
   * room, else it stays where it is.
   */
  #spill(must: boolean): void {
    const size = this.#tail.size
    if (this.#closed || this.#block.size > 0 || this.#broken || size === 0) return
    if (this.#fileEnd - this.#fileStart + size > this.#terms.maxBytes) return
    if (!this.#reserve(size, must)) return
    if (this.#file === undefined && !this.#spool.takeFile()) {
      if (must) this.#owner.spoolFailed('the limit of open files leaves no descriptor for a spool file')
      return
    }
    this.#spool.pressure.writes(this)
    const emptied = this.#block
    this.#block = this.#tail
    this.#tail = emptied
    this.#usedFile = true
    this.#writing = true
    this.#file ??= new SpoolFile(this.#spool.folder)
    const at = this.#fileEnd - this.#fileStart
    this.#file.write(this.#block.buffers(), at, error => this.#written(error))
  }

  /**
   * Has room in files for `size` bytes more, all that will ever come if that is known. False: it waits, or
   * has failed.
   */
  #reserve(size: number, must: boolean): boolean {
    if (size <= this.#promised) return true
    const { kind, expected } = this.#terms
    const wanted = Math.max(size, (expected ?? 0) - this.#fileEnd) - this.#promised
    if (this.#mayTake(wanted) && this.#spool.takeDisk(wanted)) {
      this.#promised += wanted
      this.#waitsForDisk = false
      this.#spool.pressure.hasDisk(this)
      return true
    }
    // What is patient and whole may stay where it is: nothing comes on top.
    if (!must || (kind === 'patient' && this.#settled)) return false
    if (kind === 'passing' || wanted > this.#spool.diskBytes) {
      this.#owner.spoolFailed('server.spool.disk is exhausted')
      return false
    }
    this.#waitsForDisk = true
    this.#full = true
    this.#spool.pressure.waitForDisk(this)
    return false
  }

  /**
   * Whose turn is it? Who knows its length has all of it before it goes on; of the others, where there is
   * little, only the oldest goes on.
   */
  #mayTake(wanted: number): boolean {
    const { kind, expected } = this.#terms
    const { pressure } = this.#spool
    if (kind === 'passing') return true
    if (expected !== undefined) return pressure.isNextForDisk(this)
    const isOldest = pressure.mayGrow(this)
    return isOldest || this.#spool.freeDiskBytes - wanted >= this.#spool.diskBytes * SCARCE_SHARE
  }

  #written(error: NodeJS.ErrnoException | undefined): void {
    this.#writing = false
    const size = this.#block.size
    this.#spool.pressure.written()
    if (this.#closed) {
      this.#clear(this.#block)
      return this.#dropFile()
    }
    if (error === undefined) {
      this.#fileEnd += size
      this.#promised -= size
      this.#spool.wroteDisk(size)
      this.#clear(this.#block)
    } else {
      this.#spool.giveDisk(0, this.#promised)
      this.#promised = 0
      this.#broken = true
      this.#spool.pressure.stays(this)
      this.#owner.spoolFailed(`server.spool.folder: ${error.message}`)
    }
    this.#trim()
    if (this.#isOver) this.#spill(true)
    this.#lookForRoom()
  }

  /** Gives back what is forgotten: the file as a whole, then the block, then the tail. */
  #trim(): void {
    if (this.#closed || this.#writing || this.#forgotten < this.#fileEnd) return
    if (this.#fileEnd > this.#fileStart) this.#dropFile()
    if (this.#forgotten < this.#tailStart) return
    this.#fileEnd = this.#tailStart
    this.#clear(this.#block)
    this.#fileEnd += this.#dropFromTail(this.#forgotten - this.#fileEnd)
    this.#fileStart = this.#fileEnd
    if (this.#tail.size === 0) this.#spool.pressure.left(this)
  }

  #dropFromTail(bytes: number): number {
    const before = this.#tail.ownBytes
    const dropped = this.#tail.dropBefore(bytes)
    this.#spool.giveMemory(before - this.#tail.ownBytes)
    return dropped
  }

  #clear(chain: ExtentChain): void {
    this.#spool.giveMemory(chain.ownBytes)
    chain.clear()
  }

  #dropFile(): void {
    this.#closeFile()
    this.#spool.giveDisk(this.#fileEnd - this.#fileStart, this.#promised)
    this.#promised = 0
    this.#fileStart = this.#fileEnd
  }

  #closeFile(): void {
    if (this.#file === undefined) return
    this.#file.close()
    this.#file = undefined
    this.#spool.giveFile()
  }

  #unlist(): void {
    this.#held = false
    if (!this.#listed) return
    this.#listed = false
    this.#spool.pressure.settles(this)
  }

  #lookForRoom(): void {
    if (!this.#full || this.#closed || this.#isBurst || this.#waitsForDisk) return
    if (this.#held) return
    this.#full = false
    this.#owner.spoolRoom()
  }
}

const NOTHING: Piece = { bytes: Buffer.alloc(0), start: 0, end: 0 }

function pieceOf(piece: Piece): Piece {
  if (piece.end - piece.start <= PIECE_BYTES) return piece
  return { ...piece, end: piece.start + PIECE_BYTES }
}
