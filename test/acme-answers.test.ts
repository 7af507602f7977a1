import t from 'tap'
import { acmeHosts, isPrivateName, whyNoCertificate } from '../lib/config/acme-hosts.ts'
import type { ListenerConfig, RouteConfig } from '../lib/config/model.ts'
import { ChallengeAnswers } from '../lib/route/challenge-answers.ts'
import { httpsRedirectOf } from '../lib/route/https-redirect.ts'
import { RouteHosts } from '../lib/route/route-hosts.ts'
import { SecuredHosts } from '../lib/route/secured-hosts.ts'
import { RecordingExchange } from './support/recording-exchange.ts'

// What data threads do about certificates: they answer challenges, and send plain http to https. And which
// hosts get any.

const NO_HOSTS = new RouteHosts([])
const PATH = '/.well-known/acme-challenge/'
const ROUTE: RouteConfig = {
  name: 'app',
  hosts: [],
  path: '/',
  action: {
    kind: 'proxy',
    upstream: 'app',
    priority: 'normal',
    canary: undefined,
    mirror: undefined,
    mount: undefined,
  },
  redirectHttps: undefined,
  hsts: undefined,
  errorPages: [],
  maintenance: undefined,
}

t.test('a challenge is answered with its key authorization, whatever the host (RFC 8555 8.3)', async t => {
  const answers = new ChallengeAnswers({ http: [['token-1', 'token-1.thumb']], alpn: [] })
  const taken = (target: string, method = 'GET') => {
    const exchange = new RecordingExchange({ target, method })
    return { taken: !answers.admits(exchange), status: exchange.status, body: exchange.body.toString() }
  }
  t.same(taken(`${PATH}token-1`), { taken: true, status: 200, body: 'token-1.thumb' })
  t.same(taken(`${PATH}token-1?x=1`), { taken: true, status: 200, body: 'token-1.thumb' })
  t.same(taken(`${PATH}token-1`, 'HEAD'), { taken: true, status: 200, body: '' })
  const left = { taken: false, status: 0, body: '' }
  for (const target of [
    `${PATH}token-2`,
    PATH,
    `${PATH}token-1/`,
    `${PATH}../x`,
    '/token-1',
    `${PATH}__proto__`,
  ])
    t.same(taken(target), left, target)
  t.same(taken(`${PATH}token-1`, 'POST'), left)
  const none = new ChallengeAnswers({ http: [], alpn: [] })
  t.ok(none.admits(new RecordingExchange({ target: `${PATH}token-1` })))
})

t.test('hosts with a certificate are sent to https unless their route says otherwise', async t => {
  const secured = new SecuredHosts()
  const parts = { hosts: NO_HOSTS, secured, healthPaths: ['/alive'] }
  const admitted = (target: string, route: Partial<RouteConfig> = {}) => {
    const exchange = new RecordingExchange({ target })
    exchange.attach({ answerDrained: () => undefined, clientGone: () => undefined })
    return httpsRedirectOf({ ...ROUTE, ...route }, parts)?.admits(exchange) ?? true
  }
  t.ok(admitted('/a'), 'no certificate yet')
  secured.set(['localhost'])
  t.notOk(admitted('/a'), 'from now on')
  t.ok(admitted('/alive'))
  t.notOk(admitted('/alive/'))
  t.ok(admitted(`${PATH}of-another`))
  t.notOk(admitted(`${PATH}../a`), 'dots lead out of it')
  t.ok(admitted('/a', { redirectHttps: false }))
  secured.set([])
  t.ok(admitted('/a'), 'its certificate has gone')
  t.notOk(admitted('/alive', { redirectHttps: true }), 'who writes it means all')
  t.equal(
    httpsRedirectOf(ROUTE, { hosts: NO_HOSTS, secured: undefined, healthPaths: [] }),
    undefined,
    'without ACME nobody pays',
  )
})

t.test(
  'names of routes get certificates where a listener asks for them; wildcards and addresses cannot',
  async t => {
    const listener = (kind: 'auto' | 'passthrough' | undefined) =>
      ({ tls: kind === undefined ? undefined : { kind } }) as ListenerConfig
    const routes = [
      { ...ROUTE, hosts: ['a.test', 'b.test'] },
      { ...ROUTE, hosts: ['b.test', '*.test'] },
    ]
    t.same(acmeHosts({ listeners: [listener(undefined), listener('auto')], routes }), [
      'a.test',
      'b.test',
      '*.test',
    ])
    t.same(acmeHosts({ listeners: [listener(undefined), listener('passthrough')], routes }), [])
    for (const host of ['*.example.com', '[::1]', '192.0.2.1', 'a_b.example.com'])
      t.type(whyNoCertificate(host), 'string', host)
    for (const host of ['example.com', 'xn--bcher-kva.example'])
      t.equal(whyNoCertificate(host), undefined, host)
    for (const host of ['localhost', 'app', 'nas.local', 'a.internal', 'b.home.arpa', 'site.test'])
      t.ok(isPrivateName(host), host)
    for (const host of ['example.com', 'test.com', 'local.net', 'internal.io'])
      t.notOk(isPrivateName(host), host)
  },
)
