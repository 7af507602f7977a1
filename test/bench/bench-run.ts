import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Processes } from './processes.ts'

export interface BenchRun {
  readonly processes: Processes
  /** Own, empty folder that goes with the run. */
  readonly folder: string
}

/**
 * A run that leaves no process and no file behind, however it ends, and ends after `longestMs` at the latest.
 */
export function beginRun(name: string, longestMs: number): BenchRun {
  const processes = new Processes()
  const folder = mkdtempSync(join(tmpdir(), `causeway-${name}-`))
  process.once('exit', () => {
    processes.killNow()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  setTimeout(() => {
    process.stderr.write(`ended: not done after ${longestMs / 1000} s\n`)
    process.exit(1)
  }, longestMs).unref()
  return { processes, folder }
}

/** A Markdown table whose columns also line up in a terminal. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, head.map(() => '---'), ...rows]
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells
    .map(row => `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |\n`)
    .join('')
}
