import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { openFilesBelow, TestSite } from './support/static-site.ts'
import { until } from './support/until.ts'

const TEXT = 'body { color: red } '.repeat(50)
const LARGE = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
const CODINGS = [
  ['br', '.br', brotliCompressSync],
  ['zstd', '.zst', zstdCompressSync],
  ['gzip', '.gz', gzipSync],
] as const

/** A small file that is held in memory and a large one that never is: both must answer alike. */
const SIZES = [
  ['small.css', Buffer.from(TEXT)],
  ['large.css', LARGE],
] as const

const atSecond = (path: string, second: number) => utimesSync(path, second, second)

t.test('a file has its bytes, length, type and strong validators', async t => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const root = t.testdir({ 'all.bin': bytes, 'empty.txt': '', 'large.css': LARGE })
  const site = new TestSite(root)
  for (const [name, body, type] of [
    ['all.bin', bytes, 'application/octet-stream'],
    ['empty.txt', Buffer.alloc(0), 'text/plain; charset=utf-8'],
    ['large.css', LARGE, 'text/css; charset=utf-8'],
  ] as const) {
    for (const round of ['cold', 'warm']) {
      const answer = await site.get(`/${name}`)
      t.equal(answer.status, 200, `${name} ${round}`)
      t.ok(answer.body.equals(body), `${name} ${round}: the bytes`)
      t.equal(answer.head?.length, body.length)
      t.equal(answer.field('Content-Type'), type)
      t.equal(answer.field('X-Content-Type-Options'), 'nosniff')
      t.equal(answer.field('Accept-Ranges'), 'bytes')
      t.equal(answer.field('Vary'), undefined)
      t.equal(answer.field('Content-Encoding'), undefined)
      t.equal(answer.field('Cache-Control'), undefined)
      t.match(answer.field('ETag'), /^"[0-9a-f]+-[0-9a-f]+"$/)
      t.equal(answer.field('Last-Modified'), statSync(join(root, name)).mtime.toUTCString())
      t.ok(answer.complete)
    }
  }
})

t.test('HEAD has the head of GET and no body', async t => {
  const site = new TestSite(t.testdir(Object.fromEntries(SIZES)))
  for (const [name, body] of SIZES) {
    const get = await site.get(`/${name}`)
    const head = site.start({ method: 'HEAD', target: `/${name}`, fields: [['Range', 'bytes=0-1']] })
    await head.done
    t.equal(head.status, 200, 'Range is for GET only (RFC 9110 14.2)')
    t.equal(head.head?.length, body.length)
    t.equal(head.head?.fields.text, get.head?.fields.text)
    t.equal(head.body.length, 0)
  }
})

t.test('the tag depends on size and time, not on where the file stands', async t => {
  const root = t.testdir({ one: { 'a.txt': 'aa' }, two: { 'a.txt': 'bb' }, three: { 'a.txt': 'ccc' } })
  for (const name of ['one', 'two', 'three']) atSecond(join(root, name, 'a.txt'), 1_700_000_000)
  const site = new TestSite(root)
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map(name => site.get(`/${name}/a.txt`)))
  t.equal(one?.field('ETag'), two?.field('ETag'))
  t.not(one?.field('ETag'), three?.field('ETag'))
})

t.test('a file from the future is modified now at the latest (RFC 9110 8.8.2.1)', async t => {
  const root = t.testdir({ 'a.txt': 'a' })
  const site = new TestSite(root)
  atSecond(join(root, 'a.txt'), site.clock.wallMs / 1000 + 3600)
  t.equal((await site.get('/a.txt')).field('Last-Modified'), new Date(site.clock.wallMs).toUTCString())
})

t.test('conditions are answered alike from memory and from disk', async t => {
  const root = t.testdir(Object.fromEntries(SIZES))
  for (const [name] of SIZES) atSecond(join(root, name), 1_700_000_000)
  const site = new TestSite(root)
  const same = new Date(1_700_000_000_000).toUTCString()
  const before = new Date(1_699_999_999_000).toUTCString()
  for (const [name] of SIZES) {
    const etag = (await site.get(`/${name}`)).field('ETag') as string
    for (const [field, value, status] of [
      ['If-None-Match', etag, 304],
      ['If-None-Match', `"x", W/${etag}`, 304],
      ['If-None-Match', '*', 304],
      ['If-None-Match', '"x"', 200],
      ['If-Modified-Since', same, 304],
      ['If-Modified-Since', before, 200],
      ['If-Match', etag, 200],
      ['If-Match', `W/${etag}`, 412],
      ['If-Match', '"x"', 412],
      ['If-Unmodified-Since', before, 412],
      ['If-Unmodified-Since', same, 200],
    ] as const) {
      const fresh = new TestSite(root)
      for (const answer of [
        await site.get(`/${name}`, [field, value]),
        await fresh.get(`/${name}`, [field, value]),
      ]) {
        t.equal(answer.status, status, `${name} ${field}: ${value}`)
        if (status !== 200) t.equal(answer.body.length, 0)
        if (status !== 412) t.equal(answer.field('ETag'), etag)
        t.ok(answer.complete)
      }
    }
  }
  await until('every file closed', () => openFilesBelow(root) === 0)
})

t.test('one range is a 206, an impossible one a 416, several are the whole', async t => {
  const root = t.testdir(Object.fromEntries(SIZES))
  const site = new TestSite(root)
  for (const [name, body] of SIZES) {
    const size = body.length
    for (const [range, first, last] of [
      ['bytes=0-0', 0, 0],
      ['bytes=5-9', 5, 9],
      [`bytes=${size - 3}-`, size - 3, size - 1],
      ['bytes=-7', size - 7, size - 1],
      [`bytes=10-${size * 2}`, 10, size - 1],
    ] as const) {
      const answer = await site.get(`/${name}`, ['Range', range])
      t.equal(answer.status, 206, `${name} ${range}`)
      t.equal(answer.field('Content-Range'), `bytes ${first}-${last}/${size}`)
      t.equal(answer.head?.length, last - first + 1)
      t.ok(answer.body.equals(body.subarray(first, last + 1)), `${name} ${range}: the bytes`)
      t.ok(answer.field('ETag'))
    }
    const beyond = await site.get(`/${name}`, ['Range', `bytes=${size}-`])
    t.equal(beyond.status, 416)
    t.equal(beyond.field('Content-Range'), `bytes */${size}`)
    t.equal(beyond.body.length, 0)
    const several = await site.get(`/${name}`, ['Range', `bytes=${'0-,'.repeat(1000)}0-`])
    t.equal(several.status, 200)
    t.equal(several.body.length, size)
  }
  await until('every file closed', () => openFilesBelow(root) === 0)
})

t.test('If-Range that does not hold gives the whole', async t => {
  const root = t.testdir(Object.fromEntries(SIZES))
  const site = new TestSite(root)
  for (const [name, body] of SIZES) {
    const plain = await site.get(`/${name}`)
    const ask = (value: string) => site.get(`/${name}`, ['Range', 'bytes=1-2'], ['If-Range', value])
    t.equal((await ask(plain.field('ETag') as string)).status, 206)
    t.equal((await ask(plain.field('Last-Modified') as string)).status, 206)
    const other = await ask('"other"')
    t.equal(other.status, 200)
    t.ok(other.body.equals(body))
  }
})

t.test('a compressed sibling is the answer for those who take it, with a tag of its own', async t => {
  for (const [name, body] of SIZES) {
    const siblings = CODINGS.map(([, ending, compress]) => [name + ending, compress(body)] as const)
    const root = t.testdir({ [name]: body, ...Object.fromEntries(siblings) })
    const site = new TestSite(root)
    const plain = await site.get(`/${name}`)
    t.ok(plain.body.equals(body))
    t.equal(plain.field('Vary'), 'Accept-Encoding')
    const tags = new Set([plain.field('ETag')])
    for (const [i, [coding]] of CODINGS.entries()) {
      const compressed = siblings[i]?.[1] as Buffer
      const accept = ['Accept-Encoding', coding] as const
      const answer = await site.get(`/${name}`, accept)
      t.equal(answer.field('Content-Encoding'), coding, name)
      t.equal(answer.field('Vary'), 'Accept-Encoding')
      t.equal(answer.field('Content-Type'), 'text/css; charset=utf-8')
      t.ok(answer.body.equals(compressed), `${name} ${coding}: the bytes`)
      const etag = answer.field('ETag') as string
      tags.add(etag)
      const again = await site.get(`/${name}`, accept, ['If-None-Match', etag])
      t.equal(again.status, 304)
      t.equal(again.field('Vary'), 'Accept-Encoding')
      const part = await site.get(`/${name}`, accept, ['Range', 'bytes=3-8'])
      t.equal(part.status, 206)
      t.equal(part.field('Content-Encoding'), coding)
      t.equal(part.field('Content-Range'), `bytes 3-8/${compressed.length}`)
      t.ok(part.body.equals(compressed.subarray(3, 9)))
    }
    t.equal(tags.size, 4)
    t.equal(
      (await site.get(`/${name}`, ['Accept-Encoding', 'gzip, br;q=0.5'])).field('Content-Encoding'),
      'gzip',
    )
    t.equal((await site.get(`/${name}`, ['Accept-Encoding', 'br;q=0'])).field('Content-Encoding'), undefined)
  }
})

t.test('a sibling that is older than its file is not used', async t => {
  const root = t.testdir({ 'a.css': TEXT, 'a.css.gz': gzipSync(TEXT), 'a.css.br': brotliCompressSync(TEXT) })
  atSecond(join(root, 'a.css'), 1_700_000_010)
  atSecond(join(root, 'a.css.gz'), 1_700_000_009)
  atSecond(join(root, 'a.css.br'), 1_700_000_010)
  const site = new TestSite(root)
  t.equal((await site.get('/a.css', ['Accept-Encoding', 'gzip'])).field('Content-Encoding'), undefined)
  t.equal((await site.get('/a.css', ['Accept-Encoding', 'br'])).field('Content-Encoding'), 'br')
})

t.test('a sibling that is no file of the root is not used', async t => {
  const dir = t.testdir({
    'a.css.gz': gzipSync('secret'),
    site: { 'a.css': TEXT, 'a.css.gz': t.fixture('symlink', '../a.css.gz'), 'a.css.br': {} },
  })
  const site = new TestSite(join(dir, 'site'))
  const answer = await site.get('/a.css', ['Accept-Encoding', 'gzip, br'])
  t.equal(answer.field('Content-Encoding'), undefined)
  t.equal(answer.field('Vary'), undefined)
  t.equal(answer.body.toString(), TEXT)
})

t.test('a compressed file that is asked for by its own name is only a file', async t => {
  const site = new TestSite(t.testdir({ 'a.css': TEXT, 'a.css.gz': gzipSync(TEXT) }))
  const answer = await site.get('/a.css.gz', ['Accept-Encoding', 'gzip'])
  t.equal(answer.field('Content-Type'), 'application/gzip')
  t.equal(answer.field('Content-Encoding'), undefined)
})

t.test('an index file has its siblings too', async t => {
  const root = t.testdir({ 'index.html': 'home', 'index.html.gz': gzipSync('home') })
  const answer = await new TestSite(root).get('/', ['Accept-Encoding', 'gzip'])
  t.equal(answer.field('Content-Encoding'), 'gzip')
  t.equal(answer.field('Content-Type'), 'text/html; charset=utf-8')
})

t.test('the size between memory and disk makes no difference', async t => {
  const root = t.testdir({})
  const site = new TestSite(root)
  for (const size of [65_535, 65_536, 65_537, 131_072, 131_073]) {
    const body = Buffer.alloc(size, size)
    writeFileSync(join(root, `f${size}`), body)
    const answer = await site.get(`/f${size}`)
    t.equal(answer.head?.length, size)
    t.ok(answer.body.equals(body), `${size}`)
  }
})
