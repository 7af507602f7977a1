import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * An empty folder with a short path, wherever the checkout lies: the path of a unix socket holds 107 bytes.
 */
export function shortFolder(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'cw-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
