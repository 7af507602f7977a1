import { randomBytes } from 'node:crypto'
import { close, open, read, unlink, write } from 'node:fs'
import { join } from 'node:path'
import { isNamelessUnknown, KNOWS_NAMELESS, NAMED, NAMELESS, NAMELESS_MODE } from '../base/nameless.ts'

type Done = (error: NodeJS.ErrnoException | undefined) => void
type Opened = (error: NodeJS.ErrnoException | null, fd: number) => void

/**
 * A file without a name: gone with its descriptor, whatever ends the process. Opened by its first write. One write and one read may
 * run at a time; all of it happens off the event loop.
 */
export class SpoolFile {
  readonly #folder: string
  #fd: number | undefined = undefined
  /** Reads and writes that run. The descriptor is never closed under one: its number could by then be another file. */
  #running = 0
  #closed = false

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Writes bytes[0, size) at `at`; they must not change until `done`. */
  write(bytes: Buffer, size: number, at: number, done: Done): void {
    this.#running += 1
    if (this.#fd !== undefined) return this.#writeFrom(bytes, 0, size, at, done)
    openNameless(this.#folder, (error, fd) => {
      if (error !== null) return this.#ended(error, done)
      this.#fd = fd
      this.#writeFrom(bytes, 0, size, at, done)
    })
  }

  /** Fills bytes[0, size) from `at`: bytes that have been written. */
  read(bytes: Buffer, size: number, at: number, done: Done): void {
    this.#running += 1
    this.#readFrom(bytes, 0, size, at, done)
  }

  /** Frees it, once what runs is over; nobody is told of that any more. */
  close(): void {
    this.#closed = true
    if (this.#running === 0) this.#closeNow()
  }

  #writeFrom(bytes: Buffer, start: number, size: number, at: number, done: Done): void {
    write(this.#fd as number, bytes, start, size - start, at + start, (error, count) => {
      if (error !== null) return this.#ended(error, done)
      if (start + count >= size || this.#closed) return this.#ended(undefined, done)
      this.#writeFrom(bytes, start + count, size, at, done)
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
    if (!this.#closed) return done(error)
    if (this.#running === 0) this.#closeNow()
  }

  #closeNow(): void {
    if (this.#fd !== undefined) close(this.#fd, () => {})
    this.#fd = undefined
  }
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
