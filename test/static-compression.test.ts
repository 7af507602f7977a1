import { randomBytes } from 'node:crypto'
import { appendFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { isCompressible } from '../lib/http/media.ts'
import { Coder, MAX_CODED_BYTES } from '../lib/static/coder.ts'
import type { FileResource } from '../lib/static/resource.ts'
import { openFilesBelow, TestSite } from './support/static-site.ts'
import { until } from './support/until.ts'

const PLAIN: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
  gzip: gunzipSync,
}
const CODINGS = Object.keys(PLAIN)
const LINES = (bytes: number) =>
  Buffer.from(Array.from({ length: bytes / 10 }, (_, i) => `${i * 7919}`.padEnd(10, ';')).join(''))
/** Held in memory; read from disk each time; and with a compressed form that is too large for one buffer. */
const FILES = [
  ['small.css', LINES(5000)],
  ['large.js', LINES(100_000)],
  ['huge.js', LINES(1_000_000)],
] as const

const accept = (coding: string) => ['Accept-Encoding', coding] as const

/** Asks until the coding is there. */
const coded = (site: TestSite, path: string, coding: string) =>
  until(`${path} in ${coding}`, async () => {
    const answer = await site.get(path, accept(coding))
    return answer.field('Content-Encoding') === coding ? answer : undefined
  })

t.test('the first answer is plain, later ones are compressed, and all are the file', async t => {
  const root = t.testdir(Object.fromEntries(FILES))
  const site = new TestSite(root, { compress: true })
  for (const [name, body] of FILES) {
    const path = `/${name}`
    const tags = new Set<string | undefined>()
    for (const coding of CODINGS) {
      const first = await site.get(path, accept(coding))
      t.equal(first.field('Content-Encoding'), undefined, `${name}: nobody waits`)
      t.equal(first.field('Vary'), 'Accept-Encoding', 'the next answer may differ')
      t.ok(first.body.equals(body))
      tags.add(first.field('ETag'))
      const answer = await coded(site, path, coding)
      t.ok(PLAIN[coding]?.(answer.body).equals(body), `${name} ${coding}: the bytes`)
      t.equal(answer.head?.length, answer.body.length)
      t.ok(answer.body.length < body.length)
      t.equal(answer.field('Vary'), 'Accept-Encoding')
      t.equal(answer.field('Content-Type'), first.field('Content-Type'))
      t.equal(answer.field('Last-Modified'), first.field('Last-Modified'))
      t.equal(answer.field('Accept-Ranges'), undefined)
      t.match(answer.field('ETag'), /^"[0-9a-z-]+"$/, 'a strong tag')
      tags.add(answer.field('ETag'))
    }
    t.equal(tags.size, 4, `${name}: a tag for each form`)
    t.ok((await site.get(path)).body.equals(body), 'who takes no coding gets the file')
    t.equal((await site.get(path, accept('gzip, br, zstd'))).field('Content-Encoding'), 'br')
    t.equal((await site.get(path, accept('gzip;q=1, br;q=0.5'))).field('Content-Encoding'), 'gzip')
  }
  await until('every file closed', () => openFilesBelow(root) === 0)
})

t.test('a small compressed file is one prepared buffer, given at once', async t => {
  const site = new TestSite(t.testdir({ 'small.css': LINES(5000) }), { compress: true })
  await coded(site, '/small.css', 'br')
  t.same(site.compressions, ['br made'], 'once, and told')
  const again = site.start({ target: '/small.css', fields: [accept('br')] })
  t.ok(again.complete)
  t.equal(again.field('Content-Encoding'), 'br')
})

t.test('until the best coding is there, the next best that is there answers', async t => {
  const site = new TestSite(t.testdir({ 'a.css': LINES(5000) }), { compress: true })
  await coded(site, '/a.css', 'gzip')
  const answer = await site.get('/a.css', accept('gzip, br'))
  t.equal(answer.field('Content-Encoding'), 'gzip')
  await coded(site, '/a.css', 'br')
  t.equal((await site.get('/a.css', accept('gzip, br'))).field('Content-Encoding'), 'br')
})

t.test('conditions are judged for each form, and who holds the plain file may keep it', async t => {
  const site = new TestSite(t.testdir({ 'a.css': LINES(5000) }), { compress: true })
  const plain = (await site.get('/a.css')).field('ETag') as string
  for (const coding of CODINGS) {
    const answer = await coded(site, '/a.css', coding)
    const etag = answer.field('ETag') as string
    const ask = (...fields: readonly (readonly [string, string])[]) =>
      site.get('/a.css', accept(coding), ...fields)
    const same = await ask(['If-None-Match', etag])
    t.equal(same.status, 304, coding)
    t.equal(same.field('ETag'), etag)
    t.equal(same.field('Vary'), 'Accept-Encoding')
    const held = await ask(['If-None-Match', plain])
    t.equal(held.status, 304, 'the file that the first answer brought')
    t.equal(held.field('ETag'), plain)
    t.equal((await ask(['If-None-Match', '"x"'])).field('Content-Encoding'), coding)
    t.equal((await ask(['If-None-Match', '"x"'])).status, 200)
    t.equal((await ask(['If-None-Match', '*'])).status, 304)
    t.equal((await ask(['If-Modified-Since', answer.field('Last-Modified') as string])).status, 304)
    t.equal((await ask(['If-Match', plain])).status, 200)
    t.equal((await ask(['If-Match', '"x"'])).status, 412)
    t.equal(
      (await site.get('/a.css', ['If-None-Match', etag])).status,
      200,
      'its tag means nothing to the plain form',
    )
  }
})

t.test('HEAD has the head of GET, in each form', async t => {
  const site = new TestSite(t.testdir(Object.fromEntries(FILES)), { compress: true })
  for (const [name] of FILES) {
    for (const coding of CODINGS) {
      const get = await coded(site, `/${name}`, coding)
      const head = site.start({ method: 'HEAD', target: `/${name}`, fields: [accept(coding)] })
      await head.done
      t.equal(head.head?.fields.text, get.head?.fields.text)
      t.equal(head.head?.length, get.body.length)
      t.equal(head.body.length, 0)
    }
  }
})

t.test('parts are of the plain file only', async t => {
  const site = new TestSite(t.testdir(Object.fromEntries(FILES)), { compress: true })
  for (const [name, body] of FILES) {
    const whole = await coded(site, `/${name}`, 'br')
    const ask = (...fields: readonly (readonly [string, string])[]) =>
      site.get(`/${name}`, accept('br'), ['Range', 'bytes=10-19'], ...fields)
    const part = await ask()
    t.equal(part.status, 206)
    t.equal(part.field('Content-Encoding'), undefined)
    t.equal(part.field('Vary'), 'Accept-Encoding')
    t.ok(part.body.equals(body.subarray(10, 20)))
    const other = await ask(['If-Range', whole.field('ETag') as string])
    t.equal(other.status, 200, 'a part of the compressed form is not to be had')
    t.ok(other.body.equals(body))
    t.equal((await ask(['If-Range', part.field('ETag') as string])).status, 206)
  }
})

t.test('a slow client is not given a large compressed file all at once', async t => {
  const [name, body] = FILES[2]
  const site = new TestSite(t.testdir({ [name]: body }), { compress: true })
  const { length } = (await coded(site, `/${name}`, 'gzip')).body
  t.ok(length > 2 * 65_536)
  const slow = site.start({ target: `/${name}`, fields: [accept('gzip')], window: 65_536 })
  t.equal(slow.body.length, 65_536)
  slow.drain()
  t.equal(slow.body.length, 2 * 65_536)
  slow.leave()
  slow.drain()
  t.equal(slow.body.length, 2 * 65_536)
})

t.test('what is small, packed already, too large, or has a sibling stays as it is', async t => {
  const text = LINES(5000)
  const root = t.testdir({
    'tiny.css': text.subarray(0, 1023),
    'photo.jpg': text,
    'font.woff2': text,
    'data.bin': text,
    'sibling.css': text,
    'sibling.css.gz': gzipSync(text),
    'noise.txt': randomBytes(5000),
    'vast.txt': Buffer.alloc(MAX_CODED_BYTES + 1, 'x'),
    'last.txt': text,
  })
  const site = new TestSite(root, { compress: true })
  for (const [name, vary] of [
    ['tiny.css', undefined],
    ['photo.jpg', undefined],
    ['font.woff2', undefined],
    ['data.bin', undefined],
    ['vast.txt', undefined],
    ['sibling.css', 'Accept-Encoding'],
    ['noise.txt', 'Accept-Encoding'],
  ] as const) {
    const answer = await site.get(`/${name}`, accept('br'))
    t.equal(answer.field('Vary'), vary, name)
  }
  // One at a time, so that with this one the others would be there too.
  await coded(site, '/last.txt', 'br')
  for (const name of [
    'tiny.css',
    'photo.jpg',
    'font.woff2',
    'data.bin',
    'vast.txt',
    'sibling.css',
    'noise.txt',
  ]) {
    t.equal((await site.get(`/${name}`, accept('br'))).field('Content-Encoding'), undefined, name)
  }
  t.equal((await site.get('/sibling.css', accept('gzip'))).field('Content-Encoding'), 'gzip')
})

t.test('compress = false leaves all as it is', async t => {
  const site = new TestSite(t.testdir({ 'a.css': LINES(5000) }), { compress: false })
  const answer = await site.get('/a.css', accept('br'))
  t.equal(answer.field('Vary'), undefined)
  t.equal(answer.field('Accept-Ranges'), 'bytes')
})

t.test('a changed file is never answered by the form of an old one', async t => {
  const root = t.testdir({ 'a.css': LINES(5000) })
  const site = new TestSite(root, { compress: true })
  const before = await coded(site, '/a.css', 'br')
  writeFileSync(join(root, 'a.css'), 'b'.repeat(5000))
  site.clock.pass(2000)
  const first = await site.get('/a.css', accept('br'))
  t.equal(first.field('Content-Encoding'), undefined)
  t.equal(first.body.toString(), 'b'.repeat(5000))
  const after = await coded(site, '/a.css', 'br')
  t.equal(brotliDecompressSync(after.body).toString(), 'b'.repeat(5000))
  t.not(after.field('ETag'), before.field('ETag'))
  utimesSync(join(root, 'a.css'), 1_700_000_000, 1_700_000_000)
  site.clock.pass(2000)
  t.equal(
    (await site.get('/a.css', accept('br'))).field('Content-Encoding'),
    undefined,
    'also by its time alone',
  )
})

t.test('a file that changes while it is compressed has no form of a mixed state', async t => {
  const root = t.testdir({ 'a.js': '' })
  const path = join(root, 'a.js')
  const site = new TestSite(root, { compress: true })
  for (let round = 0; round < 30; round += 1) {
    const letter = 'abc'[round % 3] as string
    writeFileSync(path, letter.repeat(100_000 + round))
    site.clock.pass(2000)
    const asked = site.get('/a.js', accept('br'))
    // At another moment in each round: before it is read, while, after.
    for (let turn = 0; turn < round % 7; turn += 1) await new Promise(setImmediate)
    appendFileSync(path, letter.repeat(50_000))
    await asked
    const answer = await site.get('/a.js', accept('br'))
    const isCoded = answer.field('Content-Encoding') === 'br'
    const text = (isCoded ? brotliDecompressSync(answer.body) : answer.body).toString()
    t.ok([100_000 + round, 150_000 + round].includes(text.length), `round ${round}: ${text.length} bytes`)
    t.equal(text, letter.repeat(text.length))
  }
})

t.test('a form is made only of the state that was asked for', async t => {
  const root = t.testdir({
    'changed.js': 'a'.repeat(100_000),
    'gone.js': 'a'.repeat(100_000),
    'last.js': 'a'.repeat(2000),
  })
  const site = new TestSite(root, { compress: true })
  const coder = new Coder()
  const taken: string[] = []
  for (const name of ['changed.js', 'gone.js', 'last.js']) {
    await site.get(`/${name}`)
    if (name === 'changed.js') writeFileSync(join(root, name), 'b'.repeat(100_000))
    if (name === 'gone.js') rmSync(join(root, name))
    const resource = site.shelf.find(`/${name}`) as FileResource
    coder.want(root, resource, 'br', ({ relative }) => taken.push(relative))
  }
  await until('the last in line', () => taken.includes('last.js'))
  t.same(taken, ['last.js'])
})

t.test('a form that is ready when its file has changed is dropped', async t => {
  const before = LINES(20_000)
  const after = Buffer.from(before).reverse()
  const root = t.testdir({ 'first.js': LINES(1_000_000), 'a.js': before })
  const site = new TestSite(root, { compress: true })
  // One at a time: while this is made, the other waits with the bytes of before.
  await site.get('/first.js', accept('br'))
  await site.get('/a.js', accept('br'))
  writeFileSync(join(root, 'a.js'), after)
  site.clock.pass(2000)
  t.ok((await site.get('/a.js')).body.equals(after))
  const answer = await coded(site, '/a.js', 'br')
  t.ok(brotliDecompressSync(answer.body).equals(after))
})

t.test('memory stays within its bounds, with all forms', async t => {
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}.js`, LINES(20_000)]))
  const bounds = { entries: 100, bytes: 300_000 }
  const site = new TestSite(t.testdir(files), { bounds, compress: true })
  for (let i = 0; i < 30; i += 1) {
    for (const coding of CODINGS) await coded(site, `/f${i}.js`, coding)
    t.ok(site.shelf.bytes <= bounds.bytes, `${site.shelf.bytes} bytes`)
  }
})

t.test('a form that would push all else out is not kept', async t => {
  const root = t.testdir({ 'big.js': LINES(400_000), 'a.js': LINES(5000) })
  const site = new TestSite(root, { bounds: { entries: 10, bytes: 100_000 }, compress: true })
  await site.get('/big.js', accept('br'))
  await coded(site, '/a.js', 'br')
  t.equal((await site.get('/big.js', accept('br'))).field('Content-Encoding'), undefined)
  t.ok(site.shelf.bytes <= 100_000)
})

t.test('a new manifest makes no form anew', async t => {
  const root = t.testdir({ 'a.ab.css': LINES(5000) })
  const site = new TestSite(root, { compress: true })
  const before = await coded(site, '/a.ab.css', 'br')
  t.equal(before.field('Cache-Control'), undefined)
  writeFileSync(join(root, 'staticfiles.json'), '{"paths":{"a.css":"a.ab.css"}}')
  await until('the manifest', () => {
    site.pass(2000)
    return site.shelf.watch?.known
  })
  const after = await site.get('/a.ab.css', accept('br'))
  t.equal(after.field('Content-Encoding'), 'br')
  t.match(after.field('Cache-Control'), /immutable/)
  t.equal(after.field('ETag'), before.field('ETag'))
  t.ok(after.body.equals(before.body))
})

t.test('files of an old release are compressed too', async t => {
  const root = t.testdir({ 'a.ab.css': LINES(5000), 'staticfiles.json': '{"paths":{"a.css":"a.ab.css"}}' })
  const site = new TestSite(root, { compress: true })
  await until('the file held', () => site.shelf.watch?.heldFiles === 1)
  rmSync(join(root, 'a.ab.css'))
  const answer = await coded(site, '/a.ab.css', 'zstd')
  t.ok(zstdDecompressSync(answer.body).equals(LINES(5000)))
})

t.test('media types that shrink', async t => {
  for (const type of [
    'text/css; charset=utf-8',
    'application/json',
    'image/svg+xml',
    'APPLICATION/WASM',
    'font/ttf',
  ]) {
    t.ok(isCompressible(type), type)
  }
  for (const type of [
    'image/png',
    'font/woff2',
    'application/zip',
    'video/mp4',
    'application/octet-stream',
    '',
  ]) {
    t.notOk(isCompressible(type), type)
  }
})
