import type { ThreadEnv } from '../base/thread-env.ts'
import type { Deadline } from '../base/timers.ts'
import { type HeldFile, HeldFiles } from './held-files.ts'
import {
  DJANGO_MANIFEST,
  MAX_NAMES,
  readDjangoManifest,
  readViteManifest,
  VITE_MANIFESTS,
} from './manifest.ts'
import { ManifestFile } from './manifest-file.ts'
import { Releases } from './releases.ts'
import type { StaticObserver } from './static-observer.ts'

/** How often the manifests of a root are looked at. */
export const LOOK_MS = 2000

export interface ManifestWatchOptions {
  readonly root: string
  /** How long names that only an earlier manifest has are kept; 0: not at all, and then no file is held. */
  readonly keepMs: number
  /** Bytes of files held in memory for that time. */
  readonly maxHeldBytes: number
  readonly env: ThreadEnv
  readonly observer: StaticObserver
}

/**
 * Knows the manifests of one root, and holds the files they name for when a deploy has removed them. Looks by
 * the thread's timers for as long as anybody uses it, never for a request. Because `collectstatic --clear`
 * deletes before it writes, files are read when their manifest is learned, not when it is replaced.
 */
export class ManifestWatch {
  /** Settles once the manifests have been looked at for the first time. */
  readonly ready: Promise<void>
  readonly #options: ManifestWatchOptions
  readonly #files: readonly ManifestFile[]
  readonly #releases: Releases
  readonly #held: HeldFiles
  /** What each manifest said when it was last learned. */
  #sets: readonly ReadonlySet<string>[] = []
  #looking = false
  /** Number of the releases that were last held, and told. */
  #filled = 0
  #filling = false

  constructor(options: ManifestWatchOptions) {
    const { root, keepMs, maxHeldBytes, env } = options
    this.#options = options
    this.#files = [
      new ManifestFile(root, DJANGO_MANIFEST, readDjangoManifest),
      ...VITE_MANIFESTS.map(name => new ManifestFile(root, name, readViteManifest)),
    ]
    this.#releases = new Releases(keepMs, MAX_NAMES)
    this.#held = new HeldFiles(root, maxHeldBytes)
    this.ready = this.#look()
    env.timers.arm(new LookTimer(this, env), LOOK_MS)
  }

  /** Rises when names or their time have changed: what was said of a file before may be wrong now. */
  get number(): number {
    return this.#releases.number
  }

  /** True where a manifest is in force. */
  get known(): boolean {
    return this.#releases.known
  }

  /** Names in the newest manifests, and those that only earlier ones have. */
  get currentNames(): number {
    return this.#releases.current.size
  }

  get leavingNames(): number {
    return this.#releases.leaving
  }

  /** Bytes and files in memory for old releases. */
  get heldBytes(): number {
    return this.#held.bytes
  }

  get heldFiles(): number {
    return this.#held.size
  }

  /**
   * Does a manifest, or one of those of the last `keepMs`, name this file? Its content then never changes.
   */
  names(relative: string): boolean {
    return this.#releases.names(relative)
  }

  /** A file that a manifest names and that was there when it was learned. */
  held(relative: string): HeldFile | undefined {
    return this.#releases.names(relative) ? this.#held.get(relative) : undefined
  }

  /** An answer was a held file. Hot. */
  servedHeld(): void {
    this.#options.observer.heldServed()
  }

  /** Looks now, if no look is under way. */
  look(): void {
    if (!this.#looking) void this.#look()
  }

  async #look(): Promise<void> {
    this.#looking = true
    try {
      for (const file of this.#files) {
        const trouble = await file.look()
        if (trouble !== undefined) this.#options.observer.manifestBroken(file.path, trouble)
      }
      this.#learn()
    } catch {
      // Out of descriptors or the like: the next look may do better, and requests report it.
    } finally {
      this.#looking = false
    }
    void this.#fill()
  }

  #learn(): void {
    const nowMs = this.#options.env.clock.now()
    const before = this.#releases.number
    const sets = this.#files.map(file => file.names)
    if (sets.some((names, i) => names !== this.#sets[i])) {
      const names = new Set(sets.flatMap(set => [...set]))
      if (!isSame(names, this.#releases.current)) this.#releases.take(names, nowMs)
      this.#sets = sets
    }
    this.#releases.expire(nowMs)
    if (this.#releases.number !== before) this.#held.retain(name => this.#releases.names(name))
  }

  /** Reads what the releases name into memory, once for each state of them. */
  async #fill(): Promise<void> {
    const { number } = this.#releases
    if (this.#filling || this.#filled === number) return
    this.#filling = true
    try {
      const names =
        this.#options.keepMs === 0 ? [] : [...this.#releases.leavingNames, ...this.#releases.current]
      const notHeld = await this.#held.fill(names, () => this.#releases.number === number)
      this.#filled = number
      this.#tell(notHeld)
    } catch {
      // As above: the next look fills on.
    } finally {
      this.#filling = false
    }
  }

  #tell(notHeld: number): void {
    const { observer, root } = this.#options
    const { current, leaving } = this.#releases
    const { size: heldFiles, bytes: heldBytes } = this.#held
    observer.releaseTaken(root, { names: current.size, leaving, heldFiles, heldBytes, notHeld })
  }
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every(name => other.has(name))
}

/** Holds its watch weakly: one that no route uses any more is collected, and looks no more. */
class LookTimer implements Deadline {
  dueMs = Number.POSITIVE_INFINITY
  tick: number | undefined = undefined
  readonly #watch: WeakRef<ManifestWatch>
  readonly #env: ThreadEnv

  constructor(watch: ManifestWatch, env: ThreadEnv) {
    this.#watch = new WeakRef(watch)
    this.#env = env
  }

  expired(): void {
    const watch = this.#watch.deref()
    if (watch === undefined) return
    this.#env.timers.arm(this, LOOK_MS)
    watch.look()
  }
}
