import type { Place } from './source.ts'

/**
 * Configuration text as a tree that knows where every part of it stands. Names are keys of a Map, so
 * `__proto__` is a name like any other.
 */
export type Node = Leaf | List | Table

export interface Leaf {
  readonly kind: 'leaf'
  readonly at: Place
  readonly value: string | number | boolean | Date
  /** The value as written, where `${…}` was replaced in it. */
  readonly template: string | undefined
  /**
   * A reference in it could not be replaced, or the number is too large. That is told already, so nobody
   * judges the value.
   */
  readonly unresolved: boolean
}

export interface List {
  readonly kind: 'list'
  readonly at: Place
  readonly items: readonly Node[]
}

export interface Table {
  readonly kind: 'table'
  readonly at: Place
  readonly entries: ReadonlyMap<string, Entry>
}

export interface Entry {
  /** Where the key stands: its part of a header, or of the left side of `=`. */
  readonly keyAt: Place
  readonly node: Node
}

/** Keys and list indexes from the root down. */
export type Path = readonly (string | number)[]

/** Where the value at `path` stands; if it is not written, its nearest ancestor that is. */
export function placeOf(root: Table, path: Path): Place {
  let node: Node = root
  for (const step of path) {
    const next: Node | undefined = child(node, step)
    if (next === undefined) break
    node = next
  }
  return node.at
}

export function nodeAt(root: Table, path: Path): Node | undefined {
  let node: Node | undefined = root
  for (const step of path) node = node === undefined ? undefined : child(node, step)
  return node
}

/** The tree as plain values for valibot. Tables become objects without a prototype. */
export function plain(node: Node): unknown {
  switch (node.kind) {
    case 'leaf':
      return node.value
    case 'list':
      return node.items.map(plain)
    case 'table':
      return plainTable(node)
  }
}

function plainTable(table: Table): Record<string, unknown> {
  const object = Object.create(null) as Record<string, unknown>
  for (const [key, entry] of table.entries) object[key] = plain(entry.node)
  return object
}

/** A value in words, for `got …`. What came out of `${…}` may be a secret: only the variable is shown. */
export function describe(node: Node): string {
  switch (node.kind) {
    case 'leaf':
      return describeLeaf(node)
    case 'list':
      return 'a list'
    case 'table':
      return 'a table'
  }
}

/** A path as one writes it in TOML: `upstreams.app.endpoints[1]`. */
export function pathText(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += (text === '' ? '' : '.') + keyText(step)
  }
  return text
}

export function keyText(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)
}

function child(node: Node, step: string | number): Node | undefined {
  if (node.kind === 'table') return node.entries.get(String(step))?.node
  if (node.kind === 'list') return node.items[Number(step)]
  return undefined
}

const SHOWN_CHARACTERS = 60

function describeLeaf(leaf: Leaf): string {
  if (leaf.template !== undefined) return `the value of ${JSON.stringify(leaf.template)}`
  if (leaf.value instanceof Date) return 'a date'
  if (typeof leaf.value !== 'string') return String(leaf.value)
  const text = leaf.value
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text)
}
