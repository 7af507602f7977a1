import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import t from 'tap'
import { FieldList } from '../lib/http/field-list.ts'
import { type RecordedRequest, RecordingExchange } from './support/recording-exchange.ts'
import { openFilesBelow, TestSite } from './support/static-site.ts'
import { until } from './support/until.ts'

type Pair = readonly [name: string, value: string]

const LARGE = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
const TREE = {
  'secret.txt': 'outside',
  site: {
    'note.txt': 'hello note',
    'large.bin': LARGE,
    'with space.pdf': 'pdf',
    'café.txt': 'accent',
    folder: { 'index.html': 'index' },
    '.env': 'secret',
    '100%.txt': 'percent',
  },
} as const

interface Handed extends Omit<RecordedRequest, 'target'> {
  readonly app?: readonly Pair[]
  readonly bytesPerSecond?: number
}

/** What a client gets whose app has handed over a file. */
function start(site: TestSite, name: string, { app = [], bytesPerSecond = 0, ...request }: Handed = {}) {
  const exchange = new RecordingExchange({ ...request, target: '/download/1?x' })
  const before = { answerDrained: () => {}, clientGone: () => t.fail('the app has it no more') }
  exchange.attach(before)
  site.handler.serveInternal(exchange, name, { fields: FieldList.of(app), bytesPerSecond })
  return exchange
}

async function hand(site: TestSite, name: string, handed: Handed = {}): Promise<RecordingExchange> {
  const exchange = start(site, name, handed)
  await exchange.done
  return exchange
}

const siteIn = (dir: string, more: object = {}) =>
  new TestSite(join(dir, 'site'), { internal: true, routePath: '/protected/', ...more })

t.test('clients get 404 for all of an internal route, whatever they send', async t => {
  const site = siteIn(t.testdir(TREE))
  for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
    for (const target of ['/protected/note.txt', '/protected/none', '/protected/']) {
      const answer = site.start({ method, target })
      t.equal(answer.failure, 'NOT_FOUND', `${method} ${target}`)
      t.equal(answer.body.length, 0)
    }
  }
})

t.test('a file handed over has our type, length and validators where the app has none', async t => {
  const site = siteIn(t.testdir(TREE))
  for (const round of ['cold', 'warm']) {
    for (const [name, body] of [
      ['note.txt', Buffer.from('hello note')],
      ['large.bin', LARGE],
    ] as const) {
      const answer = await hand(site, name)
      t.equal(answer.status, 200, `${name} ${round}`)
      t.ok(answer.body.equals(body))
      t.equal(answer.head?.length, body.length)
      t.ok(answer.field('ETag'))
      t.ok(answer.field('Last-Modified'))
      t.equal(answer.field('Accept-Ranges'), 'bytes')
      t.ok(answer.complete)
    }
  }
  t.equal((await hand(site, 'note.txt')).field('Content-Type'), 'text/plain; charset=utf-8')
})

t.test("the app's fields win, and what belongs to its own body does not travel", async t => {
  const site = siteIn(t.testdir(TREE), { cacheControl: 'max-age=60' })
  t.equal((await hand(site, 'note.txt')).field('Cache-Control'), 'max-age=60')
  for (const name of ['note.txt', 'large.bin']) {
    const answer = await hand(site, name, {
      app: [
        ['Content-Type', 'application/pdf'],
        ['Content-Disposition', 'attachment; filename="a.pdf"'],
        ['Content-Length', '0'],
        ['Cache-Control', 'private'],
        ['Expires', 'Thu, 01 Jan 2030 00:00:00 GMT'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['X-Frame-Options', 'DENY'],
        ['Vary', 'Cookie'],
        ['X-Accel-Redirect', '/protected/note.txt'],
        ['X-Accel-Buffering', 'no'],
        ['X-Sendfile', '/srv/note.txt'],
        ['Accept-Ranges', 'none'],
        ['Content-Range', 'bytes 0-1/2'],
      ],
    })
    const text = answer.head?.fields.text ?? ''
    t.match(text, /Content-Type: application\/pdf\r\n/, name)
    for (const [field, count] of [
      ['Content-Type', 1],
      ['Content-Disposition', 1],
      ['Content-Length', 0],
      ['Content-Range', 0],
      ['Cache-Control', 1],
      ['Expires', 1],
      ['Set-Cookie', 2],
      ['X-Frame-Options', 1],
      ['Accept-Ranges', 1],
      ['X-Accel', 0],
      ['X-Sendfile', 0],
      ['ETag', 1],
    ] as const) {
      t.equal(text.split('\r\n').filter(line => line.startsWith(field)).length, count, `${name} ${field}`)
    }
    t.match(text, /Cache-Control: private\r\n/)
    t.match(text, /Accept-Ranges: bytes\r\n/)
    t.match(text, /Vary: Cookie\r\n/)
    t.not(answer.head?.length, 0)
  }
  const empty = await hand(site, 'note.txt', { app: [['Content-Type', '']] })
  t.equal(empty.field('Content-Type'), 'text/plain; charset=utf-8', 'an empty type leaves it to us')
})

t.test('a field that does not travel on is not given', async t => {
  const site = siteIn(t.testdir(TREE))
  const fields = FieldList.of([
    ['Server', 'gunicorn'],
    ['ETag', '"v1"'],
    ['X-Own', 'yes'],
  ])
  fields.drop(0)
  fields.drop(1)
  const exchange = new RecordingExchange({ target: '/download/1' })
  site.handler.serveInternal(exchange, 'note.txt', { fields, bytesPerSecond: 0 })
  await exchange.done
  t.equal(exchange.field('Server'), undefined)
  t.not(exchange.field('ETag'), '"v1"')
  t.equal(exchange.field('X-Own'), 'yes')
})

t.test("validators are the app's where it has any, and decide", async t => {
  const site = siteIn(t.testdir(TREE))
  const modified = 'Sun, 06 Nov 1994 08:49:37 GMT'
  for (const name of ['note.txt', 'large.bin']) {
    const app: readonly Pair[] = [
      ['ETag', '"v1"'],
      ['Last-Modified', modified],
      ['Set-Cookie', 'a=1'],
      ['Content-Type', 'a/b'],
    ]
    const ask = (...fields: readonly Pair[]) => hand(site, name, { app, fields })
    const same = await ask(['If-None-Match', '"v1"'])
    t.equal(same.status, 304)
    t.equal(same.field('ETag'), '"v1"')
    t.equal(same.field('Set-Cookie'), 'a=1')
    t.equal(same.field('Content-Type'), undefined)
    t.equal((await ask(['If-None-Match', '"v2"'])).status, 200)
    t.equal((await ask(['If-Modified-Since', modified])).status, 304)
    t.equal((await ask(['If-Match', '"v2"'])).status, 412)
    t.equal((await ask(['Range', 'bytes=0-1'], ['If-Range', '"v1"'])).status, 206)
    t.equal((await ask(['Range', 'bytes=0-1'], ['If-Range', '"v2"'])).status, 200)
    t.equal((await ask(['Range', 'bytes=999999-'])).status, 416)
    const weak: readonly Pair[] = [['ETag', 'W/"v1"']]
    t.equal((await hand(site, name, { app: weak })).field('ETag'), 'W/"v1"')
    t.equal((await hand(site, name, { app: weak, fields: [['If-None-Match', '"v1"']] })).status, 304)
    for (const tag of ['"v1"', 'W/"v1"']) {
      t.equal((await hand(site, name, { app: weak, fields: [['If-Match', tag]] })).status, 412, tag)
      const fields: readonly Pair[] = [
        ['Range', 'bytes=0-1'],
        ['If-Range', tag],
      ]
      t.equal((await hand(site, name, { app: weak, fields })).status, 200, 'a weak tag vouches for no bytes')
    }
    t.equal((await hand(site, name, { app: weak, fields: [['If-Match', '*']] })).status, 200)
  }
  const ours = (await hand(site, 'note.txt')).field('ETag')
  for (const tag of ['"d41d8cd98f00b204e9800998ecf8427e"', 'W/"d41d8cd98f00b204e9800998ecf8427e"', 'junk']) {
    t.equal(
      (await hand(site, 'note.txt', { app: [['ETag', tag]] })).field('ETag'),
      ours,
      `${tag}: not of the file`,
    )
  }
  t.not((await hand(site, 'note.txt', { app: [['Last-Modified', 'soon']] })).field('Last-Modified'), 'soon')
})

t.test('ranges and HEAD work; another method is answered with the whole', async t => {
  const site = siteIn(t.testdir(TREE))
  for (const [name, body] of [
    ['note.txt', Buffer.from('hello note')],
    ['large.bin', LARGE],
  ] as const) {
    const etag = (await hand(site, name)).field('ETag') as string
    const part = await hand(site, name, { fields: [['Range', 'bytes=2-5']] })
    t.equal(part.status, 206)
    t.equal(part.field('Content-Range'), `bytes 2-5/${body.length}`)
    t.ok(part.body.equals(body.subarray(2, 6)))
    const head = await hand(site, name, { method: 'HEAD' })
    t.equal(head.status, 200)
    t.equal(head.head?.length, body.length)
    t.equal(head.body.length, 0)
    t.equal((await hand(site, name, { fields: [['If-None-Match', etag]] })).status, 304)
    const post = await hand(site, name, {
      method: 'POST',
      fields: [
        ['Range', 'bytes=2-5'],
        ['If-None-Match', etag],
        ['If-Match', '"x"'],
      ],
    })
    t.equal(post.status, 200)
    t.ok(post.body.equals(body))
  }
})

t.test('what the app names is found by its path or its file name, and only below the root', async t => {
  const dir = t.testdir(TREE)
  const root = join(dir, 'site')
  const { handler } = siteIn(dir)
  for (const [value, name] of [
    ['/protected/note.txt', 'note.txt'],
    ['/protected/note.txt?x=1', 'note.txt'],
    ['/protected/with%20space.pdf', 'with space.pdf'],
    ['/protected/with space.pdf', 'with space.pdf'],
    ['/protected/caf%C3%A9.txt', 'café.txt'],
    [Buffer.from('/protected/café.txt').toString('latin1'), 'café.txt'],
    ['/protected/100%25.txt', '100%.txt'],
    ['/protected/../secret.txt', undefined],
    ['/protected/%2e%2e/secret.txt', undefined],
    ['/protected/%2e%2e%2fsecret.txt', undefined],
    ['/protected//etc/passwd', undefined],
    ['/protected/.env', undefined],
    ['/protected/a%00', undefined],
    ['/other/note.txt', undefined],
    ['/protectednote.txt', undefined],
    ['note.txt', undefined],
    ['', undefined],
  ] as const) {
    t.equal(handler.nameOfUri(value), name, value)
  }
  for (const [value, name] of [
    [`${root}/note.txt`, 'note.txt'],
    [Buffer.from(`${root}/café.txt`).toString('latin1'), 'café.txt'],
    [`${root}/folder/index.html`, 'folder/index.html'],
    [`${root}/caf%C3%A9.txt`, 'café.txt'],
    [`${root}/100%.txt`, '100%.txt'],
    [`${root}/%2e%2e/secret.txt`, undefined],
    [`${root}/..%2fsecret.txt`, undefined],
    [`${root}/\xff`, undefined],
    [`${root}/../secret.txt`, undefined],
    [`${root}/folder/../note.txt`, undefined],
    [`${root}//note.txt`, undefined],
    [`${root}-other/note.txt`, undefined],
    [`${root}/.env`, undefined],
    [root, undefined],
    ['/etc/passwd', undefined],
    ['note.txt', undefined],
    ['', undefined],
  ] as const) {
    t.equal(handler.nameOfFile(value), name, value)
  }
})

t.test('a name that leaves the root, a folder, or nothing is 404', async t => {
  const dir = t.testdir(TREE)
  symlinkSync('../secret.txt', join(dir, 'site', 'out.txt'))
  const site = siteIn(dir)
  for (const round of [1, 2]) {
    for (const name of [
      '../secret.txt',
      'x/../../secret.txt',
      '/etc/passwd',
      'out.txt',
      '.env',
      'folder',
      'none',
      'a\0',
    ]) {
      const answer = await hand(site, name)
      t.equal(answer.failure, 'NOT_FOUND', `${JSON.stringify(name)} ${round}`)
      t.equal(answer.body.length, 0)
    }
  }
  t.equal((await hand(site, '100%.txt')).body.toString(), 'percent', 'a name is not unescaped again')
})

t.test('a manifest below an internal root means nothing', async t => {
  const dir = t.testdir(TREE)
  writeFileSync(join(dir, 'site', 'staticfiles.json'), '{"paths":{"note":"note.txt"}}')
  const site = siteIn(dir)
  t.equal((await hand(site, 'note.txt')).field('Cache-Control'), undefined)
  t.equal((await hand(site, 'staticfiles.json')).failure, 'NOT_FOUND')
})

t.test('a file that goes away before it is opened is 404', async t => {
  const dir = t.testdir(TREE)
  const site = siteIn(dir)
  await hand(site, 'large.bin')
  rmSync(join(dir, 'site', 'large.bin'))
  t.equal((await hand(site, 'large.bin')).failure, 'NOT_FOUND')
})

t.test('a file handed over is compressed like any other, unless the app names one form', async t => {
  const dir = t.testdir(TREE)
  const text = 'a line of text\n'.repeat(1000)
  writeFileSync(join(dir, 'site', 'a.txt'), text)
  const site = siteIn(dir, { compress: true })
  const fields: readonly Pair[] = [['Accept-Encoding', 'br']]
  const answer = await until('the compressed form', async () => {
    const got = await hand(site, 'a.txt', { fields, app: [['Vary', 'Cookie']] })
    return got.field('Content-Encoding') === 'br' ? got : undefined
  })
  t.equal(brotliDecompressSync(answer.body).toString(), text)
  t.match(answer.head?.fields.text, /Vary: Accept-Encoding\r\n/)
  t.match(answer.head?.fields.text, /Vary: Cookie\r\n/)
  for (const app of [[['ETag', '"v1"']], [['Content-Encoding', 'gzip']]] as const) {
    const plain = await hand(site, 'a.txt', { fields, app })
    t.equal(plain.body.toString(), text)
    t.equal(plain.field('Vary'), undefined)
  }
})

t.test('a limited rate is kept: a second ahead, then as time passes', async t => {
  const dir = t.testdir(TREE)
  const site = siteIn(dir)
  await hand(site, 'note.txt')
  for (const [name, size, rate] of [
    ['large.bin', LARGE.length, 50_000],
    ['note.txt', 10, 4],
  ] as const) {
    const answer = start(site, name, { bytesPerSecond: rate })
    await until('the first second', () => answer.body.length === rate)
    let seconds = 1
    while (!answer.ended) {
      site.pass(1000)
      seconds += 1
      const most = Math.min(size, seconds * rate)
      await until(`${most} bytes`, () => answer.body.length === most)
    }
    await answer.done
    t.equal(seconds, Math.ceil(size / rate), name)
    t.ok(answer.complete)
  }
  await until('every file closed', () => openFilesBelow(dir) === 0)
})

t.test('a client that leaves a limited transfer leaves nothing behind', async t => {
  const dir = t.testdir(TREE)
  const site = siteIn(dir)
  const answer = start(site, 'large.bin', { bytesPerSecond: 1000 })
  await until('the first second', () => answer.body.length === 1000)
  answer.leave()
  await until('every file closed', () => openFilesBelow(dir) === 0)
  site.pass(60_000)
  t.equal(answer.body.length, 1000)
})

t.test('nothing is opened for a client that left before its file was named', async t => {
  const dir = t.testdir(TREE)
  const site = siteIn(dir)
  await hand(site, 'large.bin')
  await until('every file closed', () => openFilesBelow(dir) === 0)
  const exchange = new RecordingExchange({ target: '/download/1' })
  exchange.leave()
  site.handler.serveInternal(exchange, 'large.bin', { fields: FieldList.of([]), bytesPerSecond: 0 })
  // By when this one has been sent, the other would have begun.
  await hand(site, 'large.bin')
  t.notOk(exchange.answered)
  t.equal(exchange.flushes, 0)
})
