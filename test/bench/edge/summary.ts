import { type Mark, mark, ratio, type Spread, spread, unique } from '../summary.ts'
import type { Worked } from './measure.ts'
import type { EdgeCase } from './options.ts'

export interface EdgeRow {
  readonly case: EdgeCase
  readonly peer: string
  readonly cpuMicros: Spread
  /** CPU time beside nginx in the same round; undefined where nginx did not run. */
  readonly ratioToNginx: Spread | undefined
  readonly perSecond: Spread
  readonly failed: number
}

export interface EdgeSummary {
  readonly rows: readonly EdgeRow[]
  readonly marks: readonly Mark[]
}

const NOTHING: Spread = { median: 0, min: 0, max: 0 }

function rowOf(worked: readonly Worked[], name: EdgeCase, peer: string): EdgeRow {
  const mine = worked.filter(one => one.case === name && one.peer === peer)
  return {
    case: name,
    peer,
    cpuMicros: spread(mine.map(one => one.cpuMicrosPerRequest)) ?? NOTHING,
    ratioToNginx: ratio(worked, name, peer, 'nginx'),
    perSecond: spread(mine.map(one => one.perSecond)) ?? NOTHING,
    failed: mine.reduce((sum, one) => sum + one.failed, 0),
  }
}

function marksOf(worked: readonly Worked[]): readonly Mark[] {
  const beside = (name: EdgeCase, base: string) => ratio(worked, name, 'causeway', base)?.median
  return [
    mark('full handshake, beside nginx', beside('handshake-full', 'nginx'), 2, '×'),
    mark('proxied over TLS keep-alive, beside nginx', beside('tls-proxied', 'nginx'), 1.4, '×'),
    mark('proxied over HTTP/2, beside nginx', beside('h2-proxied', 'nginx'), 1.7, '×'),
    mark('proxied over HTTP/2, beside Caddy', beside('h2-proxied', 'caddy'), 0.35, '×'),
  ]
}

/** Medians over the rounds, ratios within each round, and the marks that Causeway is held to. */
export function summarise(worked: readonly Worked[]): EdgeSummary {
  const rows = unique(worked.map(one => one.case)).flatMap(name =>
    unique(worked.filter(one => one.case === name).map(one => one.peer)).map(peer =>
      rowOf(worked, name, peer),
    ),
  )
  return { rows, marks: marksOf(worked) }
}
