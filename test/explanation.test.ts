import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { explain, readQuestion } from '../lib/server/admin/explanation.ts'

const SITE = `
[listeners.web]
address = "127.0.0.1:8080"
[upstreams.app]
endpoints = ["127.0.0.1:8000", "unix:/run/app.sock"]
max_inflight = 4
[upstreams.next]
endpoints = ["app-next:8000"]
[routes.static]
path = "/static/"
static = { root = "/srv/site" }
[routes.media]
path = "/protected/"
static = { root = "/srv/media", internal = true }
[routes.shop]
hosts = ["shop.example.com", "*.shop.example.com"]
path = "/shop/"
strip_prefix = "/shop"
script_name = "/shop"
upstream = "app"
priority = "high"
canary = { upstream = "next", share = "2.5%" }
redirect_https = true
[routes.app]
upstream = "app"
`

async function asked(t: Test, method: string, url: string, site = SITE) {
  const loaded = await loadConfig(join(t.testdir({ 'c.toml': site }), 'c.toml'), {})
  const question = readQuestion(method, url)
  if (!loaded.ok || question === undefined) throw new Error('the test itself is wrong')
  return explain(loaded.snapshot, question)
}

t.test('a request to an app: route, rewriting, canary, queue, what may be repeated', async t => {
  const { route, steps, others } = await asked(t, 'POST', 'http://shop.example.com:8080/shop/cart?x=1')
  t.equal(route, 'shop')
  const text = steps.join('\n')
  for (const part of [
    /^listener web at 127\.0\.0\.1:8080$/m,
    /redirected to https/,
    /receives the path \/cart/,
    /mount point \/shop/,
    /2\.5 % of the clients go to upstream next/,
    /upstream app, p2c over 127\.0\.0\.1:8000, unix:\/run\/app\.sock/,
    /at most 4 requests at a time per endpoint; queued requests wait for at most 10s, priority high/,
    /POST is sent to another endpoint only if the first one was never reached/,
  ]) {
    t.match(text, part)
  }
  t.same(
    others.map(({ route: name, why }) => `${name}: ${why}`),
    [
      'static: its path is /static/',
      'media: its path is /protected/',
      'app: route shop matches the host explicitly',
    ],
  )
})

t.test('a file, and what is none', async t => {
  t.match((await asked(t, 'GET', '/static/css/a.css')).steps.at(-1), 'file /srv/site/css/a.css')
  t.match((await asked(t, 'GET', '/static/')).steps.at(-1), 'with index.html')
  t.match((await asked(t, 'POST', '/static/css/a.css')).steps.at(-1), /^405/)
  t.match((await asked(t, 'GET', '/static/.env')).steps.at(-1), /^404/)
  t.match((await asked(t, 'GET', '/protected/a.pdf')).steps.at(-1), /^404.*internal/)
})

t.test('host and path count as the data threads read them', async t => {
  for (const path of ['/a/..//static/x.css', '/%73tatic/x.css', '/static%2fx.css', '/static/../x']) {
    const { route, steps } = await asked(t, 'GET', path)
    t.equal(route, null, path)
    t.match(steps, [
      /^400: the path is ambiguous: servers interpret it in different ways.* \/(static%2f)?(static\/)?x/,
    ])
  }
  t.match((await asked(t, 'GET', '/%zz')).steps, [/^400/])
  t.match((await asked(t, 'GET', '/a%00')).steps, [/^400/])
  t.equal((await asked(t, 'GET', 'http://SHOP.example.com./shop/')).route, 'shop')
  t.equal((await asked(t, 'GET', 'http://shop.example.com/shop/%E9')).route, 'shop', 'no UTF-8')
  t.match((await asked(t, 'GET', 'http://shop.example.com/shop/é')).steps.join(), 'receives the path /%c3%a9')
  const { others } = await asked(t, 'GET', 'https://elsewhere.example/shop/')
  t.match(others.find(({ route }) => route === 'shop')?.why, /hosts are shop\.example\.com/)
})

t.test('a listener at another port says so', async t => {
  t.match((await asked(t, 'GET', 'https://shop.example.com/')).steps[0], /if port 443 is forwarded there/)
})

t.test('what is no method and no URL is not read', async t => {
  for (const [method, url] of [
    ['GET', 'www.example.com'],
    ['GET', ''],
    ['G T', '/'],
    ['', '/'],
    ['GET', 'ftp://x/'],
  ]) {
    t.equal(readQuestion(method ?? '', url ?? ''), undefined, `${method} ${url}`)
  }
})

t.test(
  'a host that has its certificate by ACME is sent to https by itself, unless its route says no',
  async t => {
    const auto = `${SITE.replace('redirect_https = true', '')}[listeners.tls]\naddress = "127.0.0.1:8443"\ntls = "auto"\n`
    const steps = async (url: string, site: string) => (await asked(t, 'GET', url, site)).steps.join('\n')
    t.match(
      await steps('http://shop.example.com/shop/', auto),
      /redirected to https once the host has a certificate/,
    )
    t.notMatch(await steps('https://shop.example.com/shop/', auto), /redirected/)
    t.notMatch(await steps('http://a.shop.example.com/shop/', auto), /redirected/, 'a wildcard has none')
    t.notMatch(await steps('http://other.example.com/', auto), /redirected/)
    const off = auto.replace('priority = "high"', 'redirect_https = false')
    t.notMatch(await steps('http://shop.example.com/shop/', off), /redirected/)
  },
)
