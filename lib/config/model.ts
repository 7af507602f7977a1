import type { ErrorPage } from '../http/answer-policy.ts'
import type { BalancePolicy } from './balance-policies.ts'
import type { Model } from './option.ts'
import type { routeSection } from './route-section.ts'
import type { AcmeConfig, ClientCertificates, ListenerTls, TunnelConfig, UpstreamTls } from './tls-model.ts'

/**
 * What one configuration compiles to: plain, immutable data that is posted to the data threads. Every default
 * is filled in, every unit is in its name, every reference is checked.
 */
export interface Snapshot {
  /** sha256 of the files' contents, first 12 hex digits. */
  readonly hash: string
  readonly server: ServerConfig
  readonly log: LogConfig
  readonly admin: AdminConfig
  readonly acme: AcmeConfig
  readonly listeners: readonly ListenerConfig[]
  readonly upstreams: readonly UpstreamConfig[]
  readonly routes: readonly RouteConfig[]
  readonly tunnels: readonly TunnelConfig[]
}

export interface ServerConfig {
  /** Data threads; undefined for `auto`. */
  readonly workers: number | undefined
  readonly drainMs: number
  readonly spool: SpoolConfig
  /** Name servers for endpoints; empty: the system is asked. */
  readonly resolver: readonly string[]
  readonly overload: OverloadConfig
}

/** When new requests are refused because the process itself has too much to do. */
export interface OverloadConfig {
  /** Delay of a data thread's event loop; undefined: never. */
  readonly loopDelayMs: number | undefined
  /** Share of the memory limit; 0: never. */
  readonly memoryShare: number
}

/** Where bodies wait that a slow client sends or takes. */
export interface SpoolConfig {
  readonly folder: string
  /** Bytes of one body that are held in memory; the rest goes to a file. */
  readonly memoryBytes: number
  /** Bytes in memory, all bodies of the process together; beyond it they go to files at once. */
  readonly memoryTotalBytes: number
  /** Bytes in files, all bodies of the process together. */
  readonly diskBytes: number
}

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly access:
    | { readonly kind: 'off' }
    | { readonly kind: 'stdout' }
    | { readonly kind: 'file'; readonly path: string }
  readonly format: 'json'
}

/** Where to listen or to connect to. An IPv6 host stands without brackets. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface AdminConfig {
  readonly address: Address
  /** Required where the address is beyond loopback. */
  readonly token: string | undefined
}

export interface ListenerConfig {
  readonly name: string
  readonly address: Address
  /** CIDRs or single addresses, already checked. */
  readonly trustedProxies: readonly string[]
  /** undefined: plain. */
  readonly tls: ListenerTls | undefined
  /** undefined: clients are not asked for certificates. */
  readonly mtls: ClientCertificates | undefined
  /** Over TLS, by ALPN. */
  readonly http2: boolean
  /** Without TLS, by prior knowledge. */
  readonly h2c: boolean
  /** Every connection begins with a PROXY header from one of `trustedProxies`. */
  readonly proxyProtocol: boolean
  readonly limits: ListenerLimits
  readonly timeouts: ListenerTimeouts
}

export interface ListenerLimits {
  readonly headersBytes: number
  readonly headerCount: number
  /** Bytes of a request body; Infinity for no limit. */
  readonly bodyBytes: number
  /** Open client connections of this listener over all threads. */
  readonly connections: number
  /** Exchanges that run at a time on one HTTP/2 connection. */
  readonly streams: number
}

export interface ListenerTimeouts {
  /** For a TLS handshake and a PROXY header, from the accept: absolute. */
  readonly handshakeMs: number
  /** From the first byte of a head (or the accept) to its last: absolute. */
  readonly headerMs: number
  /** Longest silence inside a request body. */
  readonly bodyMs: number
  /** Longest silence between two requests. */
  readonly keepaliveMs: number
  /** Longest time in which the client takes none of our bytes. */
  readonly writeMs: number
  /** Bytes a second that a request body must reach on average, once `bodyMs` have passed; 0 for none. */
  readonly minRateBytes: number
}

export type HashKey =
  | { readonly on: 'client-ip' }
  | { readonly on: 'uri' }
  | { readonly on: 'header'; readonly name: string }
  | { readonly on: 'cookie'; readonly name: string }

export interface UpstreamConfig {
  readonly name: string
  /** With a fixed address. In the data threads also all that was discovered. */
  readonly endpoints: readonly EndpointConfig[]
  /** Names that stand for more of them; the control thread looks them up. */
  readonly names: readonly NamedEndpoints[]
  /** File with more of them. */
  readonly endpointsFile: string | undefined
  readonly discovery: DiscoveryConfig
  /** App processes that we start; their endpoints are added when they have their addresses. */
  readonly run: RunConfig | undefined
  readonly balance: BalancePolicy
  readonly hashOn: HashKey
  /** Requests an endpoint runs at a time, over all threads; 0 for no cap. */
  readonly maxInflight: number
  readonly adaptive: AdaptiveConfig
  /** What becomes of the slot of a request whose client has left. */
  readonly abandoned: 'finish' | 'close'
  /** 0: none. */
  readonly slowStartMs: number
  readonly sticky: StickyConfig | undefined
  readonly queue: { readonly length: number; readonly timeoutMs: number }
  readonly health: HealthConfig | undefined
  readonly timeouts: UpstreamTimeouts
  /** Take a request body whole before a slot is taken, or pass it on as it comes. */
  readonly body: 'spool' | 'stream'
  /** Bytes of an answer taken from the app ahead of a slow client; 0: none. */
  readonly readAheadBytes: number
  /** What answers there, as far as it was said. */
  readonly server: ServerKind
  /** For `https` and `h2` endpoints. */
  readonly tls: UpstreamTls
  /** Begins each connection to an endpoint. */
  readonly proxyProtocol: 'v1' | 'v2' | undefined
  readonly keepalive: { readonly idleMs: number | undefined; readonly max: number }
  readonly retry: RetryConfig
  readonly passive: PassiveConfig
}

export interface RetryConfig {
  readonly attempts: number
  readonly budgetShare: number
  /** Answers of the app that are tried elsewhere if the method allows. */
  readonly statuses: readonly number[]
}

/** Ejection by what traffic shows. Shares are 0 to 1. */
export interface PassiveConfig {
  /** Consecutive failures; 0: never. */
  readonly failures: number
  /** Failures and 5xx among an endpoint's requests; 0: never. */
  readonly failureRateShare: number
  /** Times slower than the others; 0: never. */
  readonly latencyFactor: number
  /** The first ejection; each further one is longer. */
  readonly ejectMs: number
  readonly maxEjectedShare: number
  readonly panicShare: number
}

/** A name that stands for endpoints, as many as it has addresses. */
export interface NamedEndpoints {
  /** As it was written. */
  readonly name: string
  readonly lookup:
    | { readonly kind: 'host'; readonly host: string; readonly port: number }
    | { readonly kind: 'srv'; readonly service: string }
  readonly protocol: EndpointProtocol
  readonly weight: number
  readonly backup: boolean
}

export interface DiscoveryConfig {
  readonly intervalMs: number
  readonly family: 'auto' | 'ipv4' | 'ipv6' | 'both'
}

export interface AdaptiveConfig {
  readonly mode: 'off' | 'observe' | 'enforce'
  readonly min: number
  readonly max: number
}

export interface StickyConfig {
  readonly cookie: string
  readonly secret: string
  /** undefined: until the browser closes. */
  readonly maxAgeMs: number | undefined
}

export type ServerKind = 'auto' | 'uwsgi' | 'gunicorn' | 'uvicorn' | 'hypercorn' | 'daphne'

/** What is spoken to an endpoint. */
export type EndpointProtocol = 'http1' | 'uwsgi' | 'https' | 'h2' | 'h2c'

export interface EndpointConfig {
  /** Label in metrics, logs and status: the address as configured, or `worker-1` for a managed worker. */
  readonly name: string
  readonly address: Address
  readonly protocol: EndpointProtocol
  readonly weight: number
  /** Only while no other is ready. */
  readonly backup: boolean
  /** Host field of its probes, where it was found by a name: `app:8000`. */
  readonly host?: string
}

export interface RunConfig {
  readonly command: readonly [string, ...string[]]
  readonly count: number
  /** Folder the processes start in: the one that Causeway was started in. */
  readonly env: Readonly<Record<string, string>>
  /**
   * Environment variables that are not the workers', because only the rest of the configuration names them.
   */
  readonly withheld: readonly string[]
  /** What a worker is handed: a free loopback port or a socket path. */
  readonly transport: 'port' | 'socket'
  readonly protocol: EndpointProtocol
}

export interface HealthConfig {
  readonly kind: 'http' | 'tcp'
  readonly path: string
  /**
   * Host field of the probe; undefined: the first host of a route to this upstream, else the endpoint's own
   * address.
   */
  readonly host: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly rise: number
  readonly fall: number
  /** Statuses that pass. */
  readonly expect: readonly number[]
}

export interface UpstreamTimeouts {
  readonly connectMs: number
  /** From the request's last byte to the answer's first. */
  readonly responseMs: number
  /** Longest silence inside the answer. */
  readonly idleMs: number
  /** Longest silence of both sides in a tunnel (WebSocket). */
  readonly tunnelMs: number
}

/** Words of a route that mean something else in the model: what it leads to, and what names files. */
export type RouteWordsApart =
  | 'upstream'
  | 'priority'
  | 'canary'
  | 'mirror'
  | 'static'
  | 'stripPrefix'
  | 'scriptName'
  | 'rewriteAnswers'
  | 'errorPages'
  | 'maintenance'

/** All other words of `[routes.NAME]` are here as they were read: their rows say what they mean. */
export interface RouteConfig extends Omit<Model<typeof routeSection>, RouteWordsApart> {
  readonly name: string
  readonly action: RouteAction
  /** Bodies of answers that Causeway makes itself. */
  readonly errorPages: readonly ErrorPage[]
  /** Set while the route is closed. */
  readonly maintenance: MaintenanceConfig | undefined
}

export type RouteAction = ProxyAction | StaticAction

/** Who goes first where requests wait for a slot. */
export type Priority = 'high' | 'normal' | 'low'

export interface ProxyAction {
  readonly kind: 'proxy'
  readonly upstream: string
  readonly priority: Priority
  readonly canary: CanaryConfig | undefined
  readonly mirror: { readonly upstream: string; readonly share: number } | undefined
  /** The app does not sit at the root of the site. */
  readonly mount: MountConfig | undefined
}

/** Another upstream for some of a route's requests. */
export interface CanaryConfig {
  readonly upstream: string
  /** 0 to 1, of the clients' addresses. */
  readonly share: number
  /** `NAME=VALUE`: these all go there. */
  readonly header: string | undefined
  readonly cookie: string | undefined
}

/** An app that is mounted under a prefix of the site's paths. */
export interface MountConfig {
  /** Taken off the path that the app sees; '' for nothing. No slash at its end. */
  readonly stripPrefix: string
  /**
   * SCRIPT_NAME for uwsgi, X-Script-Name and X-Forwarded-Prefix for http; '' for none. No slash at its end.
   */
  readonly scriptName: string
  /** Put `stripPrefix` in front of the paths in Location and Set-Cookie. */
  readonly rewriteAnswers: boolean
}

export interface StaticAction {
  readonly kind: 'static'
  readonly root: string
  readonly index: readonly string[]
  /** Only for X-Accel-Redirect and X-Sendfile of apps; clients get 404. */
  readonly internal: boolean
  /** Read the manifests of Django and Vite: hashed names may be kept for ever. */
  readonly manifest: boolean
  /** How long files that only an older manifest names stay servable. */
  readonly keepMs: number
  /** Compress files that have no compressed siblings. */
  readonly compress: boolean
  /** Cache-Control of names without a hash. */
  readonly cacheControl: string | undefined
}

export interface MaintenanceConfig {
  /** The page, if not the plain one. */
  readonly page: ErrorPage | undefined
  readonly retryAfterSeconds: number
  /** CIDRs of clients who get in all the same. */
  readonly bypass: readonly string[]
  /** `NAME=VALUE` of a cookie that lets its holder in. */
  readonly bypassCookie: string | undefined
}
