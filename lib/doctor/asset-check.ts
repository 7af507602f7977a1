import { type Answer, fieldOf, type Outcome } from './answer.ts'
import { type Finding, hint, ok, problem } from './finding.ts'
import { type Names, staticRouteOf } from './names.ts'

const CHECK = 'static'
/** Smaller texts gain nothing from compression. */
const WORTH_COMPRESSING_BYTES = 1024
const MONTH_SECONDS = 30 * 24 * 60 * 60
/** As ManifestStaticFilesStorage writes names: `site.27e20196a850.css`. */
const HASHED = /\.[0-9a-f]{12}\.(?:css|m?js)$/

/** Do the page's style sheets and scripts arrive, as what they are, compressed, and to be kept? */
export function checkAssets(assets: readonly Outcome[], names: Names): Finding[] {
  const findings = assets.map(asset => checkAsset(asset, names)).filter(finding => finding !== undefined)
  // One of each kind says it all.
  const kinds = new Map(findings.toReversed().map(finding => [`${finding.what}${finding.fix}`, finding]))
  if (kinds.size > 0) return [...kinds.values()].toReversed()
  return assets.length === 0
    ? []
    : [ok(CHECK, assets[0]?.url ?? '', `${assets.length} files are served correctly`)]
}

function checkAsset(asset: Outcome, names: Names): Finding | undefined {
  if (asset.kind === 'failure') return problem(CHECK, asset.url, asset.reason, 'check the log of Causeway')
  const path = new URL(asset.url).pathname
  if (asset.status !== 200)
    return problem(CHECK, asset.url, `${asset.status}: not served`, adviceFor(path, names))
  const type = fieldOf(asset, 'content-type') ?? 'no type'
  const expected = path.endsWith('.css') ? /^text\/css\b/i : /^(?:text|application)\/(?:x-)?javascript\b/i
  if (/\.(?:css|m?js)$/.test(path) && !expected.test(type)) {
    const what = `is served as ${type}, so browsers ignore it`
    return problem(CHECK, asset.url, what, adviceFor(path, names))
  }
  return checkCaching(asset, path, names) ?? checkCoding(asset, path, names)
}

function adviceFor(path: string, names: Names): string {
  const route = staticRouteOf(names, path)
  if (route?.action.kind === 'static') {
    return `run python manage.py collectstatic with Django: STATIC_ROOT = Causeway: routes.${route.name}.static.root = "${route.action.root}"`
  }
  const prefix = /^\/[^/]+\//.exec(path)?.[0] ?? '/static/'
  return `Causeway: [routes.static] path = "${prefix}", static = { root = "<STATIC_ROOT of Django>" }, and run python manage.py collectstatic`
}

function checkCaching(asset: Answer, path: string, names: Names): Finding | undefined {
  const name = staticRouteOf(names, path)?.name ?? 'NAME'
  const policy = fieldOf(asset, 'cache-control')
  const seconds = Number(/max-age=(\d+)/i.exec(policy ?? '')?.[1] ?? 0)
  if (HASHED.test(path) && seconds < MONTH_SECONDS) {
    const fix = `Causeway: routes.${name}.static.manifest = true, with staticfiles.json in the folder`
    return hint(CHECK, asset.url, 'has a content hash in its name, but is not cached as immutable', fix)
  }
  const validator = fieldOf(asset, 'etag') ?? fieldOf(asset, 'last-modified')
  if (validator === undefined && seconds === 0) {
    const fix = `serve it from Causeway (routes.${name}.static), not from the app`
    return hint(CHECK, asset.url, 'has neither ETag nor max-age: browsers download it again each time', fix)
  }
  return undefined
}

function checkCoding(asset: Answer, path: string, names: Names): Finding | undefined {
  const coding = fieldOf(asset, 'content-encoding')
  if (coding !== undefined || asset.text.length < WORTH_COMPRESSING_BYTES) return undefined
  const name = staticRouteOf(names, path)?.name ?? 'NAME'
  const fix = `Causeway: routes.${name}.static.compress = true, or add .br and .gz files next to the files`
  return hint(CHECK, asset.url, 'is sent uncompressed', fix)
}
