import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { TestAuthority } from './support/certificates.ts'

// What the README promises: its configurations are valid, its links and scripts exist.

const readme = readFileSync('README.md', 'utf8')
const tomlBlocks = [...readme.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)

async function problemsOf(path: string): Promise<string> {
  const loaded = await loadConfig(path, {})
  return formatProblems(loaded.ok ? loaded.warnings : loaded.problems)
}

t.test('every configuration in the README passes the check, without a warning', async t => {
  t.ok(tomlBlocks.length >= 2, 'the blocks are found')
  for (const [i, text] of tomlBlocks.entries()) {
    const page = '<h1>Sorry</h1>'
    const polls = { staticfiles: { admin: {} }, media: {}, errors: { 'down.html': page, 'busy.html': page } }
    const folder = t.testdir({ polls, staticfiles: { admin: {} } })
    const { certificateFile, keyFile } = new TestAuthority(folder).issue({ names: ['www.example.com'] })
    // The reader's folders.
    const own = text
      .replaceAll('/certs/site.pem', certificateFile)
      .replaceAll('/certs/site.key', keyFile)
      .replaceAll('/srv', folder)
      .replace('root = "staticfiles"', `root = "${folder}/staticfiles"`)
    writeFileSync(join(folder, 'causeway.toml'), own)
    t.equal(await problemsOf(join(folder, 'causeway.toml')), '', `block ${i + 1}`)
  }
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

t.test('the commands of the README are those that exist', async t => {
  const [, section = ''] = readme.split('| command | does |')
  const named = [...(section.split('| signal |')[0] ?? '').matchAll(/^\| `([a-z]+)[^`]*`/gm)].map(
    ([, name]) => name,
  )
  const { stdout } = spawnSync(process.execPath, ['cmd/causeway.ts', '--help'], { encoding: 'utf8' })
  const offered = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name)
  t.same(named, offered)
})

t.test('every file that the README links to exists', async t => {
  const links = [...readme.matchAll(/\]\(([^)#][^)]*)\)/g)].map(([, link = '']) => link)
  for (const link of links.filter(link => !link.includes('://'))) t.ok(existsSync(link), link)
})

t.test('every npm script that the README names exists', async t => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly scripts: object }
  const named = [...readme.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name = '']) => name)
  const own = new Set(named.filter(name => name !== 'ci' && name !== 'run'))
  for (const name of own) t.ok(name in scripts, `npm run ${name}`)
})
