import { type BigIntStats, close, constants, fstat, open, readlink, realpath, stat } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What a name inside the root turned out to be. Whoever gets a `file` closes its descriptor. */
export type Opened =
  | { readonly kind: 'file'; readonly fd: number; readonly stat: BigIntStats }
  | { readonly kind: 'folder' }
  | { readonly kind: 'refused'; readonly detail: string }

const openFd = promisify(open)
const closeFd = promisify(close)
const resolveLinks = promisify(realpath.native)
const linkText = promisify(readlink)
const statFd = promisify((fd: number, done: (error: Error | null, stats: BigIntStats) => void) =>
  fstat(fd, { bigint: true }, done),
)
const statPath = promisify((path: string, done: (error: Error | null, stats: BigIntStats) => void) =>
  stat(path, { bigint: true }, done),
)

/** Not there, or not for us: all of it looks like 404, so that nobody learns what exists. */
const ABSENT = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'EACCES',
  'EPERM',
  'ENAMETOOLONG',
  'ENXIO',
  'ENODEV',
  'EISDIR',
])

/**
 * O_NOFOLLOW: links were resolved already, so one here was put there since. O_NONBLOCK: a FIFO without a
 * writer would hang the thread pool.
 */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Opens a name below `root`. Links are followed as long as they stay inside the real root, which is resolved
 * anew each time: a deploy may switch a `current` link. They lead to no dotfile that `relative` does not name
 * itself. What is trusted afterwards (kind, size, time) comes from the open descriptor. Throws only what is
 * no answer about the file, such as EMFILE.
 */
export async function openInside(root: string, relative: string): Promise<Opened> {
  let fd: number | undefined
  try {
    const realRoot = await resolveLinks(root)
    const real = await resolveLinks(join(realRoot, relative))
    if (!isInside(realRoot, real))
      return { kind: 'refused', detail: 'a symbolic link points outside the root' }
    if (isHidden(realRoot, real, relative))
      return { kind: 'refused', detail: 'a symbolic link points to a dotfile' }
    fd = await openFd(real, FLAGS)
    const opened = await describe(fd, { realRoot, real, relative })
    if (opened.kind === 'file') fd = undefined
    return opened
  } catch (error) {
    return refusal(error)
  } finally {
    if (fd !== undefined) await closeFd(fd)
  }
}

/** Stat of a path, links followed; undefined if there is nothing for us. Throws as `openInside` does. */
export async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await statPath(path)
  } catch (error) {
    refusal(error)
    return undefined
  }
}

/** Stat of an open descriptor. */
export function statOpen(fd: number): Promise<BigIntStats> {
  return statFd(fd)
}

/** Closes a descriptor. What close reports of a file that was only read, nobody can use. */
export function closeQuietly(fd: number): void {
  close(fd, ignore)
}

/** Where a file was found. */
interface Place {
  readonly realRoot: string
  readonly real: string
  readonly relative: string
}

async function describe(fd: number, { realRoot, real, relative }: Place): Promise<Opened> {
  const stat = await statFd(fd)
  const now = await pathOf(fd, real)
  if (!isInside(realRoot, now) || isHidden(realRoot, now, relative))
    return { kind: 'refused', detail: 'the file was moved' }
  if (stat.isDirectory()) return { kind: 'folder' }
  if (!stat.isFile()) return { kind: 'refused', detail: 'not a regular file' }
  return { kind: 'file', fd, stat }
}

/**
 * Where an open file really stands: a folder on the way may have become a link between the look and the open.
 * Linux knows; elsewhere we look a second time.
 */
async function pathOf(fd: number, real: string): Promise<string> {
  try {
    return await linkText(`/proc/self/fd/${fd}`)
  } catch {
    return resolveLinks(real)
  }
}

/** Compared with the separator: `/srv/static-old` is not inside `/srv/static`. */
function isInside(realRoot: string, real: string): boolean {
  return real === realRoot || real.startsWith(realRoot.endsWith('/') ? realRoot : `${realRoot}/`)
}

/**
 * Is there a dotfile or such a folder on the way that the name itself does not go through? Names that begin
 * with two dots are those by which Kubernetes switches its volumes.
 */
function isHidden(realRoot: string, real: string, relative: string): boolean {
  const below = real.slice(realRoot.length)
  if (!below.includes('/.')) return false
  const named = relative.split('/')
  return below.split('/').some(part => /^\.(?!\.)/.test(part) && !named.includes(part))
}

function refusal(error: unknown): Opened {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (!ABSENT.has(code)) throw error
  return { kind: 'refused', detail: code }
}

function ignore(): void {}
