import type { BigIntStats } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { type Coding, CodingChoices } from '../http/coding.ts'
import { isCompressible, mediaTypeOf } from '../http/media.ts'
import { encodePath } from '../http/path.ts'
import { MAX_CODED_BYTES, MIN_CODED_BYTES } from './coder.ts'
import { type Loaded, stampOf, takeIn, takeInName } from './file-bytes.ts'
import { belowRoute } from './file-path.ts'
import { isPrivateName } from './manifest.ts'
import type { ManifestWatch } from './manifest-watch.ts'
import { type Opened, openInside, statIfThere } from './open-file.ts'
import { MAX_HELD_BYTES, Representation } from './representation.ts'
import type { FileResource, Resource, WatchedPath } from './resource.ts'

/** Siblings in order of preference at equal weight. */
const SIBLINGS: readonly (readonly [coding: Coding, ending: string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
]

const ALL_CODINGS = SIBLINGS.map(([coding]) => coding)

/** Of names whose content never changes (RFC 8246); a year is what caches are told for "for ever". */
const FOR_EVER = 'public, max-age=31536000, immutable'
/**
 * Of other names where a manifest is in force. Without a word browsers guess a time (RFC 9111 4.2.2) and may
 * go on with an old `index.html`, whose hashed files are gone. Without a manifest we say nothing, as other
 * file servers do: the files may be photographs.
 */
const ASK_EACH_TIME = 'no-cache'

/** What a static route serves: `path` stands for the folder `root`, as nginx's `alias` has it. */
export interface StaticSite {
  readonly root: string
  /** Names tried in order for a path that ends in `/`. */
  readonly index: readonly string[]
  /** Decoded. */
  readonly routePath: string
  /** Compress what has no siblings. */
  readonly compress: boolean
  /** Of names without a content hash; undefined for the usual. */
  readonly cacheControl: string | undefined
}

/** Siblings by their coding. */
type Siblings = readonly (readonly [coding: Coding, loaded: Loaded])[]

interface Parts {
  readonly key: string
  readonly relative: string
  readonly plain: Loaded
  readonly siblings: Siblings
  readonly held: boolean
  readonly watched: readonly WatchedPath[]
}

/** Reads from disk what a path stands for. Cold path: promises, and one open descriptor at a time. */
export class ResourceLoader {
  readonly #site: StaticSite
  readonly #watch: ManifestWatch | undefined
  readonly #clock: Clock
  /** One for each set of codings, for all files. */
  readonly #choices = new Map<string, CodingChoices>()

  constructor(site: StaticSite, watch: ManifestWatch | undefined, clock: Clock) {
    this.#site = site
    this.#watch = watch
    this.#clock = clock
  }

  /** `decoded` passed `readFilePath`. Throws only what `openInside` throws. */
  async load(key: string, decoded: string): Promise<Resource> {
    const relative = belowRoute(decoded, this.#site.routePath)
    if (relative === undefined) return { kind: 'missing', detail: 'not below the route' }
    await this.#watch?.ready
    if (decoded.endsWith('/')) return this.#loadIndex(key, relative)
    if (isPrivateName(relative)) return { kind: 'missing', detail: 'manifests are not served' }
    return this.#loadName(key, relative, decoded)
  }

  /** True as long as disk and manifests still say what they said when the resource was loaded. */
  async isCurrent({ watched, release }: FileResource): Promise<boolean> {
    if (release !== this.#release) return false
    const stats = await Promise.all(watched.map(({ path }) => statIfThere(path)))
    return watched.every(({ stamp }, i) => stampOf(stats[i]) === stamp)
  }

  get #release(): number {
    return this.#watch?.number ?? 0
  }

  async #loadIndex(key: string, folder: string): Promise<Resource> {
    const watched: WatchedPath[] = []
    for (const name of this.#site.index) {
      const opened = await openInside(this.#site.root, folder + name)
      if (opened.kind === 'file') return this.#loadFile(key, opened, folder + name, watched)
      watched.push(this.#watchPath(folder + name, undefined))
    }
    return { kind: 'missing', detail: 'no index file' }
  }

  async #loadName(key: string, relative: string, decoded: string): Promise<Resource> {
    const opened = await openInside(this.#site.root, relative)
    switch (opened.kind) {
      case 'file':
        return this.#loadFile(key, opened, relative, [])
      case 'folder':
        return { kind: 'redirect', location: `${encodePath(decoded)}/` }
      case 'refused':
        return this.#loadHeld(key, relative, opened.detail)
    }
  }

  /** What a deploy has removed, if it is held. */
  #loadHeld(key: string, relative: string, detail: string): Resource {
    const held = detail === 'ENOENT' || detail === 'ENOTDIR' ? this.#watch?.held(relative) : undefined
    if (held === undefined) return { kind: 'missing', detail }
    const watched = [this.#watchPath(relative, undefined)]
    return this.#assemble({ key, relative, plain: held, siblings: [], held: true, watched })
  }

  async #loadFile(
    key: string,
    opened: Opened & { readonly kind: 'file' },
    relative: string,
    absent: readonly WatchedPath[],
  ): Promise<Resource> {
    const plain = await takeIn(opened, MAX_HELD_BYTES)
    const watched = [...absent, this.#watchPath(relative, plain.stat)]
    const siblings: (readonly [Coding, Loaded])[] = []
    for (const [coding, ending] of SIBLINGS) {
      const sibling = await takeInName(this.#site.root, relative + ending, MAX_HELD_BYTES)
      watched.push(this.#watchPath(relative + ending, sibling?.stat))
      // An older one was made from what the file was before.
      if (sibling !== undefined && sibling.stat.mtimeNs >= plain.stat.mtimeNs)
        siblings.push([coding, sibling])
    }
    return this.#assemble({ key, relative, plain, siblings, held: false, watched })
  }

  #assemble({ key, relative, plain, siblings, held, watched }: Parts): FileResource {
    const mediaType = mediaTypeOf(relative === '' ? this.#site.root : relative)
    const codings = siblings.map(([coding]) => coding)
    const choices = this.#choicesOf(this.#mayCode(mediaType, plain, siblings) ? ALL_CODINGS : codings)
    const shared = {
      mediaType,
      source: 'disk' as const,
      varies: choices.offered.length > 0,
      cacheControl: this.#cacheControlOf(relative),
      wallMs: this.#clock.wall(),
    }
    return {
      kind: 'file',
      key,
      relative,
      mediaType,
      plain: new Representation({ ...shared, ...plain, coding: undefined }),
      coded: siblings.map(([coding, loaded]) => new Representation({ ...shared, ...loaded, coding })),
      codings,
      choices,
      identity: stampOf(plain.stat),
      held,
      release: this.#release,
      bytes: [plain, ...siblings.map(([, loaded]) => loaded)].reduce(
        (sum, { body }) => sum + (body?.length ?? 0),
        0,
      ),
      watched,
    }
  }

  #choicesOf(codings: readonly Coding[]): CodingChoices {
    const key = codings.join()
    const choices = this.#choices.get(key) ?? new CodingChoices(codings)
    this.#choices.set(key, choices)
    return choices
  }

  /** Who put a sibling there has decided what is sent. */
  #mayCode(mediaType: string, { stat }: Loaded, siblings: Siblings): boolean {
    if (!this.#site.compress || siblings.length > 0 || !isCompressible(mediaType)) return false
    return stat.size >= MIN_CODED_BYTES && stat.size <= MAX_CODED_BYTES
  }

  #cacheControlOf(relative: string): string | undefined {
    if (this.#watch?.names(relative)) return FOR_EVER
    return this.#site.cacheControl ?? (this.#watch?.known ? ASK_EACH_TIME : undefined)
  }

  #watchPath(relative: string, stat: BigIntStats | undefined): WatchedPath {
    return { path: join(this.#site.root, relative), stamp: stampOf(stat) }
  }
}

/** The ending of a coding's sibling; '' for the plain file. */
export function endingOf(coding: Coding | undefined): string {
  return SIBLINGS.find(([name]) => name === coding)?.[1] ?? ''
}
