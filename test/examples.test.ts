import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { withReaderFolders } from './support/reader-folders.ts'

// Every file in examples/ is a whole configuration that `causeway check` accepts without a warning.

const FOLDER = join(import.meta.dirname, '../examples')
const files = readdirSync(FOLDER)

t.test('the examples are found, and nothing else is there', async t => {
  t.ok(files.length >= 5, files.join())
  for (const file of files) t.match(file, /^[a-z-]+\.toml$/)
})

for (const file of files) {
  const text = readFileSync(join(FOLDER, file), 'utf8')

  t.test(`${file} passes the check, without a warning`, async t => {
    const loaded = await loadConfig(withReaderFolders(t, text), {}, 'check')
    t.equal(formatProblems(loaded.ok ? loaded.warnings : loaded.problems), '')
    t.ok(loaded.ok)
  })

  t.test(`${file} says in two lines what it is for`, async t => {
    t.match(text, /^# [A-Z].+\n# [A-Z].+\n\n/)
  })
}
