import { didYouMean } from './nearest.ts'
import type { Report } from './problem.ts'
import type { NamedName } from './schema.ts'
import type { Settings } from './settings.ts'
import type { Node, Table } from './tree.ts'

/** What a check looks at: the values, and the tree that knows where they stand. */
export interface Subject {
  readonly settings: Settings
  readonly root: Table
  readonly report: Report
}

/** The name of an upstream that is written there: is there such a one, with mistakes in it or without? */
export function checkReference({ root, report }: Subject, node: Node): void {
  if (node.kind !== 'leaf' || typeof node.value !== 'string' || node.unresolved) return
  const names = namesOf(root, 'upstreams')
  if (names.includes(node.value)) return
  const known = names.length === 0 ? 'no upstream is defined' : `defined are: ${names.join(', ')}`
  report.error(
    node.at,
    `upstream ${JSON.stringify(node.value)} is not defined`,
    didYouMean(node.value, names) ?? known,
  )
}

/** All that are written, with mistakes in them or without. */
export function namesOf(root: Table, section: NamedName): readonly string[] {
  const node = root.entries.get(section)?.node
  return node?.kind === 'table' ? [...node.entries.keys()] : []
}
