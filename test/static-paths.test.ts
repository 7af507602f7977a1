import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import t from 'tap'
import { openFilesBelow, TestSite } from './support/static-site.ts'
import { until } from './support/until.ts'

// Threats: Apache CVE-2021-41773 and 42013, nginx "alias off by slash", send CVE-2017-14849, Django
// CVE-2018-14574.

const TREE = {
  'secret.txt': 'secret',
  'site-old': { 'a.css': 'secret' },
  site: {
    'a.css': 'body{}',
    'with space.txt': 'space',
    'café.txt': 'accent',
    '100%.txt': 'percent',
    '%2e%2e': { 'secret.txt': 'once' },
    '.env': 'secret',
    '.git': { config: 'secret' },
    '.well-known': {
      'x.txt': 'known',
      '.hidden': 'secret',
      deep: { 'index.html': 'known', '.git': { config: 'secret' } },
    },
    css: {
      'b.css': 'b',
      '.hidden': 'secret',
      '.well-known': { 'x.txt': 'secret' },
      deep: { 'index.html': 'deep' },
    },
    'index.html': 'home',
  },
} as const

t.test('a path finds its file below the root, with the route path taken off', async t => {
  const root = join(t.testdir(TREE), 'site')
  for (const routePath of ['/static/', '/static']) {
    const site = new TestSite(root, { routePath })
    for (const [target, body] of [
      ['/static/a.css', 'body{}'],
      ['/static/a.css?v=1', 'body{}'],
      ['/static/%61.css', 'body{}'],
      ['/static/css/b.css', 'b'],
      ['/static/with%20space.txt', 'space'],
      ['/static/caf%C3%A9.txt', 'accent'],
      ['/static/100%25.txt', 'percent'],
      ['/static/', 'home'],
      ['/static/css/deep/', 'deep'],
    ] as const) {
      const answer = await site.get(target)
      t.equal(answer.status, 200, `${routePath}: ${target}`)
      t.equal(answer.body.toString(), body, `${routePath}: ${target}`)
    }
  }
})

t.test('no path leads out of the root, and every refusal looks like a missing file', async t => {
  const root = join(t.testdir(TREE), 'site')
  for (const routePath of ['/static/', '/static', '/']) {
    const site = new TestSite(root, { routePath })
    const base = routePath === '/' ? '' : '/static'
    for (const rest of [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/%2E%2E/secret.txt',
      '/.%2e/secret.txt',
      '/%2e%2e%2fsecret.txt',
      '/css/../../secret.txt',
      '/css/..%5c..%5csecret.txt',
      '/css/..\\..\\secret.txt',
      '/..;/secret.txt',
      '/%252e%252e/secret.txt?',
      '/%c0%ae%c0%ae/secret.txt',
      '/%u002e%u002e/secret.txt',
      '../secret.txt',
      '../site-old/a.css',
      '-old/a.css',
      '/../site-old/a.css',
      '//secret.txt',
      '//a.css',
      '/css//b.css',
      '/css/./b.css',
      '/./a.css',
      '/a.css%00',
      '/a.css%00.html',
      '/a.css%0a',
      '/a.css%7f',
      '/a.css%C2%85',
      '/caf%E9.txt',
      '/caf\xc3\xa9.txt',
      '/a.css%',
      '/a.css%2',
      '/css%2fb.css',
      '/css%5cb.css',
      '/a.css/',
      '/a.css/x',
      '/css/',
      '/css/none.css',
      `/${'a'.repeat(300)}`,
      `/${'a/'.repeat(3000)}`,
    ]) {
      const answer = await site.get(`${base}${rest}`)
      const known = rest.startsWith('/%252e') ? 200 : 404
      t.equal(answer.status, known, `${routePath}: ${rest}`)
      t.not(answer.body.toString(), 'secret', `${routePath}: ${rest}`)
      if (known === 404) t.equal(answer.failure, 'NOT_FOUND', `${routePath}: ${rest}`)
    }
  }
})

t.test('a path is decoded once: what is left is a name, not an escape', async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'))
  t.equal((await site.get('/%252e%252e/secret.txt')).body.toString(), 'once')
})

t.test('names that start with a dot are not there, at any level', async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'))
  for (const path of [
    '/.env',
    '/%2eenv',
    '/.git/config',
    '/.git',
    '/.git/',
    '/css/.well-known/x.txt',
    '/.well-known/.hidden',
    '/.well-known/deep/.git/config',
    '/.well-known/../.env',
    '/.well-known//x.txt',
    '/.well-known/.well-known/x.txt',
    '/.well-known',
    '/css/.hidden',
    '/.',
  ]) {
    t.equal((await site.get(path)).status, 404, path)
  }
})

t.test('what is well-known is there (RFC 8615), with a route of its own and without', async t => {
  const site = join(t.testdir(TREE), 'site')
  for (const [root, routePath] of [
    [site, '/'],
    [join(site, '.well-known'), '/.well-known/'],
    [join(site, '.well-known'), '/.well-known'],
    [join(site, '.well-known', 'x.txt'), '/.well-known/x.txt'],
  ] as const) {
    const served = new TestSite(root, { routePath })
    t.equal((await served.get('/.well-known/x.txt')).body.toString(), 'known', routePath)
    t.equal((await served.get('/.well-known/.hidden')).status, 404, routePath)
  }
  const whole = new TestSite(site)
  t.equal((await whole.get('/.well-known/deep/')).body.toString(), 'known')
  t.match((await whole.get('/.well-known/deep')).field('Location'), /^\/\.well-known\/deep\/$/)
  const elsewhere = new TestSite(site, { routePath: '/files/' })
  t.equal((await elsewhere.get('/files/.well-known/x.txt')).status, 404, 'only at the root of the site')
})

t.test('a path that is not below the route is not there', async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'), { routePath: '/static/' })
  for (const path of ['/a.css', '/static', '/x/static/a.css', '*', '/']) {
    t.equal((await site.get(path)).status, 404, path)
  }
})

t.test('a folder is never listed', async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'), { index: [] })
  t.equal((await site.get('/')).status, 404)
  t.equal((await site.get('/css/')).status, 404)
})

t.test('index files are tried in order', async t => {
  const root = t.testdir({
    one: { 'b.html': 'b' },
    both: { 'a.html': 'a', 'b.html': 'b' },
    folder: { 'a.html': {} },
  })
  const site = new TestSite(root, { index: ['a.html', 'b.html'] })
  t.equal((await site.get('/one/')).body.toString(), 'b')
  t.equal((await site.get('/both/')).body.toString(), 'a')
  t.equal((await site.get('/folder/')).status, 404)
})

t.test('a folder without its slash moves there, with its query, and never to another host', async t => {
  const root = join(t.testdir(TREE), 'site')
  mkdirSync(join(root, 'ä b?c#'))
  const site = new TestSite(root)
  for (const [target, location] of [
    ['/css', '/css/'],
    ['/css?a=1&b=%2f', '/css/?a=1&b=%2f'],
    ['/css/deep', '/css/deep/'],
    ['/%63ss', '/css/'],
    ['/%C3%A4%20b%3Fc%23', '/%C3%A4%20b%3Fc%23/'],
  ] as const) {
    const answer = await site.get(target)
    t.equal(answer.status, 301, target)
    t.equal(answer.field('Location'), location, target)
    t.equal(answer.body.length, 0)
  }
  for (const target of ['//css', '//evil.test/css', '/\\css', '/%5ccss', '/%2fcss', '/%09/css', '///css']) {
    const answer = await site.get(target)
    t.equal(answer.status, 404, target)
    t.equal(answer.field('Location'), undefined, target)
  }
})

t.test("the route's own path without its slash moves as well", async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'), { routePath: '/static' })
  t.equal((await site.get('/static?x')).field('Location'), '/static/?x')
})

t.test('a root that is a file is what its path names', async t => {
  const root = join(t.testdir({ 'favicon.ico': 'icon' }), 'favicon.ico')
  const site = new TestSite(root, { routePath: '/favicon.ico' })
  const answer = await site.get('/favicon.ico')
  t.equal(answer.body.toString(), 'icon')
  t.equal(answer.field('Content-Type'), 'image/x-icon')
  t.equal((await site.get('/favicon.ico/')).status, 404)
  t.equal((await site.get('/favicon.ico/x')).status, 404)
})

t.test('FIFOs, sockets and devices are not there, and do not hang', async t => {
  const root = t.testdir({ 'x.css': 'x' })
  execFileSync('mkfifo', [join(root, 'pipe'), join(root, 'x.css.gz')])
  // Relative: the path of a socket has room for about a hundred characters.
  const server = createServer().listen(relative(process.cwd(), join(root, 's')))
  t.teardown(() => server.close())
  await once(server, 'listening')
  const site = new TestSite(root)
  // More than the thread pool has threads: one that hangs would stop the rest.
  const answers = await Promise.all(Array.from({ length: 12 }, () => new TestSite(root).get('/pipe')))
  for (const answer of answers) t.equal(answer.status, 404)
  t.equal((await site.get('/s')).status, 404, 'a socket')
  t.equal((await new TestSite('/dev').get('/null')).status, 404, 'a device')
  const plain = await site.get('/x.css', ['Accept-Encoding', 'gzip'])
  t.equal(plain.body.toString(), 'x', 'a FIFO is no compressed sibling')
  await until('every file closed', () => openFilesBelow(root) === 0)
})

t.test(
  'a file that may not be read is not there',
  { skip: process.getuid?.() === 0 && 'root may read all' },
  async t => {
    const root = t.testdir({ 'a.css': 'a' })
    chmodSync(join(root, 'a.css'), 0)
    const answer = await new TestSite(root).get('/a.css')
    t.equal(answer.status, 404)
    t.equal(answer.record.detail, 'EACCES')
  },
)

t.test('without its root a route has no files, until the root is there', async t => {
  const root = join(t.testdir({}), 'later')
  const site = new TestSite(root)
  t.equal((await site.get('/a.css')).status, 404)
  mkdirSync(root)
  writeFileSync(join(root, 'a.css'), 'a')
  site.clock.pass(1000)
  t.equal((await site.get('/a.css')).status, 200)
  rmSync(root, { recursive: true })
  site.clock.pass(2000)
  t.equal((await site.get('/a.css')).status, 404)
})

t.test('only GET and HEAD are answered (RFC 9110 15.5.6)', async t => {
  const site = new TestSite(join(t.testdir(TREE), 'site'))
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'PROPFIND']) {
    const answer = site.start({ method, target: '/a.css' })
    t.equal(answer.status, 405, method)
    t.equal(answer.field('Allow'), 'GET, HEAD', method)
    t.equal(answer.head?.length, answer.body.length, method)
    t.equal(answer.record.end, 'method_not_allowed', method)
    t.ok(answer.complete)
  }
})
