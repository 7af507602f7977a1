import { markTable, table, withRange } from '../report.ts'
import type { EdgeCase, Options } from './options.ts'
import type { EdgeRow, EdgeSummary } from './summary.ts'

const TITLES: Readonly<Record<EdgeCase, string>> = {
  'handshake-full': 'TLS 1.3 handshakes, full (ECDSA P-256)',
  'handshake-resumed': 'TLS 1.3 handshakes, resumed by ticket',
  'tls-proxied': 'Proxied over TLS 1.3 keep-alive, HTTP/1.1, 104 B answers',
  'h2-proxied': 'Proxied over HTTP/2, 104 B answers',
  'h2-static-10k': 'Static file over HTTP/2, 10 KB',
}

/** What a core could do at this cost: the load's own core ends before some peers do. */
const perCore = (cpuMicros: number) => (cpuMicros > 0 ? 1e6 / cpuMicros : 0)

function tableOf(name: EdgeCase, rows: readonly EdgeRow[]): string {
  const what = name.startsWith('handshake') ? 'handshake' : 'request'
  const head = ['proxy', `CPU µs/${what}`, '× nginx', `${what}s/s`, 'a core could do', 'failed']
  const cells = rows.map(row => [
    row.peer,
    withRange(row.cpuMicros, 1),
    withRange(row.ratioToNginx, 2),
    row.perSecond.median.toFixed(0),
    perCore(row.cpuMicros.median).toFixed(0),
    String(row.failed),
  ])
  return table(head, cells)
}

/** The whole report for people. */
export function renderReport({ rows, marks }: EdgeSummary, { cases, rounds, seconds }: Options): string {
  const parts = cases.flatMap(name => {
    const mine = rows.filter(row => row.case === name)
    return mine.length === 0 ? [] : [`## ${TITLES[name]}`, tableOf(name, mine)]
  })
  const shape = `median of ${rounds} rounds of ${seconds} s (lowest-highest)`
  const loads = '64 connections over HTTP/1.1, 100 with 10 streams each over HTTP/2, 32 handshakes at a time'
  return `${[...parts, '## Marks', markTable(marks), `One core for the proxy, the other for load and app. ${shape}; ${loads}.`].join('\n\n')}\n`
}
