import type {
  CertificateStatus,
  EndpointRow,
  StatusDocument,
  TunnelStatus,
  UpstreamStatus,
} from '../lib/server/admin/status.ts'
import { verdictOf } from '../lib/server/admin/verdict.ts'
import { askAdmin, orFail, unexpected } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

const TIMEOUT_MS = 10_000

/** `causeway status`: what the running process does. */
export function status({ config, json }: CommandArgs): Promise<number> {
  return orFail(json, async () => {
    const answer = await askAdmin(config, 'GET', '/status', TIMEOUT_MS)
    if (answer.status !== 200) throw unexpected(answer)
    process.stdout.write(json ? answer.body : describe(read(answer.body)))
    return EXIT.fine
  })
}

/** The process may be older than this program, and lack what was added since. */
function read(body: string): StatusDocument {
  const later = {
    routes: [],
    tunnels: [],
    warnings: [],
    spool: { problem: null },
    certificates: [],
    certificate_problems: [],
    log_problems: [],
    endpoint_problem: null,
  }
  return { ...later, ...JSON.parse(body) } as StatusDocument
}

function describeCertificate({
  listener,
  names,
  key,
  days_left: left,
  not_after: end,
}: CertificateStatus): string {
  const life = left < 0 ? `expired ${end}` : `${left} days left`
  return `certificate ${listener}  ${names.join(' ')}  ${key}  ${life}`
}

function describeTunnel({ name, hosts, listeners, upstream }: TunnelStatus): string {
  const who = hosts.length === 0 ? 'any host' : hosts.join(' ')
  return `tunnel ${name}  ${who} of ${listeners.join(' ')}  to upstream ${upstream}`
}

function describe(it: StatusDocument): string {
  const running = it.threads.filter(thread => thread.state === 'running').length
  const lines = [
    verdictOf(it).sentence,
    `causeway ${it.version}, pid ${it.pid}: ${it.phase}, up ${it.uptime_s} s`,
    `configuration ${it.hash}, generation ${it.generation}; ${running} of ${it.threads.length} data threads running`,
    ...it.listeners.map(listener => `listener ${listener.name}  ${listener.address}`),
    ...it.certificates.map(describeCertificate),
    ...it.certificate_problems.map(problem => `certificate: ${problem}`),
    ...it.log_problems,
    ...(it.endpoint_problem === null ? [] : [it.endpoint_problem]),
    ...it.upstreams.flatMap(describeUpstream),
    ...it.tunnels.map(describeTunnel),
    ...it.routes.filter(route => route.closed).map(({ name }) => `route ${name}  closed for maintenance`),
    ...it.warnings.map(warning => `configuration: ${warning}`),
  ]
  const last = it.last_reload
  if (last !== null)
    lines.push(`last reload ${last.at}: ${last.ok ? 'successful' : 'rejected'}`, ...last.problems)
  return `${lines.join('\n')}\n`
}

function describeUpstream(upstream: Partial<UpstreamStatus>): string[] {
  const { name, balance, endpoints, problems = [], deployed } = upstream
  const labels = (endpoints ?? []).map(labelOf)
  const width = Math.max(0, ...labels.map(label => label.length))
  const rows = (endpoints ?? []).map((endpoint, i) => {
    const { state, reason, note, check } = endpoint
    const why = reason ?? note ?? check?.message ?? ''
    return `  ${labels[i]?.padEnd(width)}  ${state.padEnd(8)}  ${workText(endpoint)}  ${why}`.trimEnd()
  })
  const notes = problems.map(problem => `  ${problem}`)
  if (Array.isArray(deployed))
    notes.push(`  deployed: ${deployed.join(', ')} (not in the configuration files)`)
  return [`upstream ${name}  ${balance}`, ...rows, ...notes]
}

/** Its name, and the address that a name stands for now. */
function labelOf({ name, address }: EndpointRow): string {
  return name.endsWith(address) ? name : `${name} (${address})`
}

function workText({ inflight, tunnels = 0, protocol = 'http1' }: Partial<EndpointRow>): string {
  return `${protocol}  ${inflight} in flight${tunnels > 0 ? ` (${tunnels} of them tunnels)` : ''}`
}
