import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'

// What is said at the start, and at a reload, of static roots; test/golden/config/static-roots has the cases
// that need no rights.

/** Anybody but root, who may read everything. */
const NOBODY = 65534
const isRoot = process.getuid?.() === 0

/** The warnings for one static route over `root`, as a user without rights of its own. */
async function warningsFor(folder: string, root: string): Promise<string[]> {
  const config = join(folder, 'causeway.toml')
  const route = `path = "/media/"\nstatic = { root = ${JSON.stringify(root)} }`
  writeFileSync(config, `[listeners.web]\naddress = "127.0.0.1:0"\n\n[routes.files]\n${route}\n`)
  chmodSync(config, 0o644)
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    const loaded = await loadConfig(config, {})
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    return loaded.warnings.map(({ message }) => message)
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

t.test('a root that this user may not list, enter or reach is told, with the user id', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-roots-'))
  const root = join(folder, 'site')
  const inner = join(root, 'inner')
  t.teardown(() => {
    chmodSync(root, 0o755)
    rmSync(folder, { recursive: true })
  })
  chmodSync(folder, 0o755)
  mkdirSync(inner, { recursive: true })
  const user = isRoot ? NOBODY : process.geteuid?.()
  for (const [what, mode, asked] of [
    ['may not list', 0o111, root],
    ['may not enter', 0o444, root],
    ['may do nothing', 0o000, root],
    ['may not reach', 0o000, inner],
  ] as const) {
    chmodSync(root, mode)
    t.same(
      await warningsFor(folder, asked),
      [`the static root ${asked} cannot be read by this user (uid ${user}): its files will get 404`],
      what,
    )
    chmodSync(root, 0o755)
    t.same(await warningsFor(folder, asked), [])
  }
})
