import { EXPIRES_SOON_DAYS } from '../../base/certificate-life.ts'
import type { EndpointStatus } from '../health/endpoint-entry.ts'
import type { CertificateStatus, StatusDocument, UpstreamStatus } from './status.ts'

/** Is it fine? `bad`: clients notice; `doubtful`: somebody should look. */
export interface Verdict {
  readonly kind: 'good' | 'doubtful' | 'bad'
  readonly sentence: string
}

/**
 * The most serious thing that a status says, in one sentence, with its cause; and always which routes are
 * closed.
 */
export function verdictOf(status: StatusDocument): Verdict {
  const { kind, sentence } = worstOf(status)
  const closed = status.routes.filter(route => route.closed).map(({ name }) => name)
  if (closed.length === 0) return { kind, sentence }
  const text = `closed for maintenance: route${closed.length === 1 ? '' : 's'} ${firstOf(closed, ', ')}`
  return kind === 'good'
    ? { kind: 'doubtful', sentence: `${text}; otherwise, ${sentence}` }
    : { kind, sentence: `${sentence}; ${text}` }
}

function worstOf(status: StatusDocument): Verdict {
  const { phase, threads, upstreams, spool, last_reload: last } = status
  if (phase !== 'ready') return { kind: 'bad', sentence: `the process is ${phase}` }
  const lost = upstreams.find(({ endpoints }) => endpoints.every(isNotUp))
  if (lost !== undefined) return { kind: isStarting(lost) ? 'doubtful' : 'bad', sentence: lostText(lost) }
  if (spool.problem !== null) {
    return { kind: 'bad', sentence: `uploads that do not fit in memory get a 503: ${spool.problem}` }
  }
  const expired = status.certificates.find(it => it.days_left < 0)
  if (expired !== undefined) return { kind: 'bad', sentence: `${certificateText(expired)} has expired` }
  const ended = threads.filter(thread => thread.state !== 'running').length
  if (ended > 0)
    return { kind: 'doubtful', sentence: `${ended} of ${threads.length} data threads are not running` }
  const notUp = upstreams.flatMap(namesNotUp)
  if (notUp.length > 0) return { kind: 'doubtful', sentence: notUpText(notUp, upstreams) }
  const problem = upstreams.flatMap(it => (it.problems ?? []).map(text => `upstream ${it.name}: ${text}`))[0]
  if (problem !== undefined) return { kind: 'doubtful', sentence: problem }
  if (status.endpoint_problem !== null) return { kind: 'doubtful', sentence: status.endpoint_problem }
  const broken = status.certificate_problems[0]
  if (broken !== undefined)
    return {
      kind: 'doubtful',
      sentence: `a certificate could not be loaded, the previous one stays in use: ${broken}`,
    }
  const log = status.log_problems[0]
  if (log !== undefined) return { kind: 'doubtful', sentence: log }
  // Of what we renew ourselves, a failure is told.
  const soon = status.certificates.find(it => !it.renewed && it.days_left < EXPIRES_SOON_DAYS)
  if (soon !== undefined)
    return { kind: 'doubtful', sentence: `${certificateText(soon)} expires in ${soon.days_left} days` }
  if (last?.ok === false) {
    return {
      kind: 'doubtful',
      sentence: 'the newest configuration was rejected; the previous one stays in use',
    }
  }
  const full = upstreams.find(isBusy)
  if (full !== undefined) return { kind: 'doubtful', sentence: busyText(full) }
  const ups = upstreams.length === 0 ? '' : ': every endpoint is up'
  return { kind: 'good', sentence: `all is well${ups}` }
}

function certificateText({ listener, names }: CertificateStatus): string {
  return `the certificate of listener ${listener} for ${names[0] ?? 'no name'}`
}

/** Its workers were started a moment ago. */
function isStarting({ endpoints }: UpstreamStatus): boolean {
  return endpoints.some(({ starting }) => starting)
}

function lostText(upstream: UpstreamStatus): string {
  const { name, endpoints, problems } = upstream
  if (isStarting(upstream)) return `upstream ${name} is starting: its requests wait`
  const reason = endpoints.find(it => it.reason !== undefined)?.reason ?? problems?.[0]
  const why = reason === undefined ? '' : ` (${reason})`
  if (endpoints.length > 0 && endpoints.every(({ state }) => state === 'draining'))
    return `every endpoint of upstream ${name} is draining: its requests wait, then get a 503; undo with "causeway ready ${name}"`
  // Ejections alone never empty an upstream.
  const tried = endpoints.some(({ state }) => state === 'ejected')
  const then = tried ? 'ejected endpoints are used anyway' : 'its requests wait, then get a 503'
  return `no endpoint of upstream ${name} is up${why}: ${then}`
}

/** A queue of so long a wait is worth a word; a moment's one is what queues are for. */
const LONG_WAIT_MS = 1000

function isBusy({ queue }: UpstreamStatus): boolean {
  return queue.waiting > 0 && queue.oldest_ms >= LONG_WAIT_MS
}

/** What runs, and what waits for it. */
function busyText({ name, endpoints, queue }: UpstreamStatus): string {
  const up = endpoints.filter(endpoint => !isNotUp(endpoint))
  const taken = up.reduce((sum, { inflight }) => sum + inflight, 0)
  const slots = up.every(it => it.slots !== undefined)
    ? `${taken} of ${up.reduce((sum, it) => sum + (it.slots ?? 0), 0)} slots occupied`
    : `${taken} requests in flight`
  return `upstream ${name}: ${slots}, ${queue.waiting} waiting, the oldest for ${Math.floor(queue.oldest_ms / 1000)} s`
}

function namesNotUp({ name, endpoints }: UpstreamStatus): string[] {
  return endpoints.filter(isNotUp).map(endpoint => `${name}: ${endpoint.name} is ${endpoint.state}`)
}

function isNotUp({ state }: EndpointStatus): boolean {
  return state !== 'up'
}

const MOST_NAMED = 3

function notUpText(notUp: readonly string[], upstreams: readonly UpstreamStatus[]): string {
  const all = upstreams.flatMap(it => it.endpoints).length
  return `${notUp.length} of ${all} endpoints not up: ${firstOf(notUp, '; ')}`
}

function firstOf(names: readonly string[], separator: string): string {
  const named = names.slice(0, MOST_NAMED).join(separator)
  return names.length > MOST_NAMED ? `${named}${separator}…` : named
}
