import type { Options } from './options.ts'
import type { Mark, MemoryRow, Spread, Summary, TrafficRow } from './summary.ts'

const TITLES = {
  proxied: 'Proxied, 104 B answers',
  'proxied-10k': 'Proxied, 10 KB answers',
  'static-10k': 'Static file, 10 KB',
  connect: 'Proxied, 104 B answers, a new connection a request',
  idle: 'Idle connections',
} as const

const number = (value: number, digits: number) => value.toFixed(digits)

/** The median, and the range where there is one. */
export function withRange(spread: Spread | undefined, digits: number): string {
  if (spread === undefined) return '-'
  const { median, min, max } = spread
  if (min === max) return number(median, digits)
  return `${number(median, digits)} (${number(min, digits)}-${number(max, digits)})`
}

/** A Markdown table whose columns also line up in a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

function trafficTable(rows: readonly TrafficRow[]): string {
  const head = ['proxy', 'CPU µs/request', '× nginx', 'requests/s', 'p50 ms', 'p99 ms', 'failed']
  const cells = rows.map(row => [
    row.peer,
    withRange(row.cpuMicrosPerRequest, 1),
    withRange(row.ratioToNginx, 2),
    number(row.requestsPerSecond.median, 0),
    number(row.p50Ms.median, 2),
    number(row.p99Ms.median, 2),
    String(row.failed),
  ])
  return table(head, cells)
}

function memoryTable(rows: readonly MemoryRow[]): string {
  const cells = rows.map(row => [
    row.peer,
    withRange(row.idleMiB, 0),
    withRange(row.loadMiB, 0),
    withRange(row.connectionKiB, 1),
  ])
  return table(['proxy', 'idle MiB', 'under load MiB', 'KiB per idle connection'], cells)
}

/** Marks beside what was measured. */
export function markTable(marks: readonly Mark[]): string {
  const cells = marks.map(({ name, limit, unit, value, verdict }) => [
    name,
    value === undefined ? '-' : `${number(value, 2)} ${unit}`,
    `≤ ${limit} ${unit}`,
    verdict,
  ])
  return table(['mark', 'measured', 'limit', ''], cells)
}

/** The whole report for people. */
export function renderReport(summary: Summary, options: Options, missing: readonly string[]): string {
  const parts = options.cases.flatMap(name => {
    const rows = summary.traffic.filter(row => row.case === name)
    return rows.length === 0 ? [] : [`## ${TITLES[name]}`, trafficTable(rows)]
  })
  parts.push('## Resident memory', memoryTable(summary.memory), '## Marks', markTable(summary.marks))
  const { rounds, seconds, connections } = options
  const shape = `median of ${rounds} rounds of ${seconds} s (lowest-highest), ${connections} keep-alive connections`
  parts.push(`One core for the proxy; load and upstream on the other. ${shape}.`)
  if (missing.length > 0) parts.push(missing.map(name => `${name}: not installed`).join('\n'))
  return `${parts.join('\n\n')}\n`
}
