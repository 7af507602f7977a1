import { createHash } from 'node:crypto'
import type { EndpointStatus } from './health-board.ts'
import type { StatusDocument, UpstreamStatus } from './status.ts'

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --soft: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
p { margin: .2rem 0; } .soft { color: var(--soft); } .up { color: var(--good); } .down, .ejected { color: var(--bad); }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--bad); padding-left: .8rem; }
`

const STYLE_HASH = `sha256-${createHash('sha256').update(STYLE).digest('base64')}`

/** The status page: plain HTML without a script, made anew at each visit. `styleHash` is for the Content-Security-Policy. */
export function statusPage(status: StatusDocument): { readonly html: string; readonly styleHash: string } {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Causeway</title><style>${STYLE}</style></head>
<body>
<h1>Causeway</h1>
<p>${sentence(status)}</p>
<p class="soft">version ${text(status.version)} &middot; configuration ${text(status.hash)}, generation ${status.generation}
&middot; up ${status.uptime_s} s &middot; ${status.threads.filter(it => it.state === 'running').length} of ${status.threads.length} data threads run</p>
${reloadText(status)}
<h2>Listeners</h2>
${table(
  ['name', 'address'],
  status.listeners.map(it => [cell(it.name), cell(it.address)]),
)}
${status.upstreams.map(upstreamText).join('\n')}
<p class="soft">More: <a href="/status">/status</a> (JSON), <a href="/metrics">/metrics</a>, <a href="/config">/config</a></p>
</body></html>
`
  return { html, styleHash: STYLE_HASH }
}

/** Is it fine? One sentence, with the cause if it is not. */
function sentence({ phase, upstreams }: StatusDocument): string {
  if (phase !== 'ready') return `<b class="down">The process is ${phase}.</b>`
  const bad = upstreams.flatMap(it =>
    it.endpoints.filter(ep => ep.state !== 'up').map(ep => `${it.name}: ${ep.name} is ${ep.state}`),
  )
  if (bad.length === 0) return '<b class="up">All is well: every endpoint is up.</b>'
  return `<b class="down">${bad.length} of ${upstreams.flatMap(it => it.endpoints).length} endpoints not up: ${text(bad.slice(0, 3).join('; '))}</b>`
}

function reloadText({ last_reload: last }: StatusDocument): string {
  if (last === null) return ''
  if (last.ok && last.problems.length === 0) return `<p class="soft">Last reload ${text(last.at)}: taken</p>`
  const what = last.ok ? 'taken, but' : 'refused; the configuration before goes on'
  return `<p class="down">Last reload ${text(last.at)}: ${what}</p><pre>${text(last.problems.join('\n'))}</pre>`
}

function upstreamText({ name, balance, endpoints }: UpstreamStatus): string {
  const head = ['endpoint', 'address', 'state', 'since', 'weight', 'in flight', 'last check']
  return `<h2>Upstream ${text(name)} <span class="soft">${text(balance)}</span></h2>\n${table(head, endpoints.map(endpointCells))}`
}

function endpointCells(endpoint: EndpointStatus): string[] {
  const { name, address, state, since, reason, weight, inflight, check } = endpoint
  const checkText = check === undefined ? '' : `${check.message} (${check.duration_ms} ms)`
  return [
    cell(name),
    cell(address),
    `<td class="${state}">${state}${reason === undefined ? '' : `: ${text(reason)}`}</td>`,
    cell(since),
    `<td class="number">${weight}</td>`,
    `<td class="number">${inflight}</td>`,
    cell(checkText),
  ]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const headCells = head.map(name => `<th>${name}</th>`).join('')
  return `<table><tr>${headCells}</tr>\n${rows.map(row => `<tr>${row.join('')}</tr>`).join('\n')}</table>`
}

function cell(value: string): string {
  return `<td>${text(value)}</td>`
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
