import type { Clock } from '../base/clock.ts'
import type { Descriptors } from '../base/descriptors.ts'
import { OutOfDescriptors } from '../base/local-error.ts'
import type { Coding } from '../http/coding.ts'
import { BoundedCache, type CacheBounds } from './bounded-cache.ts'
import { carryOver, withCoding } from './coded-resource.ts'
import type { Coder } from './coder.ts'
import { pathBelowRoute, readFilePath } from './file-path.ts'
import type { Gate } from './gate.ts'
import type { ManifestWatch } from './manifest-watch.ts'
import type { FileResource, Resource } from './resource.ts'
import { ResourceLoader, type StaticSite } from './resource-loader.ts'

/** For this long a look at the disk counts. */
const TRUST_MS = 1000
/** Until then an answer may still come from memory while the disk is asked; nothing older is served. */
const STALE_MS = 2000
/** Beside its bodies an entry holds heads, stamps and strings: about this much. */
const ENTRY_BYTES = 2048
/** So many files with all their codings must fit into the bytes that a route may hold. */
const MIN_ENTRIES = 4
/** Misses and redirects: small, and many when somebody scans. */
const BRIEF_BOUNDS: CacheBounds = { entries: 1024, bytes: 4 * 1024 * 1024 }

const NO_SUCH_NAME: Resource = { kind: 'missing', detail: 'not a valid file name' }

/** Who waits for the disk. */
export interface ResourceWaiter {
  resourceReady(resource: Resource): void
  resourceFailed(error: unknown): void
}

/** What a shelf works with. */
export interface ShelfParts {
  readonly site: StaticSite
  /** undefined where manifests are not read. */
  readonly watch: ManifestWatch | undefined
  readonly clock: Clock
  readonly descriptors: Descriptors
  readonly gate: Gate
  readonly coder: Coder
  readonly bounds: CacheBounds
}

interface Entry {
  readonly resource: Resource
  /** When the last look at the disk that found it so began. */
  checkedMs: number
}

/** What one static route of one thread has in memory: files, and for a second what is not there. */
export class FileShelf {
  readonly site: StaticSite
  readonly clock: Clock
  readonly watch: ManifestWatch | undefined
  readonly #loader: ResourceLoader
  readonly #descriptors: Descriptors
  readonly #gate: Gate
  readonly #coder: Coder
  readonly #bounds: CacheBounds
  readonly #files: BoundedCache<Entry>
  readonly #brief = new BoundedCache<Entry>(BRIEF_BOUNDS)
  readonly #pending = new Map<string, ResourceWaiter[]>()

  constructor({ site, watch, clock, descriptors, gate, coder, bounds }: ShelfParts) {
    this.site = site
    this.clock = clock
    this.watch = watch
    this.#loader = new ResourceLoader(site, watch, clock)
    this.#descriptors = descriptors
    this.#gate = gate
    this.#coder = coder
    this.#bounds = bounds
    this.#files = new BoundedCache(bounds)
  }

  /** Bytes held, what belongs to the entries included. */
  get bytes(): number {
    return this.#files.bytes + this.#brief.bytes
  }

  /** Paths held. */
  get size(): number {
    return this.#files.size + this.#brief.size
  }

  /**
   * What a request path stands for, if that is known well enough to answer at once; else `wait` for it. Hot:
   * for a file in memory that was asked for in its usual spelling this is one look-up.
   */
  find(path: string): Resource | undefined {
    const entry = this.#files.get(path)
    return entry === undefined ? this.#findOther(path) : this.#fresh(path, entry)
  }

  /** Tells the waiter once the disk was asked, also that it failed. */
  wait(path: string, waiter: ResourceWaiter): void {
    const key = readFilePath(path)
    if (key === undefined) waiter.resourceReady(NO_SUCH_NAME)
    else this.#join(key.canonical, waiter)
  }

  /** The request path that stands for a name below the root. */
  pathOf(relative: string): string {
    return pathBelowRoute(relative, this.site.routePath)
  }

  /** Somebody takes a coding that the file does not have yet: later answers shall have it. */
  want(resource: FileResource, coding: Coding): void {
    this.#coder.want(this.site.root, resource, coding, this.#coded)
  }

  /** The disk says otherwise: ask it before the next answer. */
  forget(path: string): void {
    const key = readFilePath(path)?.canonical
    if (key !== undefined) this.#files.delete(key)
  }

  /** Escaped or missing: not the usual case. */
  #findOther(path: string): Resource | undefined {
    const key = readFilePath(path)
    if (key === undefined) return NO_SUCH_NAME
    const file = key.canonical === path ? undefined : this.#files.get(key.canonical)
    if (file !== undefined) return this.#fresh(key.canonical, file)
    const entry = this.#brief.get(key.canonical)
    return entry !== undefined && this.#ageMs(entry) < TRUST_MS ? entry.resource : undefined
  }

  #fresh(key: string, entry: Entry): Resource | undefined {
    const ageMs = this.#ageMs(entry)
    if (ageMs < TRUST_MS) return entry.resource
    if (ageMs >= STALE_MS) return undefined
    this.#join(key, undefined)
    return entry.resource
  }

  #ageMs(entry: Entry): number {
    return this.clock.now() - entry.checkedMs
  }

  /** However many ask for a path, the disk is asked once. */
  #join(key: string, waiter: ResourceWaiter | undefined): void {
    const waiting = this.#pending.get(key)
    if (waiting !== undefined) {
      if (waiter !== undefined) waiting.push(waiter)
      return
    }
    this.#pending.set(key, waiter === undefined ? [] : [waiter])
    void this.#ask(key)
  }

  async #ask(key: string): Promise<void> {
    await this.#gate.enter()
    let resource: Resource | undefined
    let failure: unknown
    try {
      resource = await this.#counted(key)
    } catch (error) {
      failure = error
    } finally {
      this.#gate.leave()
    }
    const waiting = this.#pending.get(key) ?? []
    this.#pending.delete(key)
    for (const waiter of waiting) {
      if (resource === undefined) waiter.resourceFailed(failure)
      else waiter.resourceReady(resource)
    }
  }

  /** One descriptor is open at a time. */
  async #counted(key: string): Promise<Resource> {
    if (!this.#descriptors.takeFor(1)) throw new OutOfDescriptors()
    try {
      return await this.#refresh(key)
    } finally {
      this.#descriptors.give()
    }
  }

  async #refresh(key: string): Promise<Resource> {
    const checkedMs = this.clock.now()
    const entry = this.#files.get(key)
    const before = entry?.resource.kind === 'file' ? entry.resource : undefined
    if (entry !== undefined && before !== undefined && (await this.#loader.isCurrent(before))) {
      entry.checkedMs = checkedMs
      return entry.resource
    }
    const loaded = await this.#loader.load(key, readFilePath(key)?.decoded ?? key)
    const known = before !== undefined && loaded.kind === 'file'
    const resource = known ? carryOver(before, loaded) : loaded
    this.#keep(key, { resource, checkedMs })
    return resource
  }

  readonly #coded = (wanted: FileResource, coding: Coding, body: Buffer | undefined): void => {
    const entry = this.#files.get(wanted.key)
    const resource = entry?.resource
    if (entry === undefined || resource?.kind !== 'file' || resource.identity !== wanted.identity) return
    if (resource.codings.includes(coding)) return
    // What alone takes much of the room would push all else out.
    const fits = body !== undefined && (resource.bytes + body.length) * MIN_ENTRIES <= this.#bounds.bytes
    const next = withCoding(resource, coding, fits ? body : undefined)
    this.#keep(wanted.key, { resource: next, checkedMs: entry.checkedMs })
  }

  #keep(key: string, entry: Entry): void {
    const { resource } = entry
    const bytes = ENTRY_BYTES + key.length
    if (resource.kind === 'file') {
      this.#brief.delete(key)
      this.#files.set(key, entry, bytes + resource.bytes)
    } else {
      this.#files.delete(key)
      this.#brief.set(key, entry, bytes)
    }
  }
}
