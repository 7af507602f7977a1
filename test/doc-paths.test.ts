import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ERROR_CODES } from '../lib/base/errors.ts'

// What documents and comments name exists, and the lists in documents for contributors are complete.

const FOLDERS = [
  'cmd',
  'lib',
  'upstreams',
  'metrics',
  'test',
  'docs',
  'conf.d',
  'docker',
  'findings',
  'examples',
]
/** A path from the root of the checkout. Behind a slash or a tilde it is the end of another one, or a URL. */
const PATH = new RegExp(`(?<![\\w./~-])(?:${FOLDERS.join('|').replace('.', '\\.')})/[\\w./-]*[*{<]?`, 'g')
/** Stands for any name, as in `findings/NAME.sh`. */
const PLACEHOLDER = /\bNAME\b/

const read = (file: string) => readFileSync(file, 'utf8')

function filesUnder(folder: string, ending: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  return names.filter(name => name.endsWith(ending)).map(name => join(folder, name))
}

/** All documents but the changelog, which tells of files as they were. */
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...FOLDERS.flatMap(folder => filesUnder(folder, '.md')),
].filter(file => !file.includes('node_modules'))
const sources = FOLDERS.flatMap(folder => filesUnder(folder, '.ts'))

/** Paths in the text that lead nowhere. A pattern counts up to its first star. */
function missingPaths(text: string): string[] {
  const named = [...text.matchAll(PATH)].map(([path]) => path.replace(/[.,]+$/, ''))
  const whole = named.filter(path => !PLACEHOLDER.test(path)).map(path => path.replace(/[^/]*[*{<]$/, ''))
  return [...new Set(whole)].filter(path => !existsSync(path))
}

t.test('a path that leads nowhere is found, a placeholder, a pattern and a URL are none', async t => {
  t.same(missingPaths('`lib/none.ts`, test/none.test.ts.'), ['lib/none.ts', 'test/none.test.ts'])
  t.same(missingPaths('lib/base/errors.ts findings/NAME.sh lib/base/*.ts https://a.test/lib/none.ts'), [])
})

t.test('every path in a document exists', async t => {
  t.ok(documents.length > 10, 'the documents are found')
  t.same(
    documents.flatMap(file => missingPaths(read(file)).map(path => `${file}: ${path}`)),
    [],
  )
})

/** The text of a section of a document, up to the next heading of its level. */
function sectionOf(file: string, heading: string): string {
  const [, after = ''] = read(file).split(`\n## ${heading}\n`)
  return after.split('\n## ')[0] ?? ''
}

t.test('the chain in docs/architecture.md names everything that chain.ts puts together', async t => {
  const chain = sectionOf('docs/architecture.md', 'The chain of a route')
  const parts = [...read('lib/server/data/chain.ts').matchAll(/^import \{[^}]+\} from '([^']+)'/gm)]
  const files = parts.map(([, path = '']) => join('lib/server/data', path))
  t.ok(files.length > 5, 'the imports are found')
  t.same(
    files.filter(file => !chain.includes(`\`${file}\``)),
    [],
  )
})

t.test('the table of refusals in docs/architecture.md names every error code', async t => {
  const table = sectionOf('docs/architecture.md', 'Where a request can be refused')
  const named = new Set(table.match(/\b[A-Z]+(?:_[A-Z0-9]+)*\b/g))
  t.same(
    ERROR_CODES.filter(code => !named.has(code)),
    [],
  )
})

t.test('test/README.md names every helper, and none that does not exist', async t => {
  const [, support = ''] = read('test/README.md').split('## Support')
  const rows = support.split('\n').filter(line => line.startsWith('| `'))
  const named = rows
    .flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([\w.-]+\.ts)`/g)])
    .map(([, name]) => name)
  const there = readdirSync('test/support').filter(name => name.endsWith('.ts'))
  t.same([...new Set(named)].toSorted(), there.toSorted())
})

t.test('every source file that a comment or a text of a source names exists', async t => {
  const named = (text: string) => missingPaths(text).filter(path => path.endsWith('.ts'))
  t.same(
    sources
      .filter(file => file !== 'test/doc-paths.test.ts')
      .flatMap(file => named(read(file)).map(path => `${file}: ${path}`)),
    [],
  )
})
