import { readFileSync } from 'node:fs'
import t from 'tap'

// metrics/access-log.md names every field that an access line may have, and no other.

/** Keys as the maker of lines writes them: in the text itself, by `optional()`, and for configured names. */
function keysWritten(): string[] {
  const source = readFileSync('lib/front/access/access-line.ts', 'utf8').replaceAll(/\/\*\*.*?\*\//gs, '')
  const patterns = [/[{,]"([a-z_]+)":/g, /optional\('([a-z_]+)'/g, /new NameTexts\('([a-z_]+)'\)/g]
  const keys = patterns.flatMap(pattern => [...source.matchAll(pattern)].map(([, key = '']) => key))
  return [...new Set(keys)].toSorted()
}

t.test('every field of the access log is described, with its unit', async t => {
  const rows = [
    ...readFileSync('metrics/access-log.md', 'utf8').matchAll(/^\| `([a-z_]+)` \| ([^|]*) \| ([^|]+) \|$/gm),
  ]
  t.ok(keysWritten().length > 20, 'the fields are found')
  t.same(rows.map(([, key]) => key).toSorted(), keysWritten())
  for (const [, key = '', unit = ''] of rows)
    if (/_ms$|^bytes_/.test(key)) t.equal(unit, key.endsWith('_ms') ? 'ms' : 'bytes', key)
})

t.test('it says what is never logged', async t => {
  t.match(
    readFileSync('metrics/access-log.md', 'utf8'),
    /^Query strings.*cookies, credentials and bodies are never logged/m,
  )
  t.match(readFileSync('README.md', 'utf8'), 'metrics/access-log.md')
})
