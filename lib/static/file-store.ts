import { Kept, KeptKind } from '../base/kept.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import { decodePath } from '../http/path.ts'
import type { CacheBounds } from './bounded-cache.ts'
import { Coder } from './coder.ts'
import { FileShelf } from './file-shelf.ts'
import { Gate } from './gate.ts'
import { ManifestWatch } from './manifest-watch.ts'
import type { StaticLoad } from './static-measures.ts'
import { NO_OBSERVER, type StaticObserver } from './static-observer.ts'

/** Looks at the disk that one thread has going at a time: each holds a descriptor at most. */
const MAX_LOADS = 32

/** Of each route, in each data thread. */
const DEFAULT_BOUNDS: CacheBounds = { entries: 8192, bytes: 32 * 1024 * 1024 }
/** Bytes of files that manifests name, held for after a deploy: of each root, in each data thread. */
const DEFAULT_HELD_BYTES = 16 * 1024 * 1024

/** What tells one shelf from another. */
export interface ShelfOptions {
  readonly root: string
  readonly index: readonly string[]
  readonly routePath: string
  /** Read the manifests of Django and Vite. */
  readonly manifest: boolean
  /** How long files of an earlier manifest stay; 0: not beyond their removal. */
  readonly keepMs: number
  readonly compress: boolean
  readonly cacheControl: string | undefined
}

export interface StoreOptions {
  readonly observer?: StaticObserver
  readonly bounds?: CacheBounds
  readonly heldBytes?: number
  /** Where its shelves are kept. */
  readonly kept?: Kept
}

const SHELF = new KeptKind<FileShelf>('shelf')
const WATCH = new KeptKind<ManifestWatch>('manifest watch')

/**
 * The static files that one data thread has in memory. It outlives snapshots: a route that did not change
 * finds its files still there, and what no route uses any more is left to the garbage collector.
 */
export class FileStore {
  readonly #env: ThreadEnv
  readonly #observer: StaticObserver
  readonly #bounds: CacheBounds
  readonly #heldBytes: number
  readonly #gate = new Gate(MAX_LOADS)
  readonly #coder: Coder
  readonly #kept: Kept

  constructor(env: ThreadEnv, options: StoreOptions = {}) {
    this.#env = env
    this.#kept = options.kept ?? new Kept()
    this.#observer = options.observer ?? NO_OBSERVER
    this.#coder = new Coder(this.#observer)
    this.#bounds = options.bounds ?? DEFAULT_BOUNDS
    this.#heldBytes = options.heldBytes ?? DEFAULT_HELD_BYTES
  }

  /** What is in memory now. */
  get load(): StaticLoad {
    const load = { cacheBytes: 0, heldBytes: 0, heldFiles: 0, names: 0, leaving: 0 }
    for (const shelf of this.#kept.values(SHELF)) load.cacheBytes += shelf.bytes
    for (const watch of this.#kept.values(WATCH)) {
      load.heldBytes += watch.heldBytes
      load.heldFiles += watch.heldFiles
      load.names += watch.currentNames
      load.leaving += watch.leavingNames
    }
    return load
  }

  /** The shelf of a route: the same one as long as its options are the same. */
  shelf(options: ShelfOptions): FileShelf {
    const { root, index, routePath, manifest, keepMs, compress, cacheControl } = options
    const key = JSON.stringify([root, index, routePath, manifest, keepMs, compress, cacheControl])
    return this.#kept.get(SHELF, key, () => {
      const site = { root, index, routePath: decodePath(routePath) ?? routePath, compress, cacheControl }
      const watch = manifest ? this.#watch(root, keepMs) : undefined
      const { clock, descriptors } = this.#env
      return new FileShelf({
        site,
        watch,
        clock,
        descriptors,
        gate: this.#gate,
        coder: this.#coder,
        bounds: this.#bounds,
      })
    })
  }

  /**
   * Shared by all routes of a root, so that another Cache-Control does not forget the files of the last
   * release.
   */
  #watch(root: string, keepMs: number): ManifestWatch {
    return this.#kept.get(WATCH, JSON.stringify([root, keepMs]), () => {
      const maxHeldBytes = this.#heldBytes
      return new ManifestWatch({ root, keepMs, maxHeldBytes, env: this.#env, observer: this.#observer })
    })
  }
}
