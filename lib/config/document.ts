import { readFile } from 'node:fs/promises'
import { whyUnreadable } from '../base/errno-words.ts'
import type { Environment } from './interpolate.ts'
import { readTree } from './load.ts'
import type { Model, Section } from './option.ts'
import { type Problem, Report } from './problem.ts'
import { readSection } from './settings.ts'
import type { Table } from './tree.ts'

/** What stands in a file, or every reason why it cannot be told. */
export type ReadDocument<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Reads a TOML file that is no configuration by rows of its own, with the same references to the environment
 * and the same messages. `compile` makes of the rows' model what the caller wants; it reports what it finds
 * wrong, at places of `root`.
 */
export async function readDocument<S extends Section, T>(
  path: string,
  section: S,
  env: Environment,
  compile: (model: Model<S>, root: Table, report: Report) => T,
): Promise<ReadDocument<T>> {
  const report = new Report()
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const place = { source: { name: path, text: '' }, offset: undefined }
    report.error(
      place,
      error.code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${whyUnreadable(error)}`,
    )
    return undefined
  })
  const root = readTree(path, bytes, env, report)
  const model = root === undefined ? undefined : readSection(root, [], root, section, report)
  const value = root === undefined || model === undefined ? undefined : compile(model, root, report)
  if (value === undefined || report.failed) return { ok: false, problems: report.sorted() }
  return { ok: true, value, warnings: report.sorted() }
}
