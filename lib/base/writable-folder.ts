import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isNamelessUnknown, KNOWS_NAMELESS, NAMED, NAMELESS, NAMELESS_MODE } from './nameless.ts'

/** Why files cannot be written in a folder, and what to do about it. */
export interface WriteTrouble {
  /** Behind the folder's name: `does not exist`. */
  readonly what: string
  readonly hint: string
  /** There is no room left: it may come back, and files that are there can still be opened. */
  readonly full: boolean
}

/**
 * Undefined if this user can write a file in the folder. By deed: access(2) would ask for another user id and
 * know nothing of a full disk. Blocks; nothing stays behind.
 */
export function writeTrouble(folder: string): WriteTrouble | undefined {
  try {
    const fd = openNameless(folder)
    try {
      writeSync(fd, Buffer.alloc(1), 0, 1, 0)
    } finally {
      closeSync(fd)
    }
    return undefined
  } catch (error) {
    return writeTroubleOf(error as NodeJS.ErrnoException)
  }
}

/** In words, what the system said when a file was to be written. */
export function writeTroubleOf(error: NodeJS.ErrnoException): WriteTrouble {
  return { ...wordsOf(error), full: error.code === 'ENOSPC' || error.code === 'EDQUOT' }
}

function wordsOf({ code, message }: NodeJS.ErrnoException): Omit<WriteTrouble, 'full'> {
  const user = `this user (uid ${process.geteuid?.() ?? 'unknown'})`
  switch (code) {
    case 'ENOENT':
      return {
        what: 'does not exist',
        hint: 'create it for the user that Causeway runs as, or specify another folder',
      }
    case 'ENOTDIR':
      return { what: 'is not a folder', hint: 'specify a folder' }
    case 'EACCES':
    case 'EPERM':
      return {
        what: `cannot be written by ${user}`,
        hint: 'give it to this user (chown), or specify another folder',
      }
    case 'EROFS':
      return {
        what: 'is read-only',
        hint: 'mount a writable volume there, or specify another folder',
      }
    case 'ENOSPC':
    case 'EDQUOT':
      return { what: 'has no space left', hint: 'free some space, or specify a folder on another disk' }
    default:
      return { what: `cannot be written (${code ?? message})`, hint: 'specify another folder' }
  }
}

function openNameless(folder: string): number {
  try {
    if (KNOWS_NAMELESS) return openSync(folder, NAMELESS, NAMELESS_MODE)
  } catch (error) {
    if (!isNamelessUnknown(error as NodeJS.ErrnoException)) throw error
  }
  const path = join(folder, `causeway-${process.pid}-trial`)
  const fd = openSync(path, NAMED, NAMELESS_MODE)
  unlinkSync(path)
  return fd
}
