import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { readSmallFile, type SmallFile } from '../base/small-file.ts'

const OTHERS = 0o077
const DRAFT = /^\.[0-9a-f-]{36}\.draft$/
/** Whoever writes for longer is gone. */
const DRAFT_LIFE_MS = 3_600_000

/** Ours are a few thousand bytes each. */
const MAX_BYTES = 1024 * 1024

/** A file, or why it cannot be one of ours; undefined if there is none. */
export function readPrivate(path: string): SmallFile | undefined {
  const read = readSmallFile(path, MAX_BYTES)
  return 'code' in read && read.code === 'ENOENT' ? undefined : read
}

/**
 * Replaces a file in one step: whoever reads it, also after a crash, finds the old text or the new, whole.
 * Nobody else may read it.
 */
export function writePrivate(path: string, text: string): void {
  renameSync(writeDraft(path, text), path)
}

/** The same where no such file may be there yet, in one step too; false if one is. */
export function createPrivate(path: string, text: string): boolean {
  const draft = writeDraft(path, text)
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Takes away what a process has left that ended while it wrote. */
export function removeDrafts(folder: string, nowMs: number): void {
  for (const name of readdirSync(folder).filter(name => DRAFT.test(name))) {
    const path = join(folder, name)
    const { mtimeMs = nowMs } = statOf(path) ?? {}
    if (nowMs - mtimeMs > DRAFT_LIFE_MS) rmSync(path, { force: true })
  }
}

/** Makes a folder that nobody else may enter, with those above it. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

/**
 * Takes others' rights away from a file or folder. `was`: the rights that were too wide, such as `0644`;
 * `closed`: whether they are gone, which takes the owner. Undefined if there was nothing to do.
 */
export function closeToOthers(path: string): { readonly was: string; readonly closed: boolean } | undefined {
  const stats = statOf(path)
  if (stats === undefined || (stats.mode & OTHERS) === 0) return undefined
  const was = `0${(stats.mode & 0o777).toString(8)}`
  try {
    chmodSync(path, stats.mode & 0o700)
    return { was, closed: true }
  } catch {
    return { was, closed: false }
  }
}

/** A link that leads in a circle is as good as nothing. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return undefined
    throw error
  }
}

/** Beside the file, with a name that no other process has: process ids are the same in all containers. */
function writeDraft(path: string, text: string): string {
  const draft = join(dirname(path), `.${randomUUID()}.draft`)
  const fd = openSync(draft, 'wx', 0o600)
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  return draft
}
