import fc from 'fast-check'
import t from 'tap'
import { parse } from 'toml'
import { readToml } from '../lib/config/positions.ts'
import { Report } from '../lib/config/problem.ts'
import { placeText } from '../lib/config/source.ts'
import { nodeAt, type Path, placeOf, plain, type Table } from '../lib/config/tree.ts'

const SAMPLE = `# every shape that configuration uses
title = "x"
[server]
  workers = 4 # aligned by hand
[ listeners . "web.site" ]
address = 'literal'
limits = { headers = "32KiB", deep = { er = [1, "two", { three = 3 }] } }
timeouts.header = "10s"
	timeouts.body = """
text"""
[upstreams.app.health]
interval = "2s"
[upstreams.app]
balance = "p2c"
[[upstreams.app.endpoints]]
address = "a:1"
[[upstreams.app.endpoints]]
address = "é𝒳b:2" # not ASCII
weight = 1_000
inner.part = true
`

t.test('every value stands where the file has it', t => {
  const tree = read(SAMPLE)
  const rows: [Path, string][] = [
    [['title'], '2:9'],
    [['server'], '3:2'],
    [['server', 'workers'], '4:13'],
    [['listeners', 'web.site'], '5:15'],
    [['listeners', 'web.site', 'limits', 'deep', 'er', 1], '7:49'],
    [['listeners', 'web.site', 'limits', 'deep', 'er', 2, 'three'], '7:66'],
    [['listeners', 'web.site', 'timeouts', 'body'], '9:18'],
    [['upstreams', 'app', 'health', 'interval'], '12:12'],
    [['upstreams', 'app', 'endpoints', 0, 'address'], '16:11'],
    [['upstreams', 'app', 'endpoints', 1, 'weight'], '19:10'],
    [['upstreams', 'app', 'endpoints', 1, 'inner', 'part'], '20:14'],
  ]
  for (const [path, place] of rows) t.equal(placeText(placeOf(tree, path)), `f.toml:${place}`, path.join('.'))
  t.end()
})

t.test('every key stands where the file has it, each part of a dotted key by itself', t => {
  const tree = read(SAMPLE)
  const rows: [Path, string, string][] = [
    [[], 'title', '2:1'],
    [[], 'listeners', '5:3'],
    [['listeners'], 'web.site', '5:15'],
    [['listeners', 'web.site', 'limits'], 'deep', '7:31'],
    [['listeners', 'web.site', 'timeouts'], 'header', '8:10'],
    [['listeners', 'web.site', 'timeouts'], 'body', '9:11'],
    [['upstreams', 'app', 'endpoints', 1, 'inner'], 'part', '20:7'],
  ]
  for (const [path, key, place] of rows) {
    const table = nodeAt(tree, path) as Table
    const entry = table.entries.get(key)
    t.equal(entry && placeText(entry.keyAt), `f.toml:${place}`, key)
  }
  t.end()
})

t.test('what is not written stands at the nearest table that is', t => {
  t.equal(placeText(placeOf(read(SAMPLE), ['upstreams', 'app', 'health', 'timeout'])), 'f.toml:11:16')
  t.equal(placeText(placeOf(read(SAMPLE), ['routes', 'x'])), 'f.toml')
  t.end()
})

t.test('the tree holds the same values as the library makes', t => {
  for (const text of [
    SAMPLE,
    'a.b.c = 1\na.b.d = 2\n[x.y]\n[x]\nz=1',
    'a = [[1], [], [[2.5]]]\nb = {}\n',
    '"" = -0x0\n'.replace('-', ''),
  ]) {
    t.same(plain(read(text)), parse(text))
  }
  t.end()
})

t.test('a column counts characters, not UTF-16 units', t => {
  t.equal(placeText(placeOf(read('"𝒳" = { a = 1 }'), ['𝒳', 'a'])), 'f.toml:1:13')
  t.end()
})

t.test('lines that end in CR LF count once', t => {
  t.equal(placeText(placeOf(read('a = 1\r\nb = 2\r\n'), ['b'])), 'f.toml:2:5')
  t.end()
})

t.test('what the library refuses is refused, whatever our own walk thinks of it', t => {
  const refused = [
    'a = 1\na = 2',
    '[a]\n[a]',
    'a = {b = 1}\n[a.c]',
    'a = {b = 1}\na.c = 2',
    '[a.b]\n[a]\nb.c = 1',
    'a = [1]\n[[a]]',
    'a = [{b = 1}]\n[a.c]',
    '[[a]]\n[a]',
    '[a]\n[[a]]',
    'a = 1\na.b = 2',
    'a = 99999999999999999999',
    'a = 9007199254740993',
    'a = 2026-13-01',
    `a = ${'['.repeat(2000)}${']'.repeat(2000)}`,
  ]
  for (const text of refused) {
    const report = new Report()
    readToml({ name: 'f.toml', text }, report)
    t.throws(() => parse(text), text.slice(0, 40))
    t.ok(report.failed, text.slice(0, 40))
  }
  t.end()
})

t.test('broken text is refused with a place inside it, and never crashes', t => {
  const scrap = fc.constantFrom(
    '"',
    "'",
    '[',
    ']',
    '{',
    '}',
    '=',
    '.',
    '#',
    '\n',
    '\\',
    ',',
    'x',
    '7',
    '"""',
    ' ',
    'é',
  )
  const cut = fc.record({
    at: fc.nat(SAMPLE.length),
    skip: fc.nat(8),
    scraps: fc.array(scrap, { maxLength: 4 }),
  })
  fc.assert(
    fc.property(cut, ({ at, skip, scraps }) => {
      const text = SAMPLE.slice(0, at) + scraps.join('') + SAMPLE.slice(at + skip)
      const report = new Report()
      const tree = readToml({ name: 'f.toml', text }, report)
      const lines = text.split('\n').length
      const placed = report
        .sorted()
        .every(({ line, column }) => line !== undefined && line <= lines && (column ?? 0) > 0)
      return placed && (report.failed ? !accepted(text) : tree !== undefined && accepted(text))
    }),
    { numRuns: 500 },
  )
  t.end()
})

t.test('names of Object.prototype are keys like any other', t => {
  const tree = read('__proto__ = 1\nconstructor = { toString = 2 }\n')
  t.same([...tree.entries.keys()], ['__proto__', 'constructor'])
  t.equal(nodeAt(tree, ['hasOwnProperty']), undefined)
  t.equal(Object.getPrototypeOf(plain(tree)), null)
  t.end()
})

function accepted(text: string): boolean {
  try {
    parse(text)
    return true
  } catch {
    return false
  }
}

function read(text: string): Table {
  const report = new Report()
  const tree = readToml({ name: 'f.toml', text }, report)
  if (tree === undefined || report.failed) throw new Error(report.sorted()[0]?.message)
  return tree
}
