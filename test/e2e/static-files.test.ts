import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const SECRET = 'outside the root'
const folder = t.testdir({
  'secret.txt': SECRET,
  'static-other': { 'secret.txt': SECRET },
  static: {
    'a.txt': 'hello static',
    'style.css': 'a{}',
    'style.css.gz': 'not really gzip',
    'index.html': '<p>index',
    '.env': SECRET,
    '.git': { config: SECRET },
    dir: { 'b.txt': 'b', 'index.html': '<p>dir' },
    empty: {},
    'sp ace.txt': 'space',
    'é.txt': 'accent',
    constructor: 'constructor',
  },
})
const root = join(folder, 'static')
symlinkSync(join(folder, 'secret.txt'), join(root, 'link-out.txt'))
symlinkSync(folder, join(root, 'link-dir'))
symlinkSync(join(root, 'a.txt'), join(root, 'link-in.txt'))
execFileSync('mkfifo', [join(root, 'fifo')])
// In an object literal it would be no key.
writeFileSync(join(root, '__proto__'), 'proto')
writeFileSync(join(root, 'big.bin'), Buffer.alloc(3_000_000, 'big'))

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    more: `
[routes.static]
path = "/static/"
static = { root = ${JSON.stringify(root)} }`,
  }),
})

t.test('files are served by the same wire', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(get('/static/a.txt'))
  const answer = await client.response()
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'hello static')
  t.match(fieldOf(answer, 'content-type'), /^text\/plain/)
  client.send('HEAD /static/a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
  const head = await client.response('HEAD')
  t.equal(fieldOf(head, 'content-length'), '12')
  client.send(get('/static/big.bin'))
  t.equal((await client.response()).body.length, 3_000_000)
  for (const [target, body] of [
    ['/static/dir/', '<p>dir'],
    ['/static/sp%20ace.txt', 'space'],
    ['/static/%C3%A9.txt', 'accent'],
    ['/static/link-in.txt', 'hello static'],
    ['/static/__proto__', 'proto'],
    ['/static/constructor', 'constructor'],
  ] as const) {
    client.send(get(target))
    t.equal((await client.response()).body.toString(), body, target)
  }
  client.destroy()
})

t.test('nothing outside the root can be had, and there is no telling what exists there', async t => {
  const NAMES = [
    '../secret.txt',
    '%2e%2e/secret.txt',
    '%2e%2e%2fsecret.txt',
    '..%2fsecret.txt',
    '..%5csecret.txt',
    '%252e%252e/secret.txt',
    '%252e%252e%252fsecret.txt',
    '.%2e/secret.txt',
    'dir/../../secret.txt',
    'dir/%2e%2e/%2e%2e/secret.txt',
    './../secret.txt',
    '..;/secret.txt',
    '..%00/secret.txt',
    'a.txt%00.html',
    'a.txt%0a',
    '..%c0%afsecret.txt',
    '%c0%ae%c0%ae/secret.txt',
    '%uff0e%uff0e/secret.txt',
    '/secret.txt',
    '//etc/passwd',
    '%2fetc/passwd',
    '%2e%2e/static-other/secret.txt',
    '../static-other/secret.txt',
    'link-out.txt',
    'link-dir/secret.txt',
    '.env',
    '.git/config',
    '%2eenv',
    'dir/../.env',
    'fifo',
    'empty/',
    'dir',
    'nothing',
    'a.txt/',
    'a.txt/b',
    'toString',
    'hasOwnProperty',
  ]
  for (const name of NAMES) {
    const answer = await ask(causeway.port(), get(`/static/${name}`))
    t.notMatch(answer.body.toString(), SECRET, name)
    t.notMatch(answer.body.toString(), /root:|<a |Index of/, name)
    const fine = name === 'dir' ? [301, 302, 308, 404] : [400, 404, 200]
    t.ok(fine.includes(answer.status), `${name}: ${answer.status}`)
    // 200 is only for what leaves /static/ by its own dots and so belongs to the app.
    if (answer.status === 200) t.equal(answer.body.toString(), 'ok\n', `${name} is the app's`)
    t.not(answer.status, 403, `${name}: no oracle`)
  }
  t.equal(
    (await ask(causeway.port(), get('/staticsecret'))).body.toString(),
    'ok\n',
    'no prefix without its slash',
  )
})

t.test('a folder without its slash is never a redirect to another host', async t => {
  for (const target of ['/static//evil.test/..', '/static/dir', '//evil.test/static/dir', '/static//dir']) {
    const answer = await ask(causeway.port(), get(target))
    const location = fieldOf(answer, 'location') ?? '/'
    t.match(location, /^(https?:\/\/example\.test\/|\/(?!\/))/, `${target}: ${location}`)
  }
})

t.test('only GET and HEAD, and the body of another method is no request', async t => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
    const client = await RawClient.connect(causeway.port())
    client.send(
      `${method} /static/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
    )
    const answer = await client.response(method)
    t.equal(answer.status, 405, method)
    t.match(fieldOf(answer, 'allow'), /GET/)
    client.destroy()
  }
  const client = await RawClient.connect(causeway.port())
  const inner = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  client.send(`GET /static/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
  t.equal((await client.response()).body.toString(), 'hello static')
  client.send(get('/static/a.txt'))
  // Either the body was read over, or the connection closes: never a second answer out of it.
  await client.response().catch(() => undefined)
  client.destroy()
  t.equal(upstream.seen('/smuggled').length, 0)
})

t.test('ranges: one is honoured, floods of them are not', async t => {
  const range = (value: string) => ask(causeway.port(), get('/static/a.txt', `Range: ${value}\r\n`))
  const one = await range('bytes=6-')
  t.equal(one.status, 206)
  t.equal(one.body.toString(), 'static')
  t.equal(fieldOf(one, 'content-range'), 'bytes 6-11/12')
  t.equal((await range('bytes=-6')).body.toString(), 'static')
  t.equal((await range('bytes=99-')).status, 416)
  for (const value of [
    `bytes=${Array.from({ length: 1000 }, (_, n) => `${n}-`).join(',')}`,
    'bytes=0-1,0-1,0-1',
    'bytes=-9223372036854775810',
    'bytes=0-18446744073709551615',
    'bytes=5-2',
    'bytes=a-b',
    'lines=1-2',
    'bytes=',
  ]) {
    const answer = await range(value)
    t.ok([200, 206, 416].includes(answer.status), `${value.slice(0, 40)}: ${answer.status}`)
    t.ok(answer.body.length <= 12, `${value.slice(0, 40)}: never more than the file`)
  }
})

t.test('validators answer 304, and a changed file is seen', async t => {
  const answer = await ask(causeway.port(), get('/static/a.txt'))
  const etag = fieldOf(answer, 'etag') ?? ''
  t.match(etag, /^"[\x21-\x7e]+"$/)
  const again = await ask(causeway.port(), get('/static/a.txt', `If-None-Match: ${etag}\r\n`))
  t.equal(again.status, 304)
  t.equal(fieldOf(again, 'etag'), etag)
  const since = fieldOf(answer, 'last-modified') ?? ''
  t.equal((await ask(causeway.port(), get('/static/a.txt', `If-Modified-Since: ${since}\r\n`))).status, 304)
})

t.test('a file that goes away between two requests is gone, and harms nobody', async t => {
  mkdirSync(join(root, 'late'))
  writeFileSync(join(root, 'late', 'c.txt'), 'c')
  t.equal((await ask(causeway.port(), get('/static/late/c.txt'))).body.toString(), 'c')
  rmSync(join(root, 'late'), { recursive: true })
  const { status } = await ask(causeway.port(), get('/static/late/c.txt'))
  t.ok(status === 404 || status === 200, 'from memory for a moment at most')
  t.equal((await ask(causeway.port(), get('/static/a.txt'))).status, 200)
})

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
