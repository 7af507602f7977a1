import * as v from 'valibot'
import { keyHabit } from './habits.ts'
import { isMisspelt } from './misspelt.ts'
import { didYouMean } from './nearest.ts'
import { MISSING, type Model, type Section, sectionSchema, splitIssue, tomlKey } from './option.ts'
import { looksSecret, type Report } from './problem.ts'
import {
  NAMED_SECTIONS,
  type NamedName,
  SINGLE_SECTIONS,
  SINGULAR,
  type SingleName,
  TOP_LEVEL,
} from './schema.ts'
import type { Place } from './source.ts'
import { describe, type Node, nodeAt, type Path, pathText, placeOf, plain, type Table } from './tree.ts'

/**
 * The tree, each value read by its row. What has a mistake in it is left out; the mistake is in the report.
 */
export type Settings = {
  readonly [K in SingleName]: Model<(typeof SINGLE_SECTIONS)[K]> | undefined
} & {
  readonly [K in NamedName]: ReadonlyMap<string, Model<(typeof NAMED_SECTIONS)[K]>>
}

export function readSettings(root: Table, report: Report): Settings {
  for (const [name, { keyAt }] of root.entries) {
    if (!TOP_LEVEL.includes(name)) {
      report.error(keyAt, `unknown section ${JSON.stringify(name)}`, hintFor(name, TOP_LEVEL))
    }
  }
  return {
    server: readSingle(root, 'server', report),
    log: readSingle(root, 'log', report),
    admin: readSingle(root, 'admin', report),
    acme: readSingle(root, 'acme', report),
    listeners: readNamed(root, 'listeners', report),
    upstreams: readNamed(root, 'upstreams', report),
    routes: readNamed(root, 'routes', report),
    tunnels: readNamed(root, 'tunnels', report),
  }
}

function readSingle<K extends SingleName>(root: Table, name: K, report: Report): Settings[K] {
  const node = root.entries.get(name)?.node ?? { kind: 'table', at: root.at, entries: new Map() }
  return readSection(root, [name], node, SINGLE_SECTIONS[name], report) as Settings[K]
}

function readNamed<K extends NamedName>(root: Table, section: K, report: Report): Settings[K] {
  const settings = new Map<string, unknown>()
  const node = root.entries.get(section)?.node
  if (node !== undefined && node.kind !== 'table') {
    const hint = `write [${section}.NAME]${isTableList(node) ? ' with single brackets' : ''}`
    report.error(node.at, `${section}: expected named tables, got ${describe(node)}`, hint)
  }
  for (const [name, entry] of node?.kind === 'table' ? node.entries : []) {
    checkName(section, name, entry.keyAt, report)
    const model = readSection(root, [section, name], entry.node, NAMED_SECTIONS[section], report)
    if (model !== undefined) settings.set(name, model)
  }
  return settings as unknown as Settings[K]
}

// Names become labels of metrics and parts of keys.
function checkName(section: NamedName, name: string, at: Place, report: Report): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(name)) return
  report.error(
    at,
    `${JSON.stringify(name)} is not a valid name for ${article(SINGULAR[section])}`,
    'use at most 64 letters, digits, "_", "-" and "."',
  )
}

/**
 * The table `node` at `path`, each value read by its row; undefined if there is a mistake in it, which is
 * then in the report.
 */
export function readSection<S extends Section>(
  root: Table,
  path: Path,
  node: Node,
  section: S,
  report: Report,
): Model<S> | undefined {
  findUnknownKeys(node, path, section, report)
  const result = v.safeParse(sectionSchema(section), plain(node))
  if (result.success) return result.output
  for (const issue of result.issues) {
    const steps = issue.path?.map(item => item.key as string | number) ?? []
    const whole = [...path, ...steps]
    if (issue.message === MISSING && isTypingError(root, whole, section, steps)) continue
    reportIssue(root, whole, issue.message, report)
  }
  return undefined
}

/** The key is there, but misspelt: that is told already. */
function isTypingError(root: Table, path: Path, section: Section, steps: readonly unknown[]): boolean {
  let rows: Section | undefined = section
  for (const step of steps.slice(0, -1)) {
    if (typeof step === 'number') continue
    rows = Object.entries(rows ?? {}).find(([name]) => tomlKey(name) === step)?.[1].fields
  }
  const known = Object.keys(rows ?? {}).map(tomlKey)
  return isMisspelt(nodeAt(root, path.slice(0, -1)), String(path.at(-1)), known)
}

function reportIssue(root: Table, path: Path, message: string, report: Report): void {
  const { fault, hint } = splitIssue(message)
  const at = placeOf(root, path)
  const node = nodeAt(root, path)
  if (node?.kind === 'leaf' && node.unresolved) return
  if (fault === MISSING) {
    report.error(at, `${pathText(path)} ${MISSING}`)
    return
  }
  const shown = fault.startsWith('expected') && node !== undefined && !looksSecret(String(path.at(-1)))
  const got = shown ? `, got ${describe(node)}` : ''
  // A hint may quote the value, and what came out of `${…}` may be a secret.
  const quotable = node?.kind !== 'leaf' || node.template === undefined
  const shape = shown ? shapeHint(fault, node, path) : undefined
  report.error(at, `${pathText(path)}: ${fault}${got}`, shape ?? (quotable ? hint : undefined))
}

/** What to write where a list stands for a table, or a text for a list of them. */
function shapeHint(fault: string, node: Node, path: Path): string | undefined {
  if (fault === 'expected a table' && isTableList(node))
    return `write [${pathText(path)}] with single brackets`
  if (!fault.startsWith('expected a list') || node.kind !== 'leaf' || typeof node.value !== 'string')
    return undefined
  const items = node.template === undefined ? node.value.split(/[\s,]+/) : [node.template]
  return `write [${items.map(item => JSON.stringify(item)).join(', ')}]`
}

function isTableList(node: Node): boolean {
  return node.kind === 'list' && node.items.length > 0 && node.items.every(({ kind }) => kind === 'table')
}

function findUnknownKeys(node: Node, path: Path, section: Section, report: Report): void {
  if (node.kind === 'list') {
    for (const [i, item] of node.items.entries()) findUnknownKeys(item, [...path, i], section, report)
  }
  if (node.kind !== 'table') return
  const rows = new Map(Object.entries(section).map(([name, option]) => [tomlKey(name), option]))
  for (const [key, entry] of node.entries) {
    const option = rows.get(key)
    if (option === undefined) {
      const where = path.length === 0 ? '' : ` in ${pathText(path)}`
      const message = `unknown key ${JSON.stringify(key)}${where}`
      report.error(entry.keyAt, message, hintFor(key, [...rows.keys()]))
    } else if (option.fields !== undefined) {
      findUnknownKeys(entry.node, [...path, key], option.fields, report)
    }
  }
}

/** A word of another proxy, a typing error, or else all words there are. */
function hintFor(word: string, words: readonly string[]): string {
  return keyHabit(word) ?? didYouMean(word, words) ?? `valid keys are ${words.join(', ')}`
}

function article(noun: string): string {
  return /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`
}
