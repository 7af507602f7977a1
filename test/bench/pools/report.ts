import { tableOf } from '../bench-run.ts'
import type { Seen } from '../open-loop.ts'

export interface Row extends Seen {
  readonly name: string
  readonly capped: boolean
  /** How late the app's event loop was: what the app itself adds. */
  readonly appLagP99Ms: number
  /** What the simulation says of it; undefined for peers. */
  readonly predictedP99Ms: number | undefined
}

export interface Mark {
  readonly name: string
  readonly limit: number
  /** undefined: not measured. */
  readonly value: number | undefined
}

/** Without anything else on the machine it is 1 to 3 ms. */
const DISTURBED_MS = 5

const isOurs = ({ name }: Row) => name.startsWith('causeway ')

/** The best p99 of a peer that only chooses, as Causeway's policies do by default. */
export function bestPeerMs(rows: readonly Row[]): number | undefined {
  const times = rows.filter(row => !isOurs(row) && !row.capped && row.failed === 0).map(row => row.p99Ms)
  return times.length === 0 ? undefined : Math.min(...times)
}

export function marksOf(rows: readonly Row[]): readonly Mark[] {
  const bestMs = bestPeerMs(rows)
  const beside = (name: string) => {
    const own = rows.find(row => row.name === name)
    return own === undefined || bestMs === undefined ? undefined : own.p99Ms / bestMs
  }
  return [
    { name: 'p99 of p2c, beside the best peer', limit: 1.15, value: beside('causeway p2c') },
    { name: 'p99 of peak-ewma, beside the best peer', limit: 0.4, value: beside('causeway peak-ewma') },
    ...rows.flatMap(predictionMark),
  ]
}

function predictionMark({ name, p99Ms, predictedP99Ms }: Row): Mark[] {
  if (predictedP99Ms === undefined) return []
  const value = Math.abs(p99Ms / predictedP99Ms - 1)
  return [{ name: `p99 of ${name}, off the prediction`, limit: 0.15, value }]
}

/** The load was sent so late that its times say little about the proxy. */
export const isDisturbed = ({ lateP99Ms }: Row) => lateP99Ms > DISTURBED_MS

export const isMissed = ({ value, limit }: Mark) => value !== undefined && value > limit

export function renderRows(rows: readonly Row[]): string {
  const bestMs = bestPeerMs(rows)
  const head = [
    'policy',
    'p50 ms',
    'p99 ms',
    '× best peer',
    'predicted',
    'longest ms',
    'failed',
    'load late p99',
    'app late p99',
  ]
  const cells = rows.map(row => [
    row.name,
    row.p50Ms.toFixed(1),
    row.p99Ms.toFixed(1),
    bestMs === undefined ? '-' : (row.p99Ms / bestMs).toFixed(2),
    row.predictedP99Ms?.toFixed(1) ?? '-',
    row.maxMs.toFixed(0),
    `${row.failed} of ${row.requests}`,
    row.lateP99Ms.toFixed(1),
    row.appLagP99Ms.toFixed(1),
  ])
  return tableOf(head, cells)
}

export function renderMarks(marks: readonly Mark[]): string {
  const cells = marks.map(mark => [
    mark.name,
    mark.value === undefined ? '-' : mark.value.toFixed(2),
    `≤ ${mark.limit}`,
    mark.value === undefined ? 'not measured' : isMissed(mark) ? 'fail' : 'pass',
  ])
  return tableOf(['mark', 'measured', 'limit', ''], cells)
}
