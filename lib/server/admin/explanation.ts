import { join } from 'node:path'
import { formatDuration } from '../../base/units.ts'
import type {
  EndpointConfig,
  ListenerConfig,
  NamedEndpoints,
  ProxyAction,
  RouteConfig,
  Snapshot,
  StaticAction,
  UpstreamConfig,
} from '../../config/model.ts'
import type { TunnelConfig } from '../../config/tls-model.ts'
import { hostAt } from '../../http/host.ts'
import { isIdempotent } from '../../http/idempotent.ts'
import { configuredPath, plainForm } from '../../http/path.ts'
import { DISAGREED } from '../../http/path-readings.ts'
import { Mount } from '../../proxy/mount.ts'
import { Router } from '../../route/router.ts'
import { TunnelTable } from '../../route/tunnel-table.ts'
import { belowRoute, readFilePath } from '../../static/file-path.ts'
import { addressText } from '../shared/address-text.ts'

/** A request that nobody has made yet. */
export interface Question {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Lower case, without port and final dot; '' for any. */
  readonly host: string
  readonly port: number
  /** As it stands in the request. */
  readonly path: string
}

/** What would become of it. */
export interface Explanation {
  readonly route: string | null
  /** Takes the connection, so that nobody here sees the request. */
  readonly tunnel: string | null
  /** One step a line, in the order in which they happen. */
  readonly steps: readonly string[]
  /** The other routes, and why it is not they. */
  readonly others: readonly { readonly route: string; readonly why: string }[]
}

const NOWHERE = { route: null, tunnel: null, others: [] } as const
const DEFAULT_PORT = { http: 80, https: 443 } as const

/** Reads `https://www.example.com/a/b`, or `/a/b` for whatever host; undefined if it is neither. */
export function readQuestion(method: string, url: string): Question | undefined {
  const [, scheme = 'http', authority = '', path = '/'] =
    /^(?:(https?):\/\/([^/?#]+))?(\/[^?#]*)?(?:[?#].*)?$/is.exec(url) ?? []
  if (url === '' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return undefined
  if (!/^(?:https?:\/\/|\/)/i.test(url)) return undefined
  const host = authority === '' ? undefined : hostAt(authority, 0, authority.length)
  if (host === undefined && authority !== '') return undefined
  const kind = scheme.toLowerCase() === 'https' ? 'https' : 'http'
  const port = /:(\d+)$/.exec(authority)?.[1]
  return {
    method,
    scheme: kind,
    host: host?.hostname ?? '',
    port: port === undefined ? DEFAULT_PORT[kind] : Number(port),
    path: asSent(path),
  }
}

/** As a client writes a path on the wire. */
function asSent(path: string): string {
  return configuredPath(path).replace(/[^\x21-\x7e]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)
}

/**
 * Follows the request through the configuration, as the data threads would. Looks at no file and asks nobody.
 */
export function explain(snapshot: Snapshot, question: Question): Explanation {
  const tunnels = tunnelsOf(snapshot, question)
  const tunnel = onlyTunnel(snapshot, question, tunnels)
  if (tunnel !== undefined) return tunnelled(snapshot, question, tunnels, tunnel)
  const { path } = question
  if (/%(?!(?!00)[0-9a-f]{2})/i.test(path))
    return { ...NOWHERE, steps: ['400: the path contains an invalid percent-encoding'] }
  const rules = snapshot.routes.map(route => ({ hosts: route.hosts, path: route.path, target: route }))
  const found = new Router(rules).find(question.host, path)
  if (found === DISAGREED) return { ...NOWHERE, steps: [disagreement(path)] }
  const others = snapshot.routes
    .filter(route => route !== found)
    .map(route => ({ route: route.name, why: whyNot(route, found, question.host, path) }))
  const steps = snapshot.listeners.map(listener => listenerStep(listener, question, tunnels))
  if (found === undefined)
    return { ...NOWHERE, steps: [...steps, '404: no route matches this host and path'], others }
  const all = [...steps, ...routeSteps(snapshot, found, question)]
  return { route: found.name, tunnel: null, steps: all, others }
}

/** By listener, the tunnel that takes a TLS client of this name there. */
type Tunnels = ReadonlyMap<string, TunnelConfig>

function tunnelsOf({ listeners, tunnels }: Snapshot, { scheme, host }: Question): Tunnels {
  const found = new Map<string, TunnelConfig>()
  if (scheme === 'http') return found
  const table = new TunnelTable(tunnels.map(tunnel => ({ ...tunnel, target: tunnel })))
  for (const { name, tls } of listeners) {
    const tunnel = tls === undefined ? undefined : table.find(name, host)
    if (tunnel !== undefined) found.set(name, tunnel)
  }
  return found
}

/**
 * The tunnel of the listeners at this port, or of all where none has it; undefined if some listener would
 * look into the connection.
 */
function onlyTunnel({ listeners }: Snapshot, { port }: Question, tunnels: Tunnels): TunnelConfig | undefined {
  const there = listeners.filter(({ address }) => address.kind === 'tcp' && address.port === port)
  const all = (there.length > 0 ? there : listeners).map(({ name }) => tunnels.get(name))
  return all.includes(undefined) ? undefined : all[0]
}

function tunnelled(
  snapshot: Snapshot,
  question: Question,
  tunnels: Tunnels,
  { name, upstream }: TunnelConfig,
): Explanation {
  const steps = snapshot.listeners.map(listener => listenerStep(listener, question, tunnels))
  const config = snapshot.upstreams.find(each => each.name === upstream)
  const further = config === undefined ? [] : tunnelSteps(config)
  return { route: null, tunnel: name, steps: [...steps, ...further], others: [] }
}

function tunnelSteps(config: UpstreamConfig): string[] {
  const { name, balance, maxInflight, queue, timeouts } = config
  const cap = maxInflight === 0 ? 'no limit of connections' : `at most ${maxInflight} connections at a time`
  return [
    `upstream ${name}, ${balance} over ${endpointsText(config)}, which receive the bytes unchanged: the certificate and the response are theirs`,
    `${cap} per endpoint; queued connections wait for at most ${formatDuration(queue.timeoutMs)}`,
    `sent to another endpoint only if the first one was never reached; closed when idle for ${formatDuration(timeouts.tunnelMs)}`,
  ]
}

function listenerStep(listener: ListenerConfig, { port, host, scheme }: Question, tunnels: Tunnels): string {
  const { name, address, tls } = listener
  const tunnel = tunnels.get(name)
  const refuses = tls?.kind === 'passthrough' && scheme === 'https'
  const otherwise = refuses ? ': refused, no tunnel matches this host' : ''
  const then =
    tunnel === undefined ? otherwise : `: passed through by tunnel ${tunnel.name} without decryption`
  const where = `listener ${name} at ${addressText(address)}`
  if (host === '' || address.kind === 'unix' || address.port === port) return where + then
  return `${where}, if port ${port} is forwarded there${then}`
}

function whyNot(route: RouteConfig, found: RouteConfig | undefined, host: string, asked: string): string {
  const { hosts } = route
  if (hosts.length > 0 && !hosts.some(each => isHost(each, host))) return `its hosts are ${hosts.join(', ')}`
  const own = configuredPath(route.path)
  const path = plainForm(asked)
  const begins =
    path.startsWith(own) && (own.endsWith('/') || path.length === own.length || path[own.length] === '/')
  if (!begins) return `its path is ${route.path}`
  return found !== undefined && found.hosts.length > 0 && hosts.length === 0
    ? `route ${found.name} matches the host explicitly`
    : `route ${found?.name} has a longer path, or a more specific host`
}

function disagreement(path: string): string {
  return `400: the path is ambiguous: servers interpret it in different ways, which lead to different routes; normalized, it is ${plainForm(path)}`
}

function isHost(pattern: string, host: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : pattern === host
}

function routeSteps(snapshot: Snapshot, route: RouteConfig, question: Question): string[] {
  const steps = [`route ${route.name}, path ${route.path}`]
  if (route.redirectHttps && question.scheme === 'http')
    steps.push(
      `redirected to https (301, or 308 for methods other than GET), unless a trusted proxy received it over https`,
    )
  else if (isSecuredByItself(snapshot, route, question))
    steps.push(
      'redirected to https once the host has a certificate, unless a trusted proxy received it over https',
    )
  if (route.maintenance !== undefined)
    steps.push('503: the route is closed by its maintenance table, except for requests that bypass it')
  const { action } = route
  return action.kind === 'static'
    ? [...steps, staticStep(action, route.path, question)]
    : [...steps, ...proxySteps(snapshot, action, question)]
}

function isSecuredByItself({ listeners }: Snapshot, route: RouteConfig, { scheme, host }: Question): boolean {
  if (route.redirectHttps !== undefined || scheme !== 'http') return false
  return listeners.some(({ tls }) => tls?.kind === 'auto') && route.hosts.includes(host)
}

function staticStep(action: StaticAction, routePath: string, { method, path }: Question): string {
  if (action.internal) return '404: its files are only for responses of apps (internal)'
  if (method !== 'GET' && method !== 'HEAD') return '405: static files support GET and HEAD only'
  const decoded = readFilePath(path)?.decoded
  const name = decoded === undefined ? undefined : belowRoute(decoded, routePath)
  if (name === undefined)
    return '404: not a valid file name (dot segments and dotfiles are never served, except /.well-known/)'
  const index =
    name === '' || name.endsWith('/') ? ` with ${action.index.join(' or ') || 'no index file'}` : ''
  return `file ${join(action.root, name)}${index}`
}

function proxySteps(
  { upstreams }: Snapshot,
  { upstream, mount, priority, canary, mirror }: ProxyAction,
  { method, path }: Question,
): string[] {
  const steps: string[] = []
  if (mount !== undefined) {
    const { stripPrefix, scriptName } = mount
    if (stripPrefix !== '')
      steps.push(
        `the app receives the path ${new Mount(mount, 'auto').targetOf({ target: path, path, query: undefined })}`,
      )
    if (scriptName !== '') steps.push(`the app receives the mount point ${scriptName}`)
  }
  if (canary !== undefined)
    steps.push(`${percent(canary.share)} of the clients go to upstream ${canary.upstream} instead (canary)`)
  if (mirror !== undefined)
    steps.push(
      `${percent(mirror.share)} of the requests are copied to upstream ${mirror.upstream}, whose responses are discarded`,
    )
  const config = upstreams.find(({ name }) => name === upstream)
  return config === undefined ? steps : [...steps, ...upstreamSteps(config, method, priority)]
}

function upstreamSteps(config: UpstreamConfig, method: string, priority: string): string[] {
  const { name, balance, maxInflight, queue, body, timeouts, retry } = config
  const cap = maxInflight === 0 ? 'no limit of requests' : `at most ${maxInflight} requests at a time`
  const again = isIdempotent(method)
    ? 'may be retried on another endpoint if one fails'
    : 'is sent to another endpoint only if the first one was never reached'
  return [
    `upstream ${name}, ${balance} over ${endpointsText(config)}`,
    `${cap} per endpoint; queued requests wait for at most ${formatDuration(queue.timeoutMs)}, priority ${priority}`,
    body === 'spool'
      ? 'a request body is buffered in full first'
      : 'a request body is forwarded as it arrives',
    `first byte of the response within ${formatDuration(timeouts.responseMs)}`,
    `${method} ${again}; at most ${retry.attempts} retries`,
  ]
}

function endpointsText({ endpoints, names, run, endpointsFile }: UpstreamConfig): string {
  const all = [...endpoints, ...names].map(({ name }: EndpointConfig | NamedEndpoints) => name)
  if (run !== undefined) all.push(`${run.count} managed workers`)
  if (endpointsFile !== undefined) all.push(`those in ${endpointsFile}`)
  return all.join(', ')
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`
}
