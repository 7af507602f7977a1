import type { Row } from './plan.ts'
import type { PlayedEndpoint } from './simulation.ts'

/** The rows as tables for people. */
export function reportText(rows: readonly Row[]): string {
  const notes = rows.flatMap(row => [prioritiesText(row), ...reasonsText(row), repeatedText(row)])
  const parts = [table([OUTCOME_HEADS, ...rows.map(outcomeCells)]), ...notes]
  const endpoints = rows[0]?.endpoints ?? []
  if (endpoints.length > 0 && endpoints.length <= MAX_SHOWN) {
    const heads = ['', '', ...endpoints.map(({ name }) => name)]
    const cells = rows.map(row => [...labelCells(row), ...row.endpoints.map(endpointText)])
    parts.push('\nBusy workers, and maximum listen backlog of the app:\n', table([heads, ...cells]))
  }
  return parts.join('')
}

/** The rows for programs: snake_case, units in names, as in logs and status. */
export function reportJson(rows: readonly Row[]): object[] {
  return rows.map(row => ({
    policy: row.policy,
    max_inflight: row.maxInflight,
    requests: row.requests,
    ok: row.ok,
    refused: row.refused,
    failed: row.failed,
    left: row.left,
    priorities: row.priorities,
    p50_ms: rounded(row.latency?.p50Ms),
    p90_ms: rounded(row.latency?.p90Ms),
    p99_ms: rounded(row.latency?.p99Ms),
    max_ms: rounded(row.latency?.maxMs),
    mean_ms: rounded(row.latency?.meanMs),
    queue: {
      longest: row.queue.longest,
      waited: row.queue.waited,
      mean_wait_ms: rounded(row.queue.meanWaitMs),
    },
    retries: row.retries,
    repeated: row.repeated,
    endpoints: row.endpoints.map(({ name, answered, utilisation, longestBacklog }) => ({
      name,
      answered,
      utilisation: rounded(utilisation),
      longest_backlog: longestBacklog,
    })),
  }))
}

const OUTCOME_HEADS = [
  'policy',
  'max_inflight',
  'requests',
  'ok',
  'refused',
  'failed',
  'left',
  'p50',
  'p90',
  'p99',
  'max',
  'waited',
  'mean wait',
  'longest queue',
  'retries',
]
/** Of more endpoints there is no table for people. */
const MAX_SHOWN = 12

function labelCells({ policy, maxInflight }: Row): string[] {
  return [policy, maxInflight === 0 ? 'off' : String(maxInflight)]
}

function outcomeCells(row: Row): string[] {
  const { requests, ok, refused, failed, left, latency, queue, retries } = row
  return [
    ...labelCells(row),
    ...[requests, ok, sum(refused), sum(failed), left].map(String),
    ...[latency?.p50Ms, latency?.p90Ms, latency?.p99Ms, latency?.maxMs].map(timeText),
    String(queue.waited),
    timeText(queue.waited === 0 ? undefined : queue.meanWaitMs),
    String(queue.longest),
    String(retries),
  ]
}

/** Only where there are several. */
function prioritiesText(row: Row): string {
  const used = Object.entries(row.priorities).filter(([, { requests }]) => requests > 0)
  if (used.length < 2) return ''
  const parts = used.map(([priority, { requests, ok }]) => `${ok} of ${requests} ${priority}`)
  return `${labelCells(row).join(' ')}: ok ${parts.join(', ')}\n`
}

function reasonsText(row: Row): string[] {
  const counts = [
    ['refused', row.refused],
    ['failed', row.failed],
  ] as const
  return counts.flatMap(([what, reasons]) => {
    const list = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`)
    return list.length === 0 ? [] : [`${labelCells(row).join(' ')}: ${what} ${list.join(', ')}\n`]
  })
}

function repeatedText(row: Row): string {
  if (row.repeated === 0) return ''
  return `${labelCells(row).join(' ')}: ${row.repeated} POST requests started more than once\n`
}

function endpointText({ utilisation, longestBacklog }: PlayedEndpoint): string {
  return `${Math.round(utilisation * 100)}%, ${longestBacklog}`
}

/** Milliseconds in three digits or so. */
function timeText(ms: number | undefined): string {
  if (ms === undefined) return '-'
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)}s`
  return `${ms.toFixed(ms < 100 ? 1 : 0)}ms`
}

/** The first column to the left, numbers to the right. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map(line => (line[column] ?? '').length)),
  )
  const texts = lines.map(line => {
    return line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
  })
  return texts.map(cells => `${cells.join('  ').trimEnd()}\n`).join('')
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 1000) / 1000
}
