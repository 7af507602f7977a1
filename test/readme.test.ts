import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ERROR_CODES, endCauseOf, traitsOf } from '../lib/base/errors.ts'
import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { withReaderFolders } from './support/reader-folders.ts'
import { USER_PAGES } from './support/user-pages.ts'

// What the README and the pages in docs/ promise to users: their configurations are valid, their commands and
// scripts exist. links.test.ts follows their links.

const readme = readFileSync('README.md', 'utf8')
const pages = USER_PAGES.map(name => ({ name, text: readFileSync(name, 'utf8') }))

async function problemsOf(path: string): Promise<string> {
  const loaded = await loadConfig(path, {})
  return formatProblems(loaded.ok ? loaded.warnings : loaded.problems)
}

t.test('every configuration in the documentation passes the check, without a warning', async t => {
  const blocks = pages.flatMap(({ name, text }) =>
    [...text.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map(([, toml = '']) => ({ name, toml })),
  )
  t.ok(blocks.length >= 6, 'the blocks are found')
  for (const [i, { name, toml }] of blocks.entries())
    t.equal(await problemsOf(withReaderFolders(t, toml)), '', `${name}, block ${i + 1} of all`)
})

t.test('the embedded default passes the check, without a warning', async t => {
  t.equal(await problemsOf('conf.d'), '')
})

t.test('the demo command, its static root and its page exist', async t => {
  const loaded = await loadConfig('conf.d', {})
  t.ok(loaded.ok, 'conf.d loads')
  const { upstreams, routes } = loaded.ok ? loaded.snapshot : { upstreams: [], routes: [] }
  const scripts = upstreams.flatMap(({ run }) => run?.command[1] ?? [])
  const roots = routes.flatMap(({ action }) => (action.kind === 'static' ? action.root : []))
  t.same(scripts.map(existsSync), [true], scripts.join())
  t.same(
    roots.map(root => existsSync(join(root, 'about.html'))),
    [true],
    roots.join(),
  )
})

t.test('every table that the README explains is in the reference', async t => {
  const reference = readFileSync('conf.d/REFERENCE.md', 'utf8')
  const tables = [...readme.matchAll(/^\| `(\[[^`]+\])`/gm)].map(([, table = '']) => table)
  t.ok(tables.length >= 5, 'the tables are found')
  for (const table of tables) t.match(reference, `\`${table}\``, table)
})

t.test('the README can be read in one go', async t => {
  const lines = readme.split('\n').length
  t.ok(lines <= 170, `${lines} lines`)
})

t.test('the commands of docs/operations.md are those that exist', async t => {
  const operations = readFileSync('docs/operations.md', 'utf8')
  const [, section = ''] = operations.split('| command | does |')
  const named = [...(section.split('| signal |')[0] ?? '').matchAll(/^\| `([a-z]+)[^`]*`/gm)].map(
    ([, name]) => name,
  )
  const { stdout } = spawnSync(process.execPath, ['cmd/causeway.ts', '--help'], { encoding: 'utf8' })
  const offered = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name)
  t.same(named, offered)
})

t.test('the ends of requests in docs/operations.md exist, with the status that it gives', async t => {
  const statuses = new Map<string, number>(ERROR_CODES.map(code => [endCauseOf(code), traitsOf(code).status]))
  const operations = readFileSync('docs/operations.md', 'utf8')
  const named = [...operations.matchAll(/\b([45]\d\d) (`[a-z_]+`(?:(?:,| or) `[a-z_]+`)*)/g)].flatMap(
    ([, status, words = '']) => [...words.matchAll(/[a-z_]+(?=`)/g)].map(([word]) => ({ word, status })),
  )
  t.ok(named.length > 15, 'the words are found')
  for (const { word, status } of named) t.equal(statuses.get(word), Number(status), word)
})

t.test('what stands for a directive of nginx is said in words', async t => {
  const rows = [...readFileSync('docs/from-nginx.md', 'utf8').matchAll(/^\| `.*\| (.*) \|$/gm)]
  t.ok(rows.length > 30, 'the rows are found')
  for (const [row, cell = ''] of rows) t.match(cell, /\w/, row)
})

t.test('every npm script that the documentation names exists', async t => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly scripts: object }
  const ofNpm = new Set(['ci', 'run', 'pack', 'install'])
  const named = pages.flatMap(({ text }) =>
    [...text.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name = '']) => name),
  )
  for (const name of new Set(named.filter(name => !ofNpm.has(name)))) t.ok(name in scripts, `npm run ${name}`)
})
