import type { ThreadEnv } from '../base/thread-env.ts'
import { decodePath } from '../http/path.ts'
import type { CacheBounds } from './bounded-cache.ts'
import { FileShelf } from './file-shelf.ts'
import { Gate } from './gate.ts'

/** Looks at the disk that one thread has going at a time: each holds a descriptor at most. */
const MAX_LOADS = 32

const DEFAULT_BOUNDS: CacheBounds = { entries: 8192, bytes: 32 * 1024 * 1024 }

/**
 * The static files that one data thread has in memory. It outlives snapshots: a route that did not change
 * finds its files still there, and what no route uses any more is left to the garbage collector.
 */
export class FileStore {
  readonly #env: ThreadEnv
  readonly #bounds: CacheBounds
  readonly #gate = new Gate(MAX_LOADS)
  readonly #shelves = new Map<string, WeakRef<FileShelf>>()

  /** `bounds` are for each route. */
  constructor(env: ThreadEnv, bounds: CacheBounds = DEFAULT_BOUNDS) {
    this.#env = env
    this.#bounds = bounds
  }

  /** The shelf of a route: the same one as long as root, index and path are the same. */
  shelf(root: string, index: readonly string[], routePath: string): FileShelf {
    const key = JSON.stringify([root, index, routePath])
    const known = this.#shelves.get(key)?.deref()
    if (known !== undefined) return known
    const site = { root, index, routePath: decodePath(routePath) ?? routePath }
    const shelf = new FileShelf(site, this.#env.clock, this.#gate, this.#bounds)
    this.#dropDead()
    this.#shelves.set(key, new WeakRef(shelf))
    return shelf
  }

  #dropDead(): void {
    for (const [key, shelf] of this.#shelves) {
      if (shelf.deref() === undefined) this.#shelves.delete(key)
    }
  }
}
