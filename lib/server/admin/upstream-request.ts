import { parseDuration } from '../../base/units.ts'

/** What an operator asks of the upstreams. */
export type UpstreamRequest = { readonly kind: 'list' } | UpstreamVerb

/** What is to be done with one. */
export type UpstreamVerb =
  | { readonly kind: 'drain' | 'ready'; readonly upstream: string; readonly endpoint: string | undefined }
  | DeployVerb

export interface DeployVerb {
  readonly kind: 'deploy'
  readonly upstream: string
  /** As they were written; undefined: those of the configuration. */
  readonly endpoints: readonly string[] | undefined
  /** Longest wait for all of them to be ready. */
  readonly timeoutMs: number
}

/** Why a request is not understood. */
export interface BadUpstreamRequest {
  readonly status: 400 | 404 | 405
  readonly error: string
  /** Methods that would do. */
  readonly allow?: string
}

/** Longest target of a request, in characters; and most endpoints of a deploy. */
const MAX_TARGET = 8192
const MAX_ENDPOINTS = 256
const DEFAULT_TIMEOUT_MS = 30_000
const MAX_TIMEOUT_MS = 3_600_000

/** True for the paths that are read here. */
export function isUpstreamPath(path: string): boolean {
  return path === '/upstreams' || path.startsWith('/upstreams/')
}

/**
 * Reads `GET /upstreams` and `POST /upstreams/NAME/VERB?QUERY`. Strictly: what is not known, or stands twice,
 * is a mistake. In the query "+" means itself, because it does in `uwsgi+unix:`.
 */
export function readUpstreamRequest(method: string, target: string): UpstreamRequest | BadUpstreamRequest {
  if (target.length > MAX_TARGET) return bad('the request is too long')
  const [path = '', query, ...rest] = target.split('?')
  if (rest.length > 0) return bad('the query contains two question marks')
  if (path === '/upstreams') return readList(method, query)
  const [, name, verb] = /^\/upstreams\/([^/]+)\/([^/]+)$/.exec(path) ?? []
  const upstream = decode(name ?? '')
  if (upstream === undefined || verb === undefined || !isVerb(verb))
    return { status: 404, error: 'POST /upstreams/NAME/drain, /ready or /deploy' }
  if (method !== 'POST') return { status: 405, error: 'use POST', allow: 'POST' }
  const pairs = readQuery(query)
  if (pairs === undefined) return bad('the query is invalid')
  return verb === 'deploy' ? readDeploy(upstream, pairs) : readDrain(verb, upstream, pairs)
}

function readList(method: string, query: string | undefined): UpstreamRequest | BadUpstreamRequest {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, error: 'use GET', allow: 'GET, HEAD' }
  return query === undefined ? { kind: 'list' } : bad('this page accepts no query')
}

type Pairs = readonly (readonly [string, string])[]

function readDrain(
  kind: 'drain' | 'ready',
  upstream: string,
  pairs: Pairs,
): UpstreamRequest | BadUpstreamRequest {
  const [first, ...more] = pairs
  if (first !== undefined && (first[0] !== 'endpoint' || more.length > 0))
    return bad('the query may contain one endpoint=, and nothing else')
  return { kind, upstream, endpoint: first?.[1] }
}

function readDeploy(upstream: string, pairs: Pairs): UpstreamRequest | BadUpstreamRequest {
  const all = (key: string) => pairs.filter(([name]) => name === key).map(([, value]) => value)
  const endpoints = all('endpoint')
  const [configured, ...moreConfigured] = all('configured')
  const [timeout, ...moreTimeouts] = all('timeout')
  const known = endpoints.length + all('configured').length + all('timeout').length
  if (known < pairs.length || moreConfigured.length + moreTimeouts.length > 0)
    return bad('the query may contain endpoint= (repeatedly), configured= and timeout= (once each)')
  if (configured !== undefined && configured !== 'true') return bad('write configured=true, or omit it')
  if ((configured === undefined) === (endpoints.length === 0))
    return bad('specify the new endpoints (endpoint=), or use those of the configuration (configured=true)')
  if (endpoints.length > MAX_ENDPOINTS) return bad(`more than ${MAX_ENDPOINTS} endpoints`)
  const timeoutMs = timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(timeout)
  if (timeoutMs === undefined || timeoutMs <= 0 || timeoutMs > MAX_TIMEOUT_MS)
    return bad('timeout= requires a duration such as 30s, at most 1h')
  return { kind: 'deploy', upstream, endpoints: configured === undefined ? endpoints : undefined, timeoutMs }
}

function isVerb(text: string): text is UpstreamVerb['kind'] {
  return text === 'drain' || text === 'ready' || text === 'deploy'
}

function bad(error: string): BadUpstreamRequest {
  return { status: 400, error }
}

/** Undefined where a pair has no value, or an escape is broken. */
function readQuery(query: string | undefined): Pairs | undefined {
  const pairs = (query === undefined ? [] : query.split('&')).map(pair => {
    const at = pair.indexOf('=')
    return [decode(pair.slice(0, Math.max(at, 0))), decode(pair.slice(at + 1))] as const
  })
  return pairs.every(isWhole) ? pairs : undefined
}

function isWhole(pair: readonly [string | undefined, string | undefined]): pair is readonly [string, string] {
  return pair.every(part => part !== undefined && part !== '')
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
