import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { whyUnreadable } from '../base/errno-words.ts'
import { takeSmallFile } from '../base/small-file.ts'
import { checkCapacity } from './capacity.ts'
import { type Environment, interpolate } from './interpolate.ts'
import { mergeTrees } from './merge.ts'
import type { AdminConfig, Snapshot } from './model.ts'
import { readToml } from './positions.ts'
import { type Problem, Report } from './problem.ts'
import { readSettings } from './settings.ts'
import { adminOf, buildSnapshot, type Origin } from './snapshot.ts'
import type { Place, Source } from './source.ts'
import type { Table } from './tree.ts'

/** A configuration that may run, or every reason why it may not. */
export type Loaded =
  | {
      readonly ok: true
      readonly snapshot: Snapshot
      /** Where each of its values stands. */
      readonly root: Table
      readonly warnings: readonly Problem[]
      readonly files: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** `check`: looks also at what a start would only find out when it opens its log and its sockets. */
export type Purpose = 'use' | 'check'
/** Larger files are something else. */
const MAX_FILE_BYTES = 16 * 1024 * 1024
const HANDED_OVER = /^\/(?:dev\/(?:stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/

/**
 * Reads and checks the configuration at `path`: a TOML file, or a folder whose `*.toml` files are one
 * configuration.
 */
export async function loadConfig(path: string, env: Environment, purpose: Purpose = 'use'): Promise<Loaded> {
  const report = new Report()
  const files = await findFiles(path, report)
  const contents = await Promise.all(files.map(file => readBytes(file, report)))
  const trees = files.map((file, i) => readTree(file, contents[i], env, report))
  const readable = trees.filter(tree => tree !== undefined)
  const whole = files.length > 0 && readable.length === files.length
  const root = readable.length === 0 ? undefined : mergeTrees(readable, fileOnly(path), report)
  const origin = { hash: hashOf(contents), whole, purpose }
  const snapshot = root === undefined ? undefined : compile(path, root, origin, report)
  if (root === undefined || snapshot === undefined || report.failed)
    return { ok: false, problems: report.sorted() }
  return { ok: true, snapshot, root, warnings: report.sorted(), files }
}

/**
 * The admin listener alone, whatever is wrong with the rest: a running process must stay within reach while
 * somebody writes a configuration that it refuses. Undefined if it cannot be told.
 */
export async function loadAdmin(path: string, env: Environment): Promise<AdminConfig | undefined> {
  const report = new Report()
  const files = await findFiles(path, report)
  const contents = await Promise.all(files.map(file => readBytes(file, report)))
  const trees = files.map((file, i) => readTree(file, contents[i], env, report))
  const readable = trees.filter(tree => tree !== undefined)
  if (readable.length === 0) return undefined
  return adminOf(readSettings(mergeTrees(readable, fileOnly(path), report), report))
}

function compile(path: string, root: Table, origin: Origin, report: Report) {
  const snapshot = buildSnapshot(root, origin, report)
  if (snapshot !== undefined) checkCapacity(snapshot, fileOnly(path), report)
  return snapshot
}

/**
 * Files to read, in byte order. Editors' and package managers' leftovers (`.app.toml.swp`, `app.toml~`,
 * `app.toml.dpkg-old`) do not count.
 */
async function findFiles(path: string, report: Report): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter(name => name.endsWith('.toml') && !name.startsWith('.'))
    if (names.length === 0) {
      report.error(
        fileOnly(path),
        'the folder contains no *.toml file',
        'add one, or pass another folder or file with --config',
      )
    }
    return names.toSorted(byBytes).map(name => join(path, name))
  } catch (error) {
    report.error(fileOnly(path), cannotRead(error, path), 'pass a TOML file or a folder with --config PATH')
    return []
  }
}

async function readBytes(file: string, report: Report): Promise<Buffer | undefined> {
  if (HANDED_OVER.test(file)) return readHandedOver(file, report)
  const read = await takeSmallFile(file, MAX_FILE_BYTES)
  if ('bytes' in read) return read.bytes
  report.error(fileOnly(file), cannotRead(read, file))
  return undefined
}

/** Whoever names a descriptor, as a shell's `<(…)` does, has something at its other end. */
async function readHandedOver(file: string, report: Report): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    report.error(fileOnly(file), cannotRead(error, file))
    return undefined
  }
}

/** One file as a tree; undefined if that cannot be. */
export function readTree(
  file: string,
  bytes: Buffer | undefined,
  env: Environment,
  report: Report,
): Table | undefined {
  if (bytes === undefined) return undefined
  const text = decode(bytes)
  if (text === undefined) {
    const line = firstBadLine(bytes)
    report.error(fileOnly(file), `line ${line} is not UTF-8 text`, 'save the file as UTF-8')
    return undefined
  }
  const source: Source = { name: file, text }
  const tree = readToml(source, report)
  return tree === undefined ? undefined : interpolate(tree, env, report)
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

// A line feed is never part of a longer UTF-8 sequence (RFC 3629 3), so lines can be tried one by one.
function firstBadLine(bytes: Buffer): number {
  let line = 1
  let start = 0
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline < 0 ? bytes.length : newline + 1
    if (decode(bytes.subarray(start, end)) === undefined) break
    line += 1
    start = end
  }
  return line
}

function cannotRead(error: unknown, path: string): string {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return `no configuration found at ${resolve(path)}`
    case 'EACCES':
      return 'this user has no permission to read the file'
    case 'EISDIR':
      return 'this is a folder, not a file'
    case 'NOT_A_FILE':
      return 'this is not a regular file'
    case 'TOO_LARGE':
      return `the file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`
    default:
      return `cannot be read: ${whyUnreadable(error)}`
  }
}

function fileOnly(name: string): Place {
  return { source: { name, text: '' }, offset: undefined }
}

function hashOf(contents: readonly (Buffer | undefined)[]): string {
  const hash = createHash('sha256')
  for (const bytes of contents) if (bytes !== undefined) hash.update(bytes)
  return hash.digest('hex').slice(0, 12)
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
