import type { Report } from './problem.ts'
import { NAMED_SECTIONS, type NamedName, SINGULAR } from './schema.ts'
import { type Place, placeText } from './source.ts'
import { type Entry, keyText, type Table } from './tree.ts'

/**
 * The files of one configuration as one tree. No file wins over another: what stands in two files is a
 * mistake.
 */
export function mergeTrees(trees: readonly Table[], whole: Place, report: Report): Table {
  const sections = new Map<string, Entry>()
  for (const tree of trees) {
    for (const [name, section] of tree.entries) {
      const known = sections.get(name)
      sections.set(name, known === undefined ? section : mergeSections(name, known, section, report))
    }
  }
  return { kind: 'table', at: whole, entries: sections }
}

function mergeSections(name: string, first: Entry, second: Entry, report: Report): Entry {
  if (first.node.kind !== 'table' || second.node.kind !== 'table') {
    report.error(second.keyAt, `${keyText(name)} is defined twice (first at ${placeText(first.keyAt)})`)
    return first
  }
  const entries = new Map(first.node.entries)
  for (const [key, entry] of second.node.entries) {
    const known = entries.get(key)
    if (known === undefined) entries.set(key, entry)
    else
      report.error(entry.keyAt, `${called(name, key)} is defined twice (first at ${placeText(known.keyAt)})`)
  }
  return { keyAt: first.keyAt, node: { ...first.node, entries } }
}

function called(section: string, key: string): string {
  if (!Object.hasOwn(NAMED_SECTIONS, section)) return `${keyText(section)}.${keyText(key)}`
  return `${SINGULAR[section as NamedName]} ${JSON.stringify(key)}`
}
