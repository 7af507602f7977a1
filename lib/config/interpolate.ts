import { readSmallFile } from '../base/small-file.ts'
import type { Report } from './problem.ts'
import type { Place } from './source.ts'
import type { Entry, Leaf, Node, Table } from './tree.ts'

/** The environment as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `$$`, `${…}`, or a `${` that never ends. A `$` before anything else is just a `$`. */
const REFERENCE = /\$\$|\$\{([^}]*)\}|\$\{/g
/** Larger files hold no secret. */
const MAX_SECRET_BYTES = 1024 * 1024
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/**
 * Replaces `${NAME}`, `${NAME:-default}` (also for an empty variable, as a shell does), `${file:/path}` and
 * `$$` inside string values. It runs on the parsed tree: whatever a variable holds, it can never become
 * configuration syntax.
 */
export function interpolate(table: Table, env: Environment, report: Report): Table {
  const entries = new Map<string, Entry>()
  for (const [key, { keyAt, node }] of table.entries) {
    entries.set(key, { keyAt, node: interpolateNode(node, env, report) })
  }
  return { ...table, entries }
}

/** Names of the environment variables that a value refers to. */
export function variablesIn(template: string): string[] {
  return [...template.matchAll(REFERENCE)].flatMap(([, inner = '']) => {
    const [, name] = VARIABLE.exec(inner) ?? []
    return name === undefined ? [] : [name]
  })
}

function interpolateNode(node: Node, env: Environment, report: Report): Node {
  switch (node.kind) {
    case 'table':
      return interpolate(node, env, report)
    case 'list':
      return { ...node, items: node.items.map(item => interpolateNode(item, env, report)) }
    case 'leaf':
      return interpolateLeaf(node, env, report)
  }
}

function interpolateLeaf(leaf: Leaf, env: Environment, report: Report): Leaf {
  const template = leaf.value
  if (typeof template !== 'string' || !template.includes('$')) return leaf
  let unresolved = false
  const value = template.replace(REFERENCE, (text: string, inner: string | undefined) => {
    if (text === '$$') return '$'
    const found = inner === undefined ? { fault: 'the brace after $ is not closed' } : lookUp(inner, env)
    if ('value' in found) return found.value
    unresolved = true
    report.error(placeInside(leaf.at, text), found.fault, found.hint)
    return text
  })
  return { ...leaf, value, template: value === template ? undefined : template, unresolved }
}

type Found = { readonly value: string } | { readonly fault: string; readonly hint?: string }

function lookUp(inner: string, env: Environment): Found {
  if (inner.startsWith('file:')) return readSecret(inner.slice('file:'.length))
  const [, name, fallback] = VARIABLE.exec(inner) ?? []
  if (name === undefined) {
    return {
      fault: `\${${inner}} is not a valid variable`,
      hint: `write \${NAME}, \${NAME:-default} or \${file:/path}; $$ is a literal $`,
    }
  }
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (value !== undefined && (value !== '' || fallback === undefined)) return { value }
  if (fallback !== undefined) return { value: fallback }
  return {
    fault: `environment variable ${name} is not set`,
    hint: `set it, or add a default: \${${name}:-default}`,
  }
}

function readSecret(path: string): Found {
  const read = readSmallFile(path, MAX_SECRET_BYTES)
  if ('code' in read) return { fault: `cannot read ${path}: ${read.why}` }
  return { value: read.bytes.toString().replace(/\r?\n$/, '') }
}

/** The reference itself where the source shows it as is, else the string that it stands in. */
function placeInside(at: Place, reference: string): Place {
  if (at.offset === undefined) return at
  const found = at.source.text.indexOf(reference, at.offset)
  return found < 0 ? at : { source: at.source, offset: found }
}
