import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { whyUnreadable } from './errno-words.ts'

/** A whole file, or why it cannot be used. */
export type SmallFile = { readonly bytes: Buffer } | FileFault

export interface FileFault {
  /** The system's, or `NOT_A_FILE` (a folder is `EISDIR`), or `TOO_LARGE`. */
  readonly code: string
  /** In words, such as `there is no such file`. */
  readonly why: string
}

/** O_NONBLOCK: opening a FIFO that nobody writes to would never end. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
const NOT_A_FILE: FileFault = { code: 'NOT_A_FILE', why: 'it is not a regular file' }
/** Of a file whose size is not told, such as those of /proc. */
const PIECE_BYTES = 4096

/**
 * Reads a file that an operator may replace, cut short or spoil at any moment. Nothing but a regular file of
 * at most `maxBytes` is read; never throws, and never waits for a writer.
 */
export function readSmallFile(path: string, maxBytes: number): SmallFile {
  let fd: number | undefined
  try {
    fd = openSync(path, FLAGS)
    const stats = fstatSync(fd)
    return faultOf(stats, maxBytes) ?? wholeOf(readAtMost(fd, stats.size, maxBytes), maxBytes)
  } catch (error) {
    return faultOfError(error)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** The same without holding up the thread: for files that are looked at again and again. Never rejects. */
export async function takeSmallFile(path: string, maxBytes: number): Promise<SmallFile> {
  let file: FileHandle | undefined
  try {
    file = await open(path, FLAGS)
    const fault = faultOf(await file.stat(), maxBytes)
    if (fault !== undefined) return fault
    // Not readFile(): it reads all of a file that grows for as long as it grows.
    const pieces: Buffer[] = []
    const stream = file.createReadStream({ end: maxBytes, autoClose: false })
    for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece)
    return wholeOf(Buffer.concat(pieces), maxBytes)
  } catch (error) {
    return faultOfError(error)
  } finally {
    await file?.close()
  }
}

/** One byte more than the limit shows that there is more. */
function readAtMost(fd: number, sizeBytes: number, maxBytes: number): Buffer {
  const pieces: Buffer[] = []
  let length = 0
  while (length <= maxBytes) {
    const piece = Buffer.allocUnsafe(Math.min(Math.max(sizeBytes + 1, PIECE_BYTES), maxBytes + 1 - length))
    const count = readSync(fd, piece)
    if (count === 0) break
    pieces.push(piece.subarray(0, count))
    length += count
  }
  return Buffer.concat(pieces, length)
}

function wholeOf(bytes: Buffer, maxBytes: number): SmallFile {
  return bytes.length > maxBytes ? tooLarge(bytes.length) : { bytes }
}

function faultOf(stats: Stats, maxBytes: number): FileFault | undefined {
  if (stats.isDirectory()) return { code: 'EISDIR', why: whyUnreadable({ code: 'EISDIR' }) }
  if (!stats.isFile()) return NOT_A_FILE
  return stats.size > maxBytes ? tooLarge(stats.size) : undefined
}

function tooLarge(sizeBytes: number): FileFault {
  return { code: 'TOO_LARGE', why: `it has ${sizeBytes} bytes` }
}

function faultOfError(error: unknown): FileFault {
  const { code = 'UNKNOWN' } = error as NodeJS.ErrnoException
  // A socket cannot be opened.
  return code === 'ENXIO' ? NOT_A_FILE : { code, why: whyUnreadable(error) }
}
