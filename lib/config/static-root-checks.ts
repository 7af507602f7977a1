import { closeSync, existsSync, opendirSync, openSync, readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { Subject } from './references.ts'
import type { Settings } from './settings.ts'
import { placeOf } from './tree.ts'

type Route = Settings['routes'] extends ReadonlyMap<string, infer T> ? T : never

// Only a warning: a volume may be mounted, or `collectstatic` run, after the start.
export function checkRoot({ settings, root, report }: Subject, name: string, route: Route): void {
  if (route.static === undefined) return
  const { root: folder, internal } = route.static
  const trouble =
    rootTrouble(folder, route.path) ?? (internal ? undefined : adminTrouble(folder, route, settings))
  if (trouble === undefined) return
  const at = placeOf(root, ['routes', name, 'static', 'root'])
  report.warning(at, `the static root ${resolve(folder)} ${trouble.what}`, trouble.hint)
}

interface RootTrouble {
  readonly what: string
  readonly hint: string
}

function rootTrouble(folder: string, path: string): RootTrouble | undefined {
  const hint = 'create it (Django: python manage.py collectstatic), or correct root'
  try {
    const isFolder = statSync(folder).isDirectory()
    // A path without a slash at its end may stand for one file.
    if (!isFolder && path.endsWith('/')) return { what: 'is not a folder: its files will get 404', hint }
    if (isFolder) tryFolder(folder)
    else closeSync(openSync(folder, 'r'))
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EACCES' && code !== 'EPERM') return { what: 'does not exist: its files will get 404', hint }
    return {
      what: `cannot be read by this user (uid ${process.geteuid?.() ?? 'unknown'}): its files will get 404`,
      hint: 'grant this user read permission for the folder and search permission for its parents (chmod o+rX), or run as its owner',
    }
  }
}

/**
 * Throws if this user may not list the folder or not enter it. By deed: access(2) would ask for another user
 * id.
 */
function tryFolder(folder: string): void {
  opendirSync(folder).closeSync()
  statSync(`${folder}/.`)
}

/** Django's admin without its styles is how a wrong STATIC_ROOT shows first. */
function adminTrouble(folder: string, { path }: Route, settings: Settings): RootTrouble | undefined {
  if (!statSync(folder).isDirectory() || existsSync(join(folder, 'admin'))) return undefined
  const collected = existsSync(join(folder, 'staticfiles.json'))
  const underStatic = path === '/static/' || path === '/static'
  if (underStatic && readdirSync(folder).every(name => name.startsWith('.'))) {
    return {
      what: 'is empty: its files will get 404',
      hint: 'run python manage.py collectstatic, and make sure that STATIC_ROOT or its volume is this folder',
    }
  }
  if (!collected && !(underStatic && (hasPythonApp(settings) || COLLECTED.has(basename(folder)))))
    return undefined
  return {
    what: "has no admin folder: the pages of Django's admin will be unstyled",
    hint: 'run python manage.py collectstatic, and make sure that STATIC_ROOT is this folder; a site without the admin can ignore this',
  }
}

/** Usual last names of STATIC_ROOT. */
const COLLECTED = new Set([
  'staticfiles',
  'static_root',
  'staticroot',
  'static_collected',
  'collected_static',
])

function hasPythonApp({ upstreams }: Settings): boolean {
  for (const { server, endpoints, run } of upstreams.values()) {
    if (server !== 'auto' || (endpoints ?? []).some(({ address }) => address.protocol === 'uwsgi'))
      return true
    if (/python|manage\.py|gunicorn|uvicorn|hypercorn|daphne|uwsgi/.test(run?.command.join(' ') ?? ''))
      return true
  }
  return false
}
