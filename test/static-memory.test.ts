import { appendFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { BoundedCache } from '../lib/static/bounded-cache.ts'
import { Gate } from '../lib/static/gate.ts'
import { StaticHandler } from '../lib/static/handler.ts'
import { TestSite, USUAL } from './support/static-site.ts'
import { until } from './support/until.ts'

t.test('a file in memory is answered before the handler returns', async t => {
  const site = new TestSite(t.testdir({ 'a.css': 'a' }))
  await site.get('/a.css')
  const answer = site.start({ target: '/a.css' })
  t.ok(answer.complete)
  t.equal(answer.body.toString(), 'a')
  t.ok(site.start({ target: '/%61.css' }).complete, 'in any spelling')
  t.equal(site.shelf.size, 1, 'which are one entry')
})

t.test('a change is seen within two seconds, and memory answers while the disk is asked', async t => {
  const root = t.testdir({ 'a.css': 'old' })
  const site = new TestSite(root)
  await site.get('/a.css')
  writeFileSync(join(root, 'a.css'), 'new!')
  site.clock.pass(999)
  t.equal(site.start({ target: '/a.css' }).body.toString(), 'old', 'trusted for a second')
  site.clock.pass(1)
  t.equal(site.start({ target: '/a.css' }).body.toString(), 'old', 'stale, and the disk is asked')
  await until('the new file', () => site.start({ target: '/a.css' }).body.toString() === 'new!')
})

t.test('what was not looked at for two seconds is checked before it is answered', async t => {
  const root = t.testdir({ 'a.css': 'old' })
  const site = new TestSite(root)
  await site.get('/a.css')
  writeFileSync(join(root, 'a.css'), 'new!')
  site.clock.pass(2000)
  t.equal((await site.get('/a.css')).body.toString(), 'new!')
  site.clock.pass(3600_000)
  const same = site.start({ target: '/a.css' })
  t.notOk(same.answered)
  await same.done
  t.equal(same.body.toString(), 'new!')
  t.ok(site.start({ target: '/a.css' }).complete, 'confirmed, and trusted again')
})

t.test('a change of time alone is a change', async t => {
  const root = t.testdir({ 'a.css': 'aaa' })
  const site = new TestSite(root)
  const before = (await site.get('/a.css')).field('ETag')
  utimesSync(join(root, 'a.css'), 1_700_000_000, 1_700_000_000)
  site.clock.pass(2000)
  const after = await site.get('/a.css')
  t.not(after.field('ETag'), before)
  t.equal(after.field('Last-Modified'), new Date(1_700_000_000_000).toUTCString())
})

t.test('same size and same time, but another file, is a change', async t => {
  const root = t.testdir({ 'a.css': 'one', next: 'two' })
  for (const name of ['a.css', 'next']) utimesSync(join(root, name), 1_700_000_000, 1_700_000_000)
  const site = new TestSite(root)
  await site.get('/a.css')
  renameSync(join(root, 'next'), join(root, 'a.css'))
  site.clock.pass(2000)
  t.equal((await site.get('/a.css')).body.toString(), 'two')
})

t.test('siblings that come and go are seen', async t => {
  const root = t.testdir({ 'a.css': 'aaa' })
  const site = new TestSite(root)
  const coding = async () => (await site.get('/a.css', ['Accept-Encoding', 'gzip'])).field('Content-Encoding')
  t.equal(await coding(), undefined)
  writeFileSync(join(root, 'a.css.gz'), gzipSync('aaa'))
  site.clock.pass(2000)
  t.equal(await coding(), 'gzip')
  rmSync(join(root, 'a.css.gz'))
  site.clock.pass(2000)
  t.equal(await coding(), undefined)
})

t.test('an index file that comes first is seen when it comes', async t => {
  const root = t.testdir({ 'b.html': 'b' })
  const site = new TestSite(root, { index: ['a.html', 'b.html'] })
  t.equal((await site.get('/')).body.toString(), 'b')
  writeFileSync(join(root, 'a.html'), 'a')
  site.clock.pass(2000)
  t.equal((await site.get('/')).body.toString(), 'a')
})

t.test('a removed file is gone, a new one is there a second later', async t => {
  const root = t.testdir({ 'a.css': 'a' })
  const site = new TestSite(root)
  await site.get('/a.css')
  t.equal((await site.get('/b.css')).status, 404)
  rmSync(join(root, 'a.css'))
  writeFileSync(join(root, 'b.css'), 'b')
  t.equal(
    site.start({ target: '/b.css' }).failure,
    'NOT_FOUND',
    'a miss is remembered, without asking the disk',
  )
  site.clock.pass(1000)
  t.equal((await site.get('/b.css')).status, 200)
  site.clock.pass(1000)
  t.equal((await site.get('/a.css')).status, 404)
})

t.test('many who ask at once for what is not in memory are all answered', async t => {
  const site = new TestSite(t.testdir({ 'a.css': 'a' }))
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => site.get(i % 2 ? '/a.css' : '/none')),
  )
  t.same(
    answers.map(answer => answer.status),
    answers.map((_, i) => (i % 2 ? 200 : 404)),
  )
})

t.test('one who leaves while the disk is asked disturbs nobody', async t => {
  const site = new TestSite(t.testdir({ 'a.css': 'a' }))
  const first = site.start({ target: '/a.css' })
  const second = site.start({ target: '/a.css' })
  first.leave()
  await second.done
  t.equal(second.body.toString(), 'a')
  t.notOk(first.answered)
})

t.test('memory stays within its bounds, whatever is asked for', async t => {
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, 'x'.repeat(10_000)]))
  const bounds = { entries: 50, bytes: 200_000 }
  const site = new TestSite(t.testdir(files), { bounds })
  for (let i = 0; i < 60; i += 1) {
    const answer = await site.get(`/f${i}`)
    t.equal(answer.body.length, 10_000)
    t.ok(site.shelf.bytes <= bounds.bytes)
  }
  t.ok(site.start({ target: '/f59' }).complete, 'the latest is held')
  t.notOk(site.start({ target: '/f0' }).complete, 'the first is not')
})

t.test('a scan for thousands of names pushes no file out, and is forgotten', async t => {
  const site = new TestSite(t.testdir({ 'a.css': 'a' }))
  await site.get('/a.css')
  for (let i = 0; i < 3000; i += 1) await site.get(`/wp-admin/${i}.php`)
  t.ok(site.shelf.size <= 1025, `${site.shelf.size} entries`)
  t.ok(site.start({ target: '/a.css' }).complete)
})

t.test('a file that grows and shrinks is always whole', async t => {
  const root = t.testdir({ 'a.log': '' })
  const site = new TestSite(root)
  for (let size = 1; size <= 150_000; size *= 3) {
    writeFileSync(join(root, 'a.log'), 'x'.repeat(size))
    appendFileSync(join(root, 'a.log'), 'y')
    site.clock.pass(2000)
    const answer = await site.get('/a.log')
    t.equal(answer.head?.length, size + 1)
    t.equal(answer.body.length, size + 1)
  }
})

t.test('a new handler for an unchanged route finds its files in memory', async t => {
  const root = t.testdir({ 'a.css': 'a' })
  const site = new TestSite(root)
  await site.get('/a.css')
  const shelf = (change: object) => site.store.shelf({ ...USUAL, root, ...change })
  t.equal(shelf({}), site.shelf)
  for (const change of [{ index: ['other.html'] }, { routePath: '/x/' }, { cacheControl: 'no-store' }]) {
    t.not(shelf(change), site.shelf)
    t.equal(shelf(change).watch, site.shelf.watch, 'the manifests of a root are watched once')
  }
  t.not(shelf({ keepMs: 1 }).watch, site.shelf.watch)
  t.type(site.handler, StaticHandler)
})

t.test('second chance: what is used survives, what is not goes first', async t => {
  const cache = new BoundedCache<string>({ entries: 3, bytes: 100 })
  for (const key of ['a', 'b', 'c']) cache.set(key, key.toUpperCase(), 10)
  cache.get('a')
  cache.set('d', 'D', 10)
  t.equal(cache.get('a'), 'A')
  t.equal(cache.get('b'), undefined)
  t.equal(cache.size, 3)
  cache.set('e', 'E', 100)
  t.equal(cache.bytes, 100, 'one large entry takes the room of all')
  t.equal(cache.get('e'), 'E')
  cache.set('f', 'F', 101)
  t.equal(cache.get('f'), undefined, 'what is larger than the bound is not held')
  t.equal(cache.get('e'), 'E', 'and pushes nothing out')
})

t.test('a gate lets its number through, the rest in turn', async t => {
  const gate = new Gate(2)
  const order: number[] = []
  const pass = async (i: number) => {
    await gate.enter()
    order.push(i)
  }
  const all = [1, 2, 3, 4].map(pass)
  await Promise.all(all.slice(0, 2))
  t.same(order, [1, 2])
  gate.leave()
  await all[2]
  t.same(order, [1, 2, 3])
  gate.leave()
  await all[3]
  t.same(order, [1, 2, 3, 4])
})
