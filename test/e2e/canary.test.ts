import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, post } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const usual = await RecordingUpstream.start(t)
const trial = await RecordingUpstream.start(t)
for (const path of ['/', '/other/', '/form']) {
  usual.on(path, ok('usual'))
  trial.on(path, ok('trial'))
}
const config = (share: string) =>
  configText({
    endpoints: [usual.port],
    listener: 'trusted_proxies = ["127.0.0.0/8"]',
    route: `canary = { upstream = "trial", share = "${share}", header = "X-Try=new", cookie = "try=new" }`,
    more: `[upstreams.trial]
endpoints = ["127.0.0.1:${trial.port}"]
[routes.other]
path = "/other/"
upstream = "app"
canary = { upstream = "trial", share = "${share}" }`,
  })
const causeway = await startCauseway(t, { config: config('30%') })
const port = causeway.port()

const from = (ip: string, fields = '') => `X-Forwarded-For: ${ip}\r\n${fields}`
const sideOf = async (ip: string, path = '/', fields = '') =>
  (await ask(port, get(path, from(ip, fields)))).body.toString()
const CLIENTS = Array.from({ length: 200 }, (_, n) => `10.${n >> 4}.7.${n & 15}`)

t.test('a share of the clients goes to the upstream on trial, and each stays on its side', async t => {
  const sides = await Promise.all(CLIENTS.map(ip => sideOf(ip)))
  const share = sides.filter(side => side === 'trial').length / CLIENTS.length
  t.ok(share > 0.2 && share < 0.4, String(share))
  t.same(await Promise.all(CLIENTS.map(ip => sideOf(ip))), sides)
  const others = await Promise.all(CLIENTS.map(ip => sideOf(ip, '/other/')))
  t.notSame(others, sides, 'another route has other clients')
})

t.test('marked requests all go, bodies and all', async t => {
  for (const ip of CLIENTS.slice(0, 20)) {
    t.equal(await sideOf(ip, '/', 'X-Try: new\r\n'), 'trial')
    t.equal(await sideOf(ip, '/', 'Cookie: a=b; try=new\r\n'), 'trial')
  }
  const answer = await ask(port, post('/form', 'a=b', from('10.0.7.1', 'X-Try: new\r\n')))
  t.equal(answer.body.toString(), 'trial')
  t.equal(trial.seen('/form').at(-1)?.body.toString(), 'a=b')
})

t.test('log and metrics say which upstream it was', async t => {
  await ask(port, get('/marked', from('10.0.7.1', 'X-Try: new\r\n')))
  t.match(await causeway.accessOf('/marked'), { route: 'app', upstream: 'trial' })
  const metrics = await until('the count', async () => {
    const now = await causeway.metrics()
    return now.sum('causeway_upstream_requests_total', { upstream: 'trial' }) > 0 ? now : undefined
  })
  t.ok(metrics.sum('causeway_upstream_requests_total', { upstream: 'app' }) > 0)
})

t.test('a reload moves the share; nobody who was there leaves', async t => {
  const before = await Promise.all(CLIENTS.map(ip => sideOf(ip)))
  t.equal(await causeway.reload(config('60%')), 'success')
  const after = await Promise.all(CLIENTS.map(ip => sideOf(ip)))
  t.ok(before.every((side, n) => side === 'usual' || after[n] === 'trial'))
  t.ok(after.filter(side => side === 'trial').length > before.filter(side => side === 'trial').length)
  t.equal(await causeway.reload(config('0%')), 'success')
  t.notOk((await Promise.all(CLIENTS.map(ip => sideOf(ip)))).includes('trial'))
  t.equal(await sideOf('10.0.7.1', '/', 'X-Try: new\r\n'), 'trial', 'but who is marked')
})

t.test('nothing else has happened', async t => {
  await assertClean(t, causeway, [usual, trial])
})
