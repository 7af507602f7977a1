import t from 'tap'
import { looksHashed, MAX_NAMES, readDjangoManifest, readViteManifest } from '../lib/static/manifest.ts'
import { Releases } from '../lib/static/releases.ts'

const django = (paths: Readonly<Record<string, string>>) =>
  JSON.stringify({ paths, version: '1.1', hash: 'ab' })
const namesIn = (reading: ReturnType<typeof readDjangoManifest>) =>
  reading.kind === 'names' ? [...reading.names].sort() : reading.kind

t.test('the manifest of Django names files by their hash', async t => {
  t.same(namesIn(readDjangoManifest(django({ 'a.css': 'a.0123456789ab.css', 'b/c.js': 'b/c.ab.js' }))), [
    'a.0123456789ab.css',
    'b/c.ab.js',
  ])
  t.same(namesIn(readDjangoManifest(django({ 'a.css': 'a.css' }))), [], 'a name that stays has no hash')
  t.same(namesIn(readDjangoManifest(`\ufeff${django({ a: 'b' })}`)), ['b'])
  for (const text of [
    '',
    '{',
    '[]',
    '{}',
    'null',
    '{"paths": []}',
    '{"paths": {"a": 1}}',
    '{"paths": null}',
  ]) {
    t.equal(readDjangoManifest(text).kind, 'broken', text)
  }
  const many = Object.fromEntries(Array.from({ length: MAX_NAMES + 1 }, (_, i) => [`${i}`, `${i}.x`]))
  t.match(readDjangoManifest(django(many)), { kind: 'broken', reason: /50001 names/ })
})

t.test('the manifest of Vite names files, their styles and assets', async t => {
  const manifest = {
    'views/foo.js': {
      file: 'assets/foo-BRBmoGS9.js',
      name: 'foo',
      isEntry: true,
      css: ['assets/foo-5UjPuW-k.css'],
    },
    '_shared-B7PI925R.js': {
      file: 'assets/shared-B7PI925R.js',
      assets: ['assets/logo.4889e940.png', 'robots.txt'],
    },
    'plain.js': { file: 'assets/plain.js' },
  }
  t.same(namesIn(readViteManifest(JSON.stringify(manifest))), [
    'assets/foo-5UjPuW-k.css',
    'assets/foo-BRBmoGS9.js',
    'assets/logo.4889e940.png',
    'assets/shared-B7PI925R.js',
  ])
  t.same(namesIn(readViteManifest('{}')), [])
  t.equal(readViteManifest('{"name": "App", "icons": [{"src": "a"}]}').kind, 'foreign', "a web app's")
  t.equal(readViteManifest('[1]').kind, 'foreign')
  t.equal(readViteManifest('{"a":').kind, 'broken')
})

t.test('a word is no hash', async t => {
  for (const name of [
    'a-BRBmoGS9.js',
    'a.4889e940.js',
    'a.d41d8cd98f00b204.css',
    'x/a-5UjPuW-k.css',
    'a-abcdeFgh.js',
  ]) {
    t.ok(looksHashed(name), name)
  }
  for (const name of [
    'index.js',
    'a-Settings.js',
    'a-settings.js',
    'main-component.js',
    'BRBmoGS9.js',
    'a-short1.js',
  ]) {
    t.notOk(looksHashed(name), name)
  }
})

t.test('releases: what a new manifest lacks stays for its time', async t => {
  const releases = new Releases(1000, 3)
  const numbers = new Set([releases.number])
  const take = (names: readonly string[], nowMs: number) => {
    releases.take(new Set(names), nowMs)
    numbers.add(releases.number)
  }
  t.notOk(releases.known)
  take(['a1', 'b'], 0)
  take(['a2', 'b'], 100)
  t.ok(['a1', 'a2', 'b'].every(name => releases.names(name)))
  t.same([...releases.leavingNames], ['a1'])
  take(['a1', 'b'], 200)
  t.same([...releases.leavingNames], ['a2'], 'a release that comes back')
  releases.expire(1199)
  t.ok(releases.names('a2'))
  const before = releases.number
  releases.expire(1200)
  t.notOk(releases.names('a2'))
  t.ok(releases.number > before)
  t.equal(numbers.size, 4, 'each change has its number')
  take(['1', '2', '3', '4'], 2000)
  take([], 2000)
  t.same([...releases.leavingNames], ['2', '3', '4'], 'no more than so many')
  t.ok(releases.known)
  releases.expire(3000)
  t.notOk(releases.known)
  const never = new Releases(0, 3)
  never.take(new Set(['a']), 0)
  never.take(new Set(['b']), 0)
  t.notOk(never.names('a'))
})
