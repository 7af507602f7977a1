import { meantByHabit } from './habits.ts'
import { nearest } from './nearest.ts'
import type { Node } from './tree.ts'

/**
 * Was `key` most likely meant by another key of the table, one that `known` does not have? What is missing
 * then needs no message of its own: the one about the typing error says it.
 */
export function isMisspelt(table: Node | undefined, key: string, known: readonly string[]): boolean {
  if (table?.kind !== 'table') return false
  for (const word of table.entries.keys()) {
    if (known.includes(word)) continue
    if ((meantByHabit(word) ?? nearest(word, known)) === key) return true
  }
  return false
}
