import { resolve } from 'node:path'
import { writeTrouble } from '../base/writable-folder.ts'
import { isLoopback } from '../http/cidr.ts'
import { checkAcme } from './acme-checks.ts'
import { addressText } from './address.ts'
import { checkEndpointsFile } from './endpoints-file-checks.ts'
import { isMisspelt } from './misspelt.ts'
import type { Address } from './model.ts'
import { tomlKey } from './option.ts'
import type { Report } from './problem.ts'
import { checkReference, namesOf, type Subject } from './references.ts'
import { NAMED_SECTIONS, type NamedName, TOP_LEVEL } from './schema.ts'
import type { Settings } from './settings.ts'
import { type Place, placeText } from './source.ts'
import { checkRoot } from './static-root-checks.ts'
import { checkTls } from './tls-checks.ts'
import { type Node, nodeAt, type Path, placeOf, type Table } from './tree.ts'
import { checkUse } from './use-checks.ts'

type Upstream = Settings['upstreams'] extends ReadonlyMap<string, infer T> ? T : never
type Route = Settings['routes'] extends ReadonlyMap<string, infer T> ? T : never

/** Characters of a token that guards an address beyond loopback: 64 bits even if it is hexadecimal. */
const MIN_TOKEN = 16

/**
 * All mistakes that no single value shows. `whole`: every file could be read; if not, what is missing here
 * may stand in the broken file, so nothing is said about it.
 */
export function crossCheck(subject: Subject, whole: boolean): void {
  checkAddresses(subject)
  checkAdmin(subject)
  checkSpoolFolder(subject)
  for (const name of namesOf(subject.root, 'upstreams')) checkWritten(subject, name)
  for (const [name, upstream] of subject.settings.upstreams) checkUpstream(subject, name, upstream)
  for (const name of namesOf(subject.root, 'routes')) checkRoute(subject, name, whole)
  for (const [name, route] of subject.settings.routes) {
    checkRoot(subject, name, route)
    checkMount(subject, name, route)
  }
  checkSameRoutes(subject)
  checkTls(subject, whole)
  checkAcme(subject)
  if (!whole) return
  checkPresence(subject)
  // Beside errors it would be noise: what seems unused may be named where the mistake is.
  if (!subject.report.failed) checkUse(subject)
}

function checkPresence({ settings, root, report }: Subject): void {
  if (namesOf(root, 'listeners').length === 0 && !isMisspelt(root, 'listeners', TOP_LEVEL)) {
    report.error(root.at, 'no listener is configured', 'write [listeners.web] with address = "0.0.0.0:8080"')
  }
  const looksIntoNone = [...settings.listeners.values()].every(({ tls }) => tls?.kind === 'passthrough')
  const wanted = !(looksIntoNone && settings.listeners.size > 0) && !isMisspelt(root, 'routes', TOP_LEVEL)
  if (namesOf(root, 'routes').length === 0 && wanted) {
    report.warning(root.at, 'no route is configured: every request will get 404')
  }
}

function checkAddresses({ settings, root, report }: Subject): void {
  const seen = new Map<string, Place>()
  const all: (readonly [Path, Address])[] = [...settings.listeners].map(([name, { address }]) => [
    ['listeners', name, 'address'],
    address,
  ])
  if (settings.admin !== undefined) all.push([['admin', 'address'], settings.admin.address])
  for (const [path, address] of all) {
    if (address.kind === 'tcp' && address.port === 0) continue
    const at = placeOf(root, path)
    const text = addressText(address)
    const first = seen.get(text)
    if (first !== undefined)
      report.error(at, `${text} is used by two listeners (first at ${placeText(first)})`)
    else seen.set(text, at)
  }
}

function checkAdmin({ settings, root, report }: Subject): void {
  const { address, token } = settings.admin ?? {}
  if (address === undefined) return
  const isFar = address.kind === 'tcp' && address.host !== 'localhost' && !isLoopback(address.host)
  if (token !== undefined) return checkToken(token, isFar, placeOf(root, ['admin', 'token']), report)
  if (!isFar) return
  report.error(
    placeOf(root, ['admin', 'address']),
    `the admin listener at ${addressText(address)} is reachable from other machines and has no token`,
    'set admin.token, or listen on "127.0.0.1:9180"',
  )
}

/** A token that can be tried out protects nobody. On this machine alone it is one barrier of several. */
function checkToken(token: string, isFar: boolean, at: Place, report: Report): void {
  if (token.length >= MIN_TOKEN) return
  const text = `the token is shorter than ${MIN_TOKEN} characters: it can be guessed`
  const hint = 'generate one with openssl rand -hex 32'
  if (isFar) report.error(at, text, hint)
  else report.warning(at, text, hint)
}

// Only a warning: bodies that fit into memory need no file, and the disk may be mounted later.
function checkSpoolFolder({ settings, root, report }: Subject): void {
  if (settings.server === undefined) return
  const { folder } = settings.server.spool
  const trouble = writeTrouble(folder)
  if (trouble === undefined) return
  const message = `the spool folder ${resolve(folder)} ${trouble.what}: uploads that do not fit in memory will get 503`
  report.warning(placeOf(root, ['server', 'spool', 'folder']), message, trouble.hint)
}

/** What the tree alone shows, so that it is told also of an upstream that has other mistakes. */
function checkWritten({ root, report }: Subject, name: string): void {
  const path = ['upstreams', name] as const
  if (nodeAt(root, path)?.kind !== 'table') return
  const endpoints = nodeAt(root, [...path, 'endpoints'])
  const run = nodeAt(root, [...path, 'run'])
  const at = endpoints?.at ?? placeOf(root, path)
  if (endpoints !== undefined && run !== undefined) {
    report.error(
      at,
      `upstream "${name}" has both endpoints and run`,
      'keep one: run creates its own endpoints',
    )
  } else if (
    run === undefined &&
    nodeAt(root, [...path, 'endpoints_file']) === undefined &&
    !['endpoints', 'endpoints_file', 'run'].some(key => isMisspeltIn(root, path, key)) &&
    (endpoints === undefined || isEmptyList(endpoints))
  ) {
    report.error(at, `upstream "${name}" has no endpoint`, 'write endpoints = ["app:8000"]')
  }
  const balance = nodeAt(root, [...path, 'balance'])
  const hashOn = nodeAt(root, [...path, 'hash_on'])
  const hashes = balance?.kind === 'leaf' && balance.value === 'hash'
  if (hashes && hashOn === undefined) {
    report.error(balance.at, 'balance = "hash" needs hash_on', 'such as hash_on = "client-ip"')
  }
  if (!hashes && hashOn !== undefined) report.warning(hashOn.at, 'hash_on requires balance = "hash"')
}

function checkUpstream(subject: Subject, name: string, upstream: Upstream): void {
  const path = ['upstreams', name]
  checkSameEndpoints(subject, name, upstream.endpoints ?? [])
  checkBackups(subject, name, upstream.endpoints ?? [])
  checkEndpointsFile(subject, name, upstream)
  if (upstream.run !== undefined) checkRun(subject, [...path, 'run'], upstream.run)
  if (upstream.health !== undefined) checkHealth(subject, [...path, 'health'], upstream.health)
  const spoken = [
    ...(upstream.endpoints ?? []).map(({ address }) => address.protocol),
    upstream.run?.protocol,
  ]
  if (upstream.body === 'stream' && spoken.includes('uwsgi')) {
    subject.report.error(
      placeOf(subject.root, [...path, 'body']),
      'the uwsgi protocol requires the length of a body before its first byte',
      'omit body, or write body = "spool"',
    )
  }
}

function checkSameEndpoints(
  { root, report }: Subject,
  name: string,
  endpoints: NonNullable<Upstream['endpoints']>,
): void {
  const seen = new Map<string, Place>()
  for (const [i, endpoint] of endpoints.entries()) {
    const place = placeOf(root, ['upstreams', name, 'endpoints', i])
    const text = addressText(endpoint.address.address)
    const first = seen.get(text)
    seen.set(text, first ?? place)
    if (first === undefined) continue
    const message = `endpoint ${text} appears twice in upstream "${name}" (first at ${placeText(first)})`
    report.error(place, message, 'for a larger share, write { address = "…", weight = 2 }')
  }
}

function checkBackups(
  { root, report }: Subject,
  name: string,
  endpoints: NonNullable<Upstream['endpoints']>,
): void {
  if (endpoints.length === 0 || endpoints.some(({ backup }) => !backup)) return
  report.warning(
    placeOf(root, ['upstreams', name, 'endpoints']),
    `all endpoints of upstream "${name}" are backups: they are used as regular endpoints`,
  )
}

function checkRun({ root, report }: Subject, path: Path, run: NonNullable<Upstream['run']>): void {
  const [program] = run.command
  if (program === undefined || program === '') {
    report.error(
      placeOf(root, [...path, 'command']),
      'the command is empty',
      'write command = ["node", "app.js"]',
    )
  }
  const words = [...run.command, ...Object.values(run.env)].join(' ')
  if (words.includes('{port}') && words.includes('{socket}')) {
    report.error(placeOf(root, [...path, 'command']), 'a command can use {port} or {socket}, not both')
  }
}

function checkHealth({ root, report }: Subject, path: Path, health: NonNullable<Upstream['health']>): void {
  if (health.timeoutMs > health.intervalMs) {
    const at = nodeAt(root, [...path, 'timeout']) === undefined ? 'interval' : 'timeout'
    report.warning(
      placeOf(root, [...path, at]),
      'the probe timeout is longer than the probe interval',
      'set timeout to at most interval',
    )
  }
  if (health.type === 'http') return
  for (const key of ['path', 'host', 'headers', 'expect']) {
    const node = nodeAt(root, [...path, key])
    if (node !== undefined) report.warning(node.at, `${key} requires type = "http"`)
  }
}

function checkRoute(subject: Subject, name: string, whole: boolean): void {
  const { root, report } = subject
  const at = placeOf(root, ['routes', name])
  if (nodeAt(root, ['routes', name])?.kind !== 'table') return
  const upstream = nodeAt(root, ['routes', name, 'upstream'])
  const files = nodeAt(root, ['routes', name, 'static'])
  const misspelt = ['upstream', 'static'].some(key => isMisspeltIn(root, ['routes', name], key))
  if (upstream === undefined && files === undefined && !misspelt) {
    report.error(at, `route "${name}" has no handler`, 'give it an upstream or a static table')
  }
  if (upstream !== undefined && files !== undefined) {
    report.error(at, `route "${name}" has two handlers, upstream and static`, 'keep one, or make two routes')
  }
  for (const key of ['canary', 'mirror', 'priority']) {
    const node = nodeAt(root, ['routes', name, key])
    if (files !== undefined && node !== undefined) report.error(node.at, `${key} requires an upstream`)
  }
  if (!whole) return
  for (const path of [['upstream'], ['canary', 'upstream'], ['mirror', 'upstream']]) {
    const node = nodeAt(root, ['routes', name, ...path])
    if (node !== undefined) checkReference(subject, node)
  }
}

function checkMount({ settings, root, report }: Subject, name: string, route: Route): void {
  const { path, stripPrefix, scriptName, rewriteAnswers } = route
  const at = (key: string) => placeOf(root, ['routes', name, key])
  if (route.static !== undefined) {
    if (stripPrefix !== '')
      report.error(
        at('strip_prefix'),
        'strip_prefix requires an upstream',
        'a static root already replaces the path of its route',
      )
    if (scriptName !== '') report.error(at('script_name'), 'script_name requires an upstream')
  } else if (stripPrefix !== '' && !`${path.replace(/\/$/, '')}/`.startsWith(`${stripPrefix}/`)) {
    report.error(
      at('strip_prefix'),
      `path ${path} does not begin with ${stripPrefix}`,
      `write path = "${stripPrefix}/"`,
    )
  }
  if (rewriteAnswers && stripPrefix === '') {
    report.error(at('rewrite_answers'), 'rewrite_answers requires strip_prefix, the prefix that it adds')
  }
  const server = settings.upstreams.get(route.upstream ?? '')?.server
  if (server === 'gunicorn' && stripPrefix !== '' && scriptName !== '') {
    report.error(at('strip_prefix'), 'gunicorn removes script_name from the path itself', 'omit strip_prefix')
  }
}

function checkSameRoutes({ settings, root, report }: Subject): void {
  const seen = new Map<string, string>()
  for (const [name, route] of settings.routes) {
    const hosts = route.hosts.length === 0 ? ['any host'] : new Set(route.hosts)
    for (const host of hosts) {
      const key = `${host} ${route.path}`
      const first = seen.get(key)
      seen.set(key, first ?? name)
      if (first === undefined) continue
      const firstAt = placeText(placeOf(root, ['routes', first]))
      report.error(
        placeOf(root, ['routes', name]),
        `routes "${first}" and "${name}" both match path ${route.path} of ${host} (first at ${firstAt})`,
      )
    }
  }
}

function isMisspeltIn(root: Table, path: readonly [NamedName, string], key: string): boolean {
  return isMisspelt(nodeAt(root, path), key, Object.keys(NAMED_SECTIONS[path[0]]).map(tomlKey))
}

function isEmptyList(node: Node): boolean {
  return node.kind === 'list' && node.items.length === 0
}
