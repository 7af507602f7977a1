import { createHash } from 'node:crypto'
import type {
  EndpointRow,
  RouteStatus,
  StatusDocument,
  ThreadStatus,
  TunnelStatus,
  UpstreamStatus,
} from './status.ts'
import { STATUS_STYLE, type TableKind } from './status-style.ts'
import { verdictOf } from './verdict.ts'

const STYLE_HASH = `sha256-${createHash('sha256').update(STATUS_STYLE).digest('base64')}`

/**
 * The status page: plain HTML without a script, made anew at each visit. `styleHash` is for the
 * Content-Security-Policy.
 */
export function statusPage(status: StatusDocument): { readonly html: string; readonly styleHash: string } {
  const { kind, sentence } = verdictOf(status)
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${kind === 'good' ? '' : '! '}Causeway</title><style>${STATUS_STYLE}</style></head>
<body>
<h1>Causeway</h1>
<p class="soft">version ${text(status.version)} &middot; process ${status.pid} &middot; up ${spanText(status.uptime_s * 1000)}
&middot; configuration ${text(status.hash)}, generation ${status.generation}</p>
<p class="verdict ${kind}">${text(sentence)}</p>
${reloadText(status)}
${warningsText(status)}
${problemsText(status)}
${status.upstreams.map(upstream => upstreamText(upstream, status)).join('\n')}
<section><h2>Routes</h2>${routesTable(status)}</section>
${tunnelsSection(status)}<div class="pair">
${certificatesSection(status)}<section><h2>Bodies of slow clients</h2>${spoolTable(status)}</section>
<section><h2>Listeners</h2>${listenersTable(status)}</section>
<section><h2>Data threads</h2>${threadsTable(status)}</section>
</div>
<p class="soft">Machine-readable: <a href="/status">/status</a>, <a href="/metrics">/metrics</a>, <a href="/config">/config</a>.
This page reloads every 5 seconds.</p>
</body></html>
`
  return { html, styleHash: STYLE_HASH }
}

function reloadText({ last_reload: last }: StatusDocument): string {
  if (last === null) return ''
  if (last.ok && last.problems.length === 0)
    return `<p class="soft">Last reload ${text(last.at)}: successful</p>`
  const what = last.ok ? 'successful, but' : 'rejected; the previous configuration stays in use'
  return `<section><h2>Last reload <span>${text(last.at)}</span></h2><p class="bad">${what}</p><pre>${text(last.problems.join('\n'))}</pre></section>`
}

/** Those of the last reload are the running configuration's, as those of the start are. */
function warningsText({ warnings }: StatusDocument): string {
  if (warnings.length === 0) return ''
  return `<section><h2>Warnings <span>of the configuration</span></h2><pre>${text(warnings.join('\n\n'))}</pre></section>`
}

/** What is wrong now and belongs to no upstream: the verdict names one thing only. */
function problemsText(status: StatusDocument): string {
  const {
    certificate_problems: certificates,
    log_problems: logs,
    endpoint_problem: endpoints,
    spool,
  } = status
  const single = [endpoints, spool.problem].filter(problem => problem !== null)
  const problems = [...certificates, ...logs, ...single]
  if (problems.length === 0) return ''
  return `<section><h2>Problems</h2><pre>${text(problems.join('\n'))}</pre></section>`
}

function upstreamText(upstream: UpstreamStatus, status: StatusDocument): string {
  const { name, balance, endpoints } = upstream
  const tunnels = endpoints.some(endpoint => endpoint.tunnels > 0)
  const inFlight = tunnels ? ['#in flight', '#tunnels'] : ['#in flight']
  const head = ['state', 'endpoint', 'address', 'for', '#weight', ...inFlight, 'last check']
  const nowMs = Date.parse(status.started_at) + status.uptime_s * 1000
  const managed = status.workers.filter(worker => worker.upstream === name)
  const rows = endpoints.map(endpoint => {
    const worker = managed.find(it => it.worker === endpoint.name)
    const process = worker === undefined ? [] : [cell(processText(worker))]
    return [...endpointCells(endpoint, nowMs, tunnels), ...process]
  })
  const heads = managed.length > 0 ? [...head, 'process'] : head
  return `<section><h2>Upstream ${text(name)} <span>${text(balance)}</span></h2>${table('endpoints', heads, rows)}${notesOf(upstream)}</section>`
}

/** What cannot be looked up, and what a deploy has done. */
function notesOf({ problems, deployed }: UpstreamStatus): string {
  const deploy =
    deployed === null ? [] : [`deployed: ${deployed.join(', ')} (not in the configuration files)`]
  const notes = [...problems, ...deploy]
  return notes.length === 0 ? '' : `<pre>${text(notes.join('\n'))}</pre>`
}

function endpointCells(endpoint: EndpointRow, nowMs: number, tunnels: boolean): string[] {
  const { name, address, protocol, state, since, reason, note, weight, ramp, inflight, check } = endpoint
  const last = check === undefined ? 'none' : checkText(check)
  const notable = reason ?? note
  const why = notable === undefined || notable === check?.message ? last : `${notable}; last check: ${last}`
  return [
    `<td class="state ${state}">${state}${state === 'up' ? rampText(ramp) : ''}</td>`,
    cell(name),
    `<td>${text(address)} <span class="soft">${protocol}</span></td>`,
    `<td title="since ${text(since)}">${spanText(nowMs - Date.parse(since))}</td>`,
    number(weight),
    number(inflight),
    ...(tunnels ? [number(endpoint.tunnels)] : []),
    `<td class="words">${text(why)}</td>`,
  ]
}

/** How long it took says nothing new of a check that has run out of its time. */
function checkText({ message, duration_ms: ms }: NonNullable<EndpointRow['check']>): string {
  return message.startsWith('timed out') ? message : `${message}, ${Math.round(ms * 10) / 10} ms`
}

/** While it starts slowly. */
function rampText(ramp: number | undefined): string {
  return ramp === undefined ? '' : ` <span class="soft">${ramp} %</span>`
}

function processText({ pid, starts }: StatusDocument['workers'][number]): string {
  const restarts = starts > 1 ? `, ${starts - 1} restart${starts > 2 ? 's' : ''}` : ''
  return pid === undefined ? `none${restarts}` : `${pid}${restarts}`
}

function routesTable({ routes }: StatusDocument): string {
  return table('routes', ['state', 'route', 'host', 'path', 'leads to'], routes.map(routeCells))
}

function routeCells({ name, hosts, path, leads_to: leadsTo, closed }: RouteStatus): string[] {
  return [
    closed ? '<td class="state draining">closed for maintenance</td>' : '<td class="state up">open</td>',
    cell(name),
    `<td class="words">${text(hosts.length === 0 ? 'any' : hosts.join(', '))}</td>`,
    cell(path),
    `<td class="words">${text(leadsTo)}</td>`,
  ]
}

/** Nothing where there is none. */
function tunnelsSection({ tunnels }: StatusDocument): string {
  if (tunnels.length === 0) return ''
  const rows = tunnels.map(tunnelCells)
  return `<section><h2>Tunnels <span>TLS, undecrypted</span></h2>${table('tunnels', ['tunnel', 'host', 'listener', 'leads to'], rows)}</section>\n`
}

function tunnelCells({ name, hosts, listeners, upstream }: TunnelStatus): string[] {
  const words = (value: string) => `<td class="words">${text(value)}</td>`
  const host = hosts.length === 0 ? 'any' : hosts.join(', ')
  return [cell(name), words(host), words(listeners.join(', ')), words(`upstream ${upstream}`)]
}

/** Nothing where no listener speaks TLS. */
function certificatesSection({ certificates }: StatusDocument): string {
  if (certificates.length === 0) return ''
  const rows = certificates.map(it => [
    cell(it.listener),
    `<td class="words">${text(it.names.join(', '))}</td>`,
    cell(it.key),
    cell(it.not_after),
    number(String(it.days_left)),
  ])
  return `<section><h2>Certificates</h2>${table('certificates', ['listener', 'names', 'key', 'not after', '#days left'], rows)}</section>\n`
}

function spoolTable({ spool }: StatusDocument): string {
  return table(
    'bodies',
    ['where', '#now', '#at most'],
    [
      [cell('memory'), number(bytesText(spool.memory_bytes)), number(bytesText(spool.memory_limit_bytes))],
      [
        `<td class="words">files in ${text(spool.folder)}</td>`,
        number(bytesText(spool.file_bytes)),
        number(bytesText(spool.file_limit_bytes)),
      ],
    ],
  )
}

function listenersTable({ listeners }: StatusDocument): string {
  return table(
    'listeners',
    ['name', 'address'],
    listeners.map(it => [cell(it.name), cell(it.address)]),
  )
}

function threadsTable({ threads }: StatusDocument): string {
  return table('threads', ['state', 'thread', '#busy', '#pauses'], threads.map(threadCells))
}

function threadCells(it: ThreadStatus): string[] {
  const busy = it.loop_utilization === undefined ? '' : `${Math.round(it.loop_utilization * 100)} %`
  return [
    `<td class="state ${it.state === 'running' ? 'up' : 'down'}">${text(it.state)}</td>`,
    cell(String(it.thread)),
    number(busy),
    pauseCell(it.loop_lag_ms),
  ]
}

/** Shorter ones come with every start, and with a machine that does other things as well. */
const LONG_PAUSE_MS = 250

function pauseCell(pauseMs: number | undefined): string {
  if (pauseMs === undefined) return number('')
  if (pauseMs < LONG_PAUSE_MS) return number('short')
  return `<td class="number doubtful">${Math.round(pauseMs)} ms</td>`
}

/**
 * A head with `#` in front stands over numbers. `kind`: by it the style names columns where the screen is too
 * narrow for heads.
 */
function table(kind: TableKind, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const heads = head.map(name =>
    name.startsWith('#') ? `<th class="number">${name.slice(1)}</th>` : `<th>${name}</th>`,
  )
  const lines = rows.map(row => `<tr>${row.join('')}</tr>`)
  return `<table class="${kind}"><tr>${heads.join('')}</tr>\n${lines.join('\n')}</table>`
}

function cell(value: string): string {
  return `<td>${text(value)}</td>`
}

function number(value: number | string): string {
  return `<td class="number">${value}</td>`
}

/** Bytes as a person says them: 1.5 GiB. */
function bytesText(bytes: number): string {
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Math.round((bytes / 1024 ** power) * 10) / 10} ${['B', 'KiB', 'MiB', 'GiB'][power]}`
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const

/** A time as a person says it: the largest unit, and the next if it says something. */
function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const i = UNITS.findIndex(([, size]) => seconds >= size)
  const [unit, size] = UNITS[i] ?? UNITS[UNITS.length - 1] ?? ['s', 1]
  const [nextUnit, nextSize] = UNITS[i + 1] ?? ['', Number.POSITIVE_INFINITY]
  const next = i < 0 ? 0 : Math.floor((seconds % size) / nextSize)
  return `${Math.floor(seconds / size)} ${unit}${next > 0 ? ` ${next} ${nextUnit}` : ''}`
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, char => ESCAPES[char] ?? char)
}
