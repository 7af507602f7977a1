/** Where Django's ManifestStaticFilesStorage writes its manifest, below STATIC_ROOT. */
export const DJANGO_MANIFEST = 'staticfiles.json'
/** Where Vite writes its own, below its outDir: since Vite 5, and before. */
export const VITE_MANIFESTS = ['.vite/manifest.json', 'manifest.json'] as const

/**
 * Names in one manifest, and bytes of its text (about 30 ms of reading): what is more is taken for a mistake.
 */
export const MAX_NAMES = 50_000
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

/** What a manifest turned out to be. */
export type ManifestReading =
  /** Names of files below the root whose name tells their content. */
  | { readonly kind: 'names'; readonly names: ReadonlySet<string> }
  /** Another file of that name, such as the manifest of a web app. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'broken'; readonly reason: string }

const PRIVATE = new Set(['', '.br', '.gz', '.zst'].map(ending => DJANGO_MANIFEST + ending))

/**
 * True for a name below the root that is for the server alone: it tells an attacker every file of the site.
 * Vite's folder starts with a dot and is refused with all such names; its older `manifest.json` is not,
 * because web apps have one of that name for browsers.
 */
export function isPrivateName(relative: string): boolean {
  return relative.length <= DJANGO_MANIFEST.length + 4 && PRIVATE.has(relative.toLowerCase())
}

/** Reads `staticfiles.json`: `paths` maps plain names to names with a hash. */
export function readDjangoManifest(text: string): ManifestReading {
  const root = parse(text)
  if (root === undefined) return { kind: 'broken', reason: 'it is not JSON' }
  const paths = isTable(root) ? root['paths'] : undefined
  if (!isTable(paths)) return { kind: 'broken', reason: 'it contains no table "paths"' }
  const names = new Set<string>()
  for (const [plain, hashed] of Object.entries(paths)) {
    if (typeof hashed !== 'string') return { kind: 'broken', reason: `the name of ${plain} is not a string` }
    if (hashed !== plain) names.add(hashed)
  }
  return bounded(names)
}

/** Reads Vite's manifest: a table of chunks, each with its `file`, its `css` and its `assets`. */
export function readViteManifest(text: string): ManifestReading {
  const root = parse(text)
  if (root === undefined) return { kind: 'broken', reason: 'it is not JSON' }
  if (!isTable(root)) return { kind: 'foreign' }
  const names = new Set<string>()
  let chunks = 0
  for (const chunk of Object.values(root)) {
    if (!isTable(chunk) || typeof chunk['file'] !== 'string') continue
    chunks += 1
    for (const name of [chunk['file'], ...textsOf(chunk['css']), ...textsOf(chunk['assets'])]) {
      if (looksHashed(name)) names.add(name)
    }
  }
  return chunks === 0 && Object.keys(root).length > 0 ? { kind: 'foreign' } : bounded(names)
}

/**
 * Vite can be told to write names without a hash and lists them all the same. A hash stands behind a `-` or
 * `.` at the end of the stem: 8 characters of base64url, or 8 and more of hex; a word such as `Settings` is
 * none.
 */
export function looksHashed(name: string): boolean {
  const file = name.slice(name.lastIndexOf('/') + 1)
  const stem = file.includes('.') ? file.slice(0, file.lastIndexOf('.')) : file
  if (/[-.][0-9a-f]{8,64}$/.test(stem) && /[0-9][^-.]*$/.test(stem)) return true
  const hash = /[-.]([\w-]{8})$/.exec(stem)?.[1]
  return hash !== undefined && /[0-9_-]|.[A-Z]/.test(hash)
}

function bounded(names: ReadonlySet<string>): ManifestReading {
  if (names.size <= MAX_NAMES) return { kind: 'names', names }
  return { kind: 'broken', reason: `it has ${names.size} names; the limit is ${MAX_NAMES}` }
}

function parse(text: string): unknown {
  try {
    // A byte order mark is no JSON, but editors write it.
    return JSON.parse(text.replace(/^\ufeff/, '')) as unknown
  } catch {
    return undefined
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}
