import { variablesIn } from './interpolate.ts'
import type { Node, Table } from './tree.ts'

/** What programs expect to find, whatever else it is used for. */
const COMMON = /^(?:PATH|HOME|USER|LOGNAME|SHELL|PWD|TERM|TZ|TMPDIR|LANG|LANGUAGE|HOSTNAME|LC_.*|XDG_.*)$/

/**
 * Environment variables that the configuration names, but no `run` table does: tokens, secrets and addresses
 * of Causeway, which apps that it starts have no use for. What an app needs as well is named in its
 * `run.env`.
 */
export function privateVariables(root: Table): readonly string[] {
  const found = { apps: new Set<string>(), ours: new Set<string>() }
  collect(root, [], found)
  return [...found.ours].filter(name => !found.apps.has(name) && !COMMON.test(name)).toSorted()
}

function collect(node: Node, path: readonly string[], found: { apps: Set<string>; ours: Set<string> }): void {
  switch (node.kind) {
    case 'table':
      for (const [key, { node: inner }] of node.entries) collect(inner, [...path, key], found)
      return
    case 'list':
      for (const item of node.items) collect(item, path, found)
      return
    case 'leaf': {
      const names = path[0] === 'upstreams' && path[2] === 'run' ? found.apps : found.ours
      for (const name of variablesIn(node.template ?? '')) names.add(name)
    }
  }
}
