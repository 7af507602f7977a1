import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { type Deadline, Timers } from '../lib/base/timers.ts'
import { isPrivateName } from '../lib/static/manifest.ts'
import { LOOK_MS, ManifestWatch } from '../lib/static/manifest-watch.ts'
import { NO_OBSERVER } from '../lib/static/static-observer.ts'
import { HandClock, openFilesBelow, TestSite, threadEnv } from './support/static-site.ts'
import { until } from './support/until.ts'

const FOR_EVER = 'public, max-age=31536000, immutable'
const HOUR_MS = 3_600_000

const django = (paths: Readonly<Record<string, string>>) =>
  JSON.stringify({ paths, version: '1.1', hash: 'ab' })

/** A root as collectstatic leaves it: each name with a hashed copy, and the manifest. */
function collect(root: string, release: string, names = ['site.css']): void {
  const paths = names.map(name => [name, name.replace('.', `.${release}.`)] as const)
  for (const [name, hashed] of paths) {
    writeFileSync(join(root, name), `${release} of ${name}`)
    writeFileSync(join(root, hashed), `${release} of ${name}`)
  }
  writeFileSync(join(root, 'staticfiles.json'), django(Object.fromEntries(paths)))
}

/** Lets the watch look until `test` holds. */
const looksUntil = (site: TestSite, what: string, test: () => boolean) =>
  until(what, () => {
    site.pass(LOOK_MS)
    return test()
  })

const held = (site: TestSite, files: number) =>
  until(`${files} files held`, () => site.shelf.watch?.heldFiles === files)

t.test('hashed names may be kept for ever, others are asked for each time', async t => {
  const root = t.testdir({ 'other.css': 'o' })
  collect(root, '0123456789ab')
  const site = new TestSite(root)
  const hashed = await site.get('/site.0123456789ab.css')
  t.equal(hashed.field('Cache-Control'), FOR_EVER)
  t.equal(hashed.status, 200)
  const etag = hashed.field('ETag') as string
  const same = await site.get('/site.0123456789ab.css', ['If-None-Match', etag])
  t.equal(same.status, 304)
  t.equal(same.field('Cache-Control'), FOR_EVER, 'a 304 repeats it (RFC 9110 15.4.5)')
  t.equal((await site.get('/site.0123456789ab.css', ['Range', 'bytes=0-1'])).field('Cache-Control'), FOR_EVER)
  for (const name of ['/site.css', '/other.css']) {
    t.equal((await site.get(name)).field('Cache-Control'), 'no-cache', name)
  }
  const own = new TestSite(root, { cacheControl: 'max-age=60' })
  t.equal((await own.get('/site.css')).field('Cache-Control'), 'max-age=60')
  t.equal((await own.get('/site.0123456789ab.css')).field('Cache-Control'), FOR_EVER)
  const off = new TestSite(root, { manifest: false })
  t.equal((await off.get('/site.0123456789ab.css')).field('Cache-Control'), undefined)
})

t.test('without a manifest nothing is said, unless the route says it', async t => {
  const root = t.testdir({ 'site.0123456789ab.css': 'a' })
  t.equal((await new TestSite(root).get('/site.0123456789ab.css')).field('Cache-Control'), undefined)
  const own = new TestSite(root, { cacheControl: 'max-age=60' })
  t.equal((await own.get('/site.0123456789ab.css')).field('Cache-Control'), 'max-age=60')
})

t.test('the manifests of Vite count in both their places', async t => {
  for (const place of ['.vite', '.']) {
    const root = t.testdir({ assets: { 'app-BRBmoGS9.js': 'js' }, 'index.html': '<p>' })
    mkdirSync(join(root, place), { recursive: true })
    writeFileSync(join(root, place, 'manifest.json'), '{"a":{"file":"assets/app-BRBmoGS9.js"}}')
    const site = new TestSite(root)
    t.equal((await site.get('/assets/app-BRBmoGS9.js')).field('Cache-Control'), FOR_EVER, place)
    t.equal((await site.get('/')).field('Cache-Control'), 'no-cache', 'so that a deploy is seen')
  }
})

t.test('the manifest itself is never served, a web app has its own', async t => {
  const root = t.testdir({ 'manifest.json': '{"name":"App"}', sub: { 'staticfiles.json': 's' }, '.vite': {} })
  collect(root, 'ab')
  writeFileSync(join(root, 'staticfiles.json.gz'), 'x')
  writeFileSync(join(root, '.vite', 'manifest.json'), '{}')
  for (const manifest of [true, false]) {
    const site = new TestSite(root, { manifest, routePath: '/static/' })
    for (const name of [
      'staticfiles.json',
      'staticfiles%2ejson',
      'staticfiles.json.gz',
      '.vite/manifest.json',
    ]) {
      t.equal((await site.get(`/static/${name}`)).status, 404, name)
    }
    t.equal((await site.get('/static/manifest.json')).status, 200)
    t.equal((await site.get('/static/sub/staticfiles.json')).status, 200, 'only at the root it is one')
  }
  t.ok(isPrivateName('STATICFILES.JSON'), 'some file systems do not tell them apart')
})

t.test('a new manifest is seen, and the old names stay for their time', async t => {
  const root = t.testdir({})
  collect(root, 'aaaaaaaaaaaa')
  const site = new TestSite(root)
  await held(site, 1)
  await site.get('/site.aaaaaaaaaaaa.css')
  const before = (await site.get('/site.css')).field('ETag')
  for (const name of ['site.aaaaaaaaaaaa.css', 'site.css', 'staticfiles.json']) rmSync(join(root, name))
  // As collectstatic --clear has it: for a while there is nothing at all.
  await looksUntil(site, 'the missing manifest', () => site.shelf.watch?.number === 2)
  t.equal((await site.get('/site.css')).status, 404)
  const between = await site.get('/site.aaaaaaaaaaaa.css')
  t.equal(between.status, 200)
  collect(root, 'bbbbbbbbbbbb')
  await looksUntil(site, 'the new manifest', () => site.shelf.watch?.names('site.bbbbbbbbbbbb.css') === true)
  const servings = site.heldServings
  const old = await site.get('/site.aaaaaaaaaaaa.css')
  t.equal(site.heldServings, servings + 1, 'an answer from what is held is counted')
  t.equal(old.status, 200)
  t.equal(old.body.toString(), 'aaaaaaaaaaaa of site.css')
  t.equal(old.field('Cache-Control'), FOR_EVER)
  t.equal(
    (await site.get('/site.aaaaaaaaaaaa.css', ['If-None-Match', old.field('ETag') as string])).status,
    304,
  )
  t.equal((await site.get('/site.aaaaaaaaaaaa.css', ['Range', 'bytes=0-1'])).body.toString(), 'aa')
  t.equal((await site.get('/site.bbbbbbbbbbbb.css')).field('Cache-Control'), FOR_EVER)
  t.not((await site.get('/site.css')).field('ETag'), before)
  await held(site, 2)
  site.pass(HOUR_MS)
  await looksUntil(site, 'the old files to go', () => site.shelf.watch?.heldFiles === 1)
  t.equal(site.shelf.watch?.heldBytes, 'bbbbbbbbbbbb of site.css'.length, 'and their bytes')
  t.equal((await site.get('/site.aaaaaaaaaaaa.css')).status, 404)
  t.equal((await site.get('/site.bbbbbbbbbbbb.css')).status, 200)
  await until('every file closed', () => openFilesBelow(root) === 0)
})

t.test('a root that is switched by its link keeps the old names too', async t => {
  const dir = t.testdir({ one: {}, two: {} })
  collect(join(dir, 'one'), 'aaaaaaaaaaaa', ['site.css', 'big.js'])
  writeFileSync(join(dir, 'one', 'big.aaaaaaaaaaaa.js'), 'x'.repeat(200_000))
  collect(join(dir, 'two'), 'bbbbbbbbbbbb')
  const root = join(dir, 'current')
  symlinkSync('one', root)
  const site = new TestSite(root)
  await held(site, 2)
  symlinkSync('two', join(dir, 'next'))
  renameSync(join(dir, 'next'), root)
  await looksUntil(site, 'the switch', () => site.shelf.watch?.names('site.bbbbbbbbbbbb.css') === true)
  t.equal((await site.get('/site.aaaaaaaaaaaa.css')).status, 200)
  const big = site.start({ target: '/big.aaaaaaaaaaaa.js', window: 65_536 })
  for (let taken = 65_536; taken < 200_000; taken += 65_536) {
    await until('what its client takes', () => big.body.length === taken)
    t.notOk(big.ended, 'a slow client is not given all at once')
    big.drain()
  }
  await big.done
  t.equal(big.body.length, 200_000, 'also what is too large for one buffer')
  t.equal(site.heldServings, 2)
  t.equal((await site.get('/big.aaaaaaaaaaaa.js', ['Range', 'bytes=199998-'])).body.toString(), 'xx')
})

t.test('a large file that is removed a moment after it was looked at is found all the same', async t => {
  const root = t.testdir({})
  collect(root, 'aaaaaaaaaaaa')
  writeFileSync(join(root, 'site.aaaaaaaaaaaa.css'), 'x'.repeat(100_000))
  const site = new TestSite(root)
  await held(site, 1)
  await site.get('/site.aaaaaaaaaaaa.css')
  rmSync(join(root, 'site.aaaaaaaaaaaa.css'))
  t.equal((await site.get('/site.aaaaaaaaaaaa.css')).body.length, 100_000)
})

t.test('the very first request waits for the manifest', async t => {
  const root = t.testdir({})
  collect(root, 'ab')
  const site = new TestSite(root)
  let known = false
  void site.shelf.watch?.ready.then(() => {
    known = true
  })
  // A miss takes fewer looks at the disk than the manifest does.
  t.equal((await site.get('/none.css')).status, 404)
  t.ok(known)
})

t.test('names that no manifest had, and files that were not there, are 404', async t => {
  const root = t.testdir({ 'a.css': 'a' })
  collect(root, 'aaaaaaaaaaaa')
  writeFileSync(
    join(root, 'staticfiles.json'),
    django({
      a: 'a.aaaaaaaaaaaa.css',
      b: '../secret.txt',
      c: 'none.css',
      'site.css': 'site.aaaaaaaaaaaa.css',
    }),
  )
  writeFileSync(join(root, '..', 'secret.txt'), 'secret')
  const site = new TestSite(root)
  await held(site, 1)
  await site.get('/a.css')
  rmSync(join(root, 'a.css'))
  site.pass(LOOK_MS)
  for (const name of ['/a.css', '/none.css', '/secret.txt', '/%2e%2e/secret.txt']) {
    t.equal((await site.get(name)).status, 404, name)
  }
})

t.test('a broken manifest keeps the last good one and is told once', async t => {
  const root = t.testdir({})
  collect(root, 'aaaaaaaaaaaa')
  const site = new TestSite(root)
  await site.get('/site.css')
  for (const [text, reason] of [
    ['{"paths": {"si', 'it is not JSON'],
    ['{"path": {}}', 'it contains no table "paths"'],
  ] as const) {
    site.told.length = 0
    writeFileSync(join(root, 'staticfiles.json'), text)
    await looksUntil(site, 'the warning', () => site.told.length > 0)
    for (let look = 0; look < 5; look += 1) {
      site.pass(LOOK_MS)
      t.equal((await site.get('/site.aaaaaaaaaaaa.css')).field('Cache-Control'), FOR_EVER)
    }
    t.same(site.told, [`staticfiles.json: ${reason}`])
  }
  collect(root, 'bbbbbbbbbbbb')
  await looksUntil(site, 'the good one', () => site.shelf.watch?.names('site.bbbbbbbbbbbb.css') === true)
  t.equal(site.told.length, 1)
})

t.test('what is held stays within its bytes: what pages need first, and it is told', async t => {
  const root = t.testdir({})
  const names = ['a.css', 'b.js', 'c.js', 'd.map']
  collect(root, 'ab', names)
  for (const [name, size] of [
    ['a.css', 4000],
    ['b.js', 3000],
    ['c.js', 9000],
    ['d.map', 2000],
  ] as const) {
    writeFileSync(join(root, name.replace('.', '.ab.')), 'x'.repeat(size))
  }
  const site = new TestSite(root, { heldBytes: 8000 })
  await until('the end of reading', () => site.releases.length > 0)
  t.same(site.releases, [{ names: 4, leaving: 0, heldFiles: 2, heldBytes: 7000, notHeld: 2 }])
  rmSync(root, { recursive: true })
  for (const [name, status] of [
    ['a.ab.css', 200],
    ['b.ab.js', 200],
    ['c.ab.js', 404],
    ['d.ab.map', 404],
  ] as const) {
    t.equal((await site.get(`/${name}`)).status, status, name)
  }
  const none = t.testdir({})
  collect(none, 'ab', names)
  const off = new TestSite(none, { keepMs: 0 })
  await off.get('/a.ab.css')
  t.match(off.releases, [{ names: 4, heldFiles: 0, notHeld: 0 }], 'keep = 0 holds nothing')
})

t.test('a root that comes after the start is learned', async t => {
  const root = join(t.testdir({}), 'later')
  const site = new TestSite(root)
  t.equal((await site.get('/site.ab.css')).status, 404)
  mkdirSync(root)
  collect(root, 'ab')
  await looksUntil(site, 'the manifest', () => site.shelf.watch?.known === true)
  t.equal((await site.get('/site.ab.css')).field('Cache-Control'), FOR_EVER)
})

/** Counts how often something was armed. */
class CountedTimers extends Timers {
  armed = 0

  override arm(deadline: Deadline, delayMs: number): void {
    this.armed += 1
    super.arm(deadline, delayMs)
  }
}

t.test('a watch that nobody uses any more looks no more', async t => {
  const root = t.testdir({})
  collect(root, 'ab')
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const clock = new HandClock()
  const timers = new CountedTimers(clock)
  const env = { ...threadEnv(clock), timers }
  const look = () => {
    const before = timers.armed
    clock.pass(LOOK_MS + 50)
    timers.advance()
    return timers.armed > before
  }
  const used = watchOf(root, env)
  await used.ready
  await watchOf(root, env).ready
  t.ok(look())
  await until('the other to end', () => {
    collectGarbage()
    const before = timers.armed
    look()
    return timers.armed === before + 1
  })
  t.ok(used.known, 'the one in use goes on')
  t.ok(look())
})

const watchOf = (root: string, env: ThreadEnv) =>
  new ManifestWatch({ root, keepMs: HOUR_MS, maxHeldBytes: 1000, env, observer: NO_OBSERVER })
