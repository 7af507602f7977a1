import { resolve } from 'node:path'
import type { ErrorPage } from '../http/answer-policy.ts'
import { isFixed } from './address.ts'
import { crossCheck } from './cross-checks.ts'
import { type ErrorPages, readErrorPages } from './error-pages.ts'
import { checkFilesystem } from './filesystem-checks.ts'
import type {
  Address,
  AdminConfig,
  EndpointConfig,
  HealthConfig,
  ListenerConfig,
  MaintenanceConfig,
  NamedEndpoints,
  RouteAction,
  RouteConfig,
  RunConfig,
  ServerKind,
  Snapshot,
  UpstreamConfig,
} from './model.ts'
import { privateVariables } from './private-variables.ts'
import type { Report } from './problem.ts'
import { readSettings, type Settings } from './settings.ts'
import type { AcmeConfig, ListenerTls, TunnelConfig, UpstreamTls } from './tls-model.ts'
import type { TlsSetting } from './tls-section.ts'
import type { Table } from './tree.ts'
import { plainTls, readUpstreamTls } from './upstream-tls.ts'

type Of<K extends 'listeners' | 'upstreams' | 'routes' | 'tunnels'> =
  Settings[K] extends ReadonlyMap<string, infer T> ? T : never

/** Where a configuration comes from, and what for. */
export interface Origin {
  /** See `Snapshot.hash`. */
  readonly hash: string
  /** Every file could be read. */
  readonly whole: boolean
  readonly purpose: 'use' | 'check'
}

/** The tree as the plain data that threads run on; undefined if the report now holds an error. */
export function buildSnapshot(
  root: Table,
  { hash, whole, purpose }: Origin,
  report: Report,
): Snapshot | undefined {
  const settings = readSettings(root, report)
  crossCheck({ settings, root, report }, whole)
  if (purpose === 'check') checkFilesystem({ settings, root, report })
  const pages = readErrorPages(settings, root, report)
  const secured = readUpstreamTls({ settings, root, report })
  const withheld = privateVariables(root)
  const { server, log, acme } = settings
  const admin = adminOf(settings)
  if (report.failed || server === undefined || log === undefined || admin === undefined || acme === undefined)
    return undefined
  return {
    hash,
    server,
    log,
    admin,
    acme: acmeConfig(acme),
    listeners: [...settings.listeners].map(([name, listener]) => listenerConfig(name, listener)),
    upstreams: [...settings.upstreams].map(([name, upstream]) =>
      upstreamConfig(name, upstream, secured.get(name), withheld),
    ),
    routes: [...settings.routes].map(([name, route]) => routeConfig(name, route, pages)),
    tunnels: [...settings.tunnels].map(([name, tunnel]): TunnelConfig => ({ name, ...tunnel })),
  }
}

/** The admin listener, if nothing is wrong with it. */
export function adminOf({ admin }: Settings): AdminConfig | undefined {
  return admin === undefined ? undefined : { ...admin, address: absolute(admin.address) }
}

function listenerConfig(name: string, { address, tls, mtls, ...same }: Of<'listeners'>): ListenerConfig {
  return {
    name,
    address: absolute(address),
    tls: tls === undefined ? undefined : listenerTls(tls),
    mtls: mtls === undefined ? undefined : { ...mtls, ca: resolve(mtls.ca) },
    ...same,
  }
}

function listenerTls(tls: TlsSetting): ListenerTls {
  if (tls.kind !== 'files') return tls
  const certificates = tls.certificates.map(({ certificate, key }) => ({
    certificate: resolve(certificate),
    key: resolve(key),
  }))
  return { kind: 'files', certificates }
}

function acmeConfig({ folder, ca, ...same }: NonNullable<Settings['acme']>): AcmeConfig {
  return { ...same, folder: resolve(folder), ca: resolved(ca) }
}

function resolved(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path)
}

/** Servers whose apps read a body of unknown length; Django under WSGI takes it for empty. */
const ASGI_SERVERS: ReadonlySet<ServerKind> = new Set(['uvicorn', 'hypercorn', 'daphne'])

type Upstream = Of<'upstreams'>
type Endpoint = NonNullable<Upstream['endpoints']>[number]

/**
 * The plain data of `[upstreams.NAME]`. `secured`: its `tls` with the files that it names; undefined: they
 * are not wanted.
 */
export function upstreamConfig(
  name: string,
  upstream: Upstream,
  secured?: UpstreamTls,
  withheld: readonly string[] = [],
): UpstreamConfig {
  const {
    endpoints = [],
    run,
    hashOn,
    health,
    body: written,
    abandoned,
    endpointsFile,
    tls,
    ...same
  } = upstream
  const body = written ?? (ASGI_SERVERS.has(upstream.server) ? 'stream' : 'spool')
  return {
    name,
    ...same,
    endpoints: endpoints.flatMap(fixedEndpoint),
    names: endpoints.flatMap(namedEndpoints),
    endpointsFile: endpointsFile === undefined ? undefined : resolve(endpointsFile),
    run: run === undefined ? undefined : runConfig(run, withheld),
    tls: secured ?? plainTls(tls),
    hashOn: hashOn ?? { on: 'client-ip' },
    body,
    abandoned: abandoned ?? (body === 'spool' && holdsWorker(upstream) ? 'finish' : 'close'),
    health: health === undefined ? undefined : healthConfig(health),
  }
}

/** A client's leaving ends nothing there: the worker goes on, and its slot is not free. */
function holdsWorker({ server, maxInflight, endpoints = [], run }: Upstream): boolean {
  const speaksUwsgi =
    run?.protocol === 'uwsgi' || endpoints.some(({ address }) => address.protocol === 'uwsgi')
  return maxInflight > 0 || speaksUwsgi || server === 'uwsgi' || server === 'gunicorn'
}

function fixedEndpoint({ address: { name, address, protocol }, weight, backup }: Endpoint): EndpointConfig[] {
  if (address.kind === 'srv' || !isFixed(address)) return []
  return [{ name, address: absolute(address), protocol, weight, backup }]
}

function namedEndpoints({
  address: { name, address, protocol },
  weight,
  backup,
}: Endpoint): NamedEndpoints[] {
  if (address.kind === 'srv') return [{ name, lookup: address, protocol, weight, backup }]
  if (address.kind === 'unix' || isFixed(address)) return []
  const { host, port } = address
  return [{ name, lookup: { kind: 'host', host, port }, protocol, weight, backup }]
}

function runConfig(
  { command, count, env, protocol }: NonNullable<Upstream['run']>,
  withheld: readonly string[],
): RunConfig {
  const [program = '', ...rest] = command // the cross-checks have refused an empty command
  const wantsSocket = [...command, ...Object.values(env)].some(word => word.includes('{socket}'))
  return {
    command: [program, ...rest],
    count,
    env,
    withheld,
    transport: wantsSocket ? 'socket' : 'port',
    protocol: protocol === 'uwsgi' ? 'uwsgi' : 'http1',
  }
}

function healthConfig({ type, ...same }: NonNullable<Upstream['health']>): HealthConfig {
  return { kind: type, ...same }
}

function routeConfig(name: string, route: Of<'routes'>, pages: ErrorPages): RouteConfig {
  const { upstream, priority, canary, mirror, stripPrefix, scriptName, rewriteAnswers, ...others } = route
  const { static: files, errorPages, maintenance, ...plain } = others
  return {
    ...plain,
    name,
    action: routeAction(route),
    errorPages: pages.of(name),
    maintenance: maintenanceOf(route, pages.maintenanceOf(name)),
  }
}

function routeAction(route: Of<'routes'>): RouteAction {
  if (route.static === undefined) {
    const { stripPrefix, scriptName, rewriteAnswers, priority, canary, mirror } = route
    const mounted = stripPrefix !== '' || scriptName !== ''
    const mount = mounted ? { stripPrefix, scriptName, rewriteAnswers } : undefined
    const upstream = route.upstream ?? '' // one of the two is there
    return { kind: 'proxy', upstream, priority, canary, mirror, mount }
  }
  return { kind: 'static', ...route.static, root: resolve(route.static.root) }
}

function maintenanceOf(
  { maintenance }: Of<'routes'>,
  page: ErrorPage | undefined,
): MaintenanceConfig | undefined {
  if (maintenance === undefined || !maintenance.enabled) return undefined
  const { bypass, bypassCookie, retryAfterMs } = maintenance
  return { page, bypass, bypassCookie, retryAfterSeconds: Math.ceil(retryAfterMs / 1000) }
}

function absolute(address: Address): Address {
  return address.kind === 'unix' ? { kind: 'unix', path: resolve(address.path) } : address
}
