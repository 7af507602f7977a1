import { type BigIntStats, read } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Clock } from '../base/clock.ts'
import type { Coding } from '../http/coding.ts'
import { mediaTypeOf } from '../http/media.ts'
import { encodePath } from '../http/path.ts'
import { belowRoute } from './file-path.ts'
import { closeQuietly, type Opened, openInside, statIfThere, statOpen } from './open-file.ts'
import { Representation } from './representation.ts'
import type { Resource, WatchedPath } from './resource.ts'

/** Files up to this size are kept in memory. */
export const MAX_HELD_BYTES = 64 * 1024

/** Siblings in order of preference at equal weight. */
const SIBLINGS: readonly (readonly [coding: Coding, ending: string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
]

/** What a static route serves: `path` stands for the folder `root`, as nginx's `alias` has it. */
export interface StaticSite {
  readonly root: string
  /** Names tried in order for a path that ends in `/`. */
  readonly index: readonly string[]
  /** Decoded. */
  readonly routePath: string
}

interface Loaded {
  readonly stat: BigIntStats
  readonly body: Buffer | undefined
}

const readFd = promisify(read)

/** Reads from disk what a path stands for. Cold path: promises, and one open descriptor at a time. */
export class ResourceLoader {
  readonly #site: StaticSite
  readonly #clock: Clock

  constructor(site: StaticSite, clock: Clock) {
    this.#site = site
    this.#clock = clock
  }

  /** `decoded` passed `readFilePath`. Throws only what `openInside` throws. */
  async load(decoded: string): Promise<Resource> {
    const relative = belowRoute(decoded, this.#site.routePath)
    if (relative === undefined) return { kind: 'missing', detail: 'not below the route' }
    return decoded.endsWith('/') ? this.#loadIndex(relative) : this.#loadName(relative, decoded)
  }

  /** True as long as the disk still says what it said when the resource was loaded. */
  async isCurrent(watched: readonly WatchedPath[]): Promise<boolean> {
    const stats = await Promise.all(watched.map(({ path }) => statIfThere(path)))
    return watched.every(({ stamp }, i) => stampOf(stats[i]) === stamp)
  }

  async #loadIndex(folder: string): Promise<Resource> {
    const watched: WatchedPath[] = []
    for (const name of this.#site.index) {
      const opened = await openInside(this.#site.root, folder + name)
      if (opened.kind === 'file') return this.#loadFile(opened, folder + name, watched)
      watched.push(this.#watch(folder + name, undefined))
    }
    return { kind: 'missing', detail: 'no index file' }
  }

  async #loadName(relative: string, decoded: string): Promise<Resource> {
    const opened = await openInside(this.#site.root, relative)
    switch (opened.kind) {
      case 'file':
        return this.#loadFile(opened, relative, [])
      case 'folder':
        return { kind: 'redirect', location: `${encodePath(decoded)}/` }
      case 'refused':
        return { kind: 'missing', detail: opened.detail }
    }
  }

  async #loadFile(
    opened: Opened & { readonly kind: 'file' },
    relative: string,
    absent: readonly WatchedPath[],
  ): Promise<Resource> {
    const plain = await takeIn(opened)
    const watched = [...absent, this.#watch(relative, plain.stat)]
    const siblings: (readonly [Coding, Loaded])[] = []
    for (const [coding, ending] of SIBLINGS) {
      const sibling = await this.#loadSibling(relative + ending)
      watched.push(this.#watch(relative + ending, sibling?.stat))
      // An older one was made from what the file was before.
      if (sibling !== undefined && sibling.stat.mtimeNs >= plain.stat.mtimeNs)
        siblings.push([coding, sibling])
    }
    return this.#assemble(relative, plain, siblings, watched)
  }

  async #loadSibling(relative: string): Promise<Loaded | undefined> {
    const opened = await openInside(this.#site.root, relative)
    return opened.kind === 'file' ? takeIn(opened) : undefined
  }

  #assemble(
    relative: string,
    plain: Loaded,
    siblings: readonly (readonly [Coding, Loaded])[],
    watched: readonly WatchedPath[],
  ): Resource {
    const shared = {
      mediaType: mediaTypeOf(relative === '' ? this.#site.root : relative),
      varies: siblings.length > 0,
      wallMs: this.#clock.wall(),
    }
    const coded = siblings.map(([coding, loaded]) => new Representation({ ...shared, ...loaded, coding }))
    return {
      kind: 'file',
      relative,
      mediaType: shared.mediaType,
      plain: new Representation({ ...shared, ...plain, coding: undefined }),
      coded,
      codings: siblings.map(([coding]) => coding),
      bytes: [plain, ...siblings.map(([, loaded]) => loaded)].reduce(
        (sum, { body }) => sum + (body?.length ?? 0),
        0,
      ),
      watched,
    }
  }

  #watch(relative: string, stat: BigIntStats | undefined): WatchedPath {
    return { path: join(this.#site.root, relative), stamp: stampOf(stat) }
  }
}

/** The ending of a coding's sibling; '' for the plain file. */
export function endingOf(coding: Coding | undefined): string {
  return SIBLINGS.find(([name]) => name === coding)?.[1] ?? ''
}

/** Reads a small file and closes it. */
async function takeIn({ fd, stat }: Opened & { readonly kind: 'file' }): Promise<Loaded> {
  try {
    return { stat, body: stat.size <= MAX_HELD_BYTES ? await readSettled(fd, stat) : undefined }
  } finally {
    closeQuietly(fd)
  }
}

/** The whole body; undefined if the file changed meanwhile, so that no half-written state is kept. */
async function readSettled(fd: number, stat: BigIntStats): Promise<Buffer | undefined> {
  const size = Number(stat.size)
  // One byte more than there should be, to notice growth.
  const buffer = Buffer.allocUnsafeSlow(size + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await readFd(fd, buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  const settled = length === size && stampOf(await statOpen(fd)) === stampOf(stat)
  return settled ? buffer.subarray(0, length) : undefined
}

/** Changes whenever the file, its content or its permissions do. */
function stampOf(stat: BigIntStats | undefined): string {
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
}
