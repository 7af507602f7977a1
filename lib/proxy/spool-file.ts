import { randomBytes } from 'node:crypto'
import { close, open, read, unlink, writev } from 'node:fs'
import { join } from 'node:path'
import { isNamelessUnknown, KNOWS_NAMELESS, NAMED, NAMELESS, NAMELESS_MODE } from '../base/nameless.ts'

type Done = (error: NodeJS.ErrnoException | undefined) => void
type Opened = (error: NodeJS.ErrnoException | null, fd: number) => void

/**
 * A file without a name: gone with its descriptor, whatever ends the process. Opened by its first write. One
 * write and one read may run at a time; all of it happens off the event loop. What was begun is always told
 * the end of, also after `close`: until then its memory is in use.
 */
export class SpoolFile {
  readonly #folder: string
  #fd: number | undefined = undefined
  /**
   * Reads and writes that run. The descriptor is never closed under one: its number could by then be another
   * file.
   */
  #running = 0
  #closed = false

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Writes all of `buffers` at `at`; they must not change until `done`. */
  write(buffers: Buffer[], at: number, done: Done): void {
    this.#running += 1
    if (this.#fd !== undefined) return this.#writeFrom(buffers, at, done)
    openNameless(this.#folder, (error, fd) => {
      if (error !== null) return this.#ended(error, done)
      this.#fd = fd
      this.#writeFrom(buffers, at, done)
    })
  }

  /** Fills bytes[0, size) from `at`: bytes that have been written. */
  read(bytes: Buffer, size: number, at: number, done: Done): void {
    this.#running += 1
    this.#readFrom(bytes, 0, size, at, done)
  }

  /** Frees it, once what runs is over. */
  close(): void {
    this.#closed = true
    if (this.#running === 0) this.#closeNow()
  }

  #writeFrom(buffers: Buffer[], at: number, done: Done): void {
    writev(this.#fd as number, buffers, at, (error, count) => {
      if (error !== null) return this.#ended(error, done)
      const rest = restOf(buffers, count)
      if (rest.length === 0 || this.#closed) return this.#ended(undefined, done)
      // write(2) may take nothing and name no error: it is not asked for ever.
      if (count === 0) return this.#ended(new Error('the spool file accepts no more bytes'), done)
      this.#writeFrom(rest, at + count, done)
    })
  }

  #readFrom(bytes: Buffer, start: number, size: number, at: number, done: Done): void {
    read(this.#fd as number, bytes, start, size - start, at + start, (error, count) => {
      if (error !== null) return this.#ended(error, done)
      if (count === 0) return this.#ended(new Error('the spool file is shorter than what was written'), done)
      if (start + count >= size || this.#closed) return this.#ended(undefined, done)
      this.#readFrom(bytes, start + count, size, at, done)
    })
  }

  #ended(error: NodeJS.ErrnoException | undefined, done: Done): void {
    this.#running -= 1
    if (this.#closed && this.#running === 0) this.#closeNow()
    done(error)
  }

  #closeNow(): void {
    if (this.#fd !== undefined) close(this.#fd, () => {})
    this.#fd = undefined
  }
}

/** What is left of `buffers` behind the first `count` bytes. */
function restOf(buffers: Buffer[], count: number): Buffer[] {
  let taken = 0
  for (const [i, bytes] of buffers.entries()) {
    if (taken + bytes.length > count) return [bytes.subarray(count - taken), ...buffers.slice(i + 1)]
    taken += bytes.length
  }
  return []
}

function openNameless(folder: string, done: Opened): void {
  if (!KNOWS_NAMELESS) return openAndUnlink(folder, done)
  open(folder, NAMELESS, NAMELESS_MODE, (error, fd) => {
    if (error !== null && isNamelessUnknown(error)) openAndUnlink(folder, done)
    else done(error, fd)
  })
}

/** A name for as long as it takes to take it off again: what dies in between leaves an empty file. */
export function openAndUnlink(folder: string, done: Opened): void {
  const path = join(folder, `causeway-${process.pid}-${randomBytes(8).toString('hex')}`)
  open(path, NAMED, NAMELESS_MODE, (error, fd) => {
    if (error !== null) return done(error, fd)
    unlink(path, failure => {
      if (failure === null) return done(null, fd)
      close(fd, () => {})
      done(failure, fd)
    })
  })
}
