import t from 'tap'
import type { Answer, Outcome } from '../lib/doctor/answer.ts'
import { checkAssets } from '../lib/doctor/asset-check.ts'
import { cookieHeader, readCookie } from '../lib/doctor/cookie.ts'
import { checkCookies } from '../lib/doctor/cookie-check.ts'
import { checkCsrf } from '../lib/doctor/csrf-check.ts'
import { checkDebug } from '../lib/doctor/debug-check.ts'
import { probePlans } from '../lib/doctor/doctor.ts'
import { checkFields, checkHsts, checkLeaks } from '../lib/doctor/field-check.ts'
import { askedHosts, checkHosts, checkProbes } from '../lib/doctor/host-check.ts'
import { checkKeepAlive } from '../lib/doctor/keep-alive-check.ts'
import { checkLinks } from '../lib/doctor/link-check.ts'
import { namesOf } from '../lib/doctor/names.ts'
import { assetsIn, csrfTokenIn } from '../lib/doctor/page.ts'
import { checkReach } from '../lib/doctor/reach-check.ts'
import { checkPlain, checkRedirects } from '../lib/doctor/redirect-check.ts'
import { serverAdvice } from '../lib/doctor/scheme-advice.ts'
import { checkSpoofing } from '../lib/doctor/spoof-check.ts'
import { checkStalls } from '../lib/doctor/stall-check.ts'
import { tryStalls } from '../lib/doctor/stall-trial.ts'
import type { CsrfTest, CsrfTrial, Probe, Spoof } from '../lib/doctor/survey.ts'
import { checkTrust } from '../lib/doctor/trust-check.ts'
import {
  answer,
  CONFIG,
  type Fields,
  failed,
  moved,
  page,
  SITE,
  saidBy,
  snapshotOf,
} from './support/doctor-answers.ts'
import { RecordingUpstream } from './support/recording-upstream.ts'

const NAMES = namesOf(undefined)

t.test('reachable: what does not answer, what answers 5xx, and a certificate that is not valid', async t => {
  t.same(saidBy(checkReach([page()], undefined)), [])
  t.match(saidBy(checkReach([failed(SITE, 'ECONNREFUSED')], undefined)), [
    /^problem: no process listens there/,
  ])
  t.match(saidBy(checkReach([answer(SITE, 502)], undefined)), [/upstreams\.NAME\.endpoints/])
  t.match(saidBy(checkReach([answer(SITE, 504)], undefined)), [/upstreams\.NAME\.timeouts\.response/])
  t.match(saidBy(checkReach([page()], 'certificate has expired')), [/^problem: install a certificate/])
  const lost = checkReach([moved('http://x/', SITE), failed(SITE, 'ECONNREFUSED')], undefined)
  t.match(lost[0]?.where, 'redirected from http://x/')
})

t.test('redirects: a loop over https is a scheme that the app does not see', async t => {
  const chain = [moved(SITE, SITE)]
  t.match(saidBy(checkRedirects(chain, [], NAMES)), [
    /SECURE_PROXY_SSL_HEADER = \("HTTP_X_FORWARDED_PROTO", "https"\).*listeners\.NAME\.trusted_proxies/,
  ])
  const spoofs: Spoof[] = [{ claimed: 'https', honest: moved(SITE, SITE), spoofed: page() }]
  t.match(saidBy(checkRedirects(chain, spoofs, NAMES)), [/must send X-Forwarded-Proto: https/])
  const listener = CONFIG().replace('8080"', '8080"\ntrusted_proxies = ["10.0.0.1"]')
  const trusting = namesOf(await snapshotOf(t, listener))
  t.match(saidBy(checkRedirects(chain, [], trusting)), [/^problem: Django: SECURE_PROXY_SSL_HEADER/])
  t.notMatch(saidBy(checkRedirects(chain, [], trusting))[0], 'trusted_proxies')
})

t.test('redirects: to and fro, downgrades, lost ports, and plain http', async t => {
  const plain = 'http://www.example.com/'
  const to = (chain: readonly Outcome[]) => saidBy(checkRedirects(chain, [], NAMES))
  t.match(to([moved(plain, SITE), moved(SITE, plain)]), [
    /SECURE_SSL_REDIRECT = True, and remove the redirect to http/,
  ])
  t.match(to([moved(SITE, '/a'), moved(`${SITE}a`, '/')]), [/SECURE_PROXY_SSL_HEADER/])
  t.match(to([moved(plain, '/a'), moved(`${plain}a`, '/')]), [/APPEND_SLASH/])
  t.match(to([moved(SITE, `${plain}a`), answer(`${plain}a`)]), [/SECURE_PROXY_SSL_HEADER/])
  const ports = [moved('https://example.com:1337/', 'https://example.com/a'), answer('https://example.com/a')]
  t.match(to(ports), [/Host field with its port/])
  t.match(to([answer(plain)]), [/^hint: .*routes\.NAME\.redirect_https = true .*SECURE_SSL_REDIRECT = True/])
  t.same(to([moved(plain, SITE), page()]), [])
  t.match(to([moved(SITE, 'https://login.example.net/')]), [
    /^hint: specify the URL of a page that the site serves/,
  ])
})

t.test('redirects: the plain twin of an https site sends its clients on', async t => {
  const plain = 'http://www.example.com/'
  const to = (outcome: Outcome) => saidBy(checkPlain(outcome, NAMES))
  t.same(to(moved(plain, SITE)), [])
  t.match(to(answer(plain)), [/^hint: .*redirect_https = true/])
  t.same(to(failed(plain, 'ECONNREFUSED')), [], 'nobody needs to listen there')
  t.same(to(answer(plain, 404)), [])
})

t.test('hosts: a name of its own that is refused, and any name that is not', async t => {
  const to = (own: Answer, stranger: Outcome) => saidBy(checkHosts(own, stranger))
  t.same(to(answer(SITE, 400), answer(SITE, 400)), ['problem: Django: ALLOWED_HOSTS = ["www.example.com"]'])
  t.match(to(answer(SITE, 400, {}, 'plain HTTP request was sent to HTTPS port'), page()), [/use https/])
  t.same(to(page(), answer(SITE, 400)), [])
  t.same(to(page(), page()), ['hint: Django: ALLOWED_HOSTS = ["www.example.com"]'])
  t.match(to(page(), page('<a href="https://doctor.invalid/reset">')), [/^problem/], 'it comes back in links')
})

t.test('hosts: the advice may be copied: the probes and all routes are in it', async t => {
  const plan = { path: '/healthz', host: 'localhost', headers: {}, endpoint: undefined }
  const url = 'http://127.0.0.1:8000/healthz'
  const probe = { plan, host: 'localhost', own: answer(url), probed: answer(url, 400) }
  const names = namesOf(await snapshotOf(t, CONFIG()))
  const asked = askedHosts([probe], names)
  t.same(asked, ['.example.org', 'www.example.com', 'localhost'])
  const site = 'http://127.0.0.1:8080/'
  const advice = 'Django: ALLOWED_HOSTS = ["127.0.0.1", ".example.org", "www.example.com", "localhost"]'
  for (const [status, level] of [
    [200, 'hint'],
    [400, 'problem'],
  ] as const)
    t.same(saidBy(checkHosts(answer(site, status), answer(site, status), asked)), [`${level}: ${advice}`])
  const guess = { ...probe, plan: { ...plan, host: undefined }, host: '127.0.0.1:8080' }
  t.same(askedHosts([guess], NAMES), [], 'what no configuration says is only a guess')
})

t.test('scheme: the setting of the server that runs the app is named', async t => {
  const advised = async (upstream: string) => serverAdvice(await snapshotOf(t, CONFIG(upstream)))
  t.match(serverAdvice(undefined), /^uvicorn and gunicorn: --forwarded-allow-ips \(or FORWARDED_ALLOW_IPS\)/)
  t.match(await advised('server = "uvicorn"'), /^uvicorn: --forwarded-allow-ips/)
  t.match(await advised('server = "gunicorn"'), /^gunicorn: --forwarded-allow-ips/)
  t.match(await advised('server = "daphne"'), /^daphne: --proxy-headers$/)
  const run = CONFIG().replace(/endpoints = .*/, 'run = { command = ["/venv/bin/gunicorn", "{port}"] }')
  t.match(serverAdvice(await snapshotOf(t, run)), /^gunicorn: /)
})

t.test('links: pages over https must not lead back to plain http', async t => {
  const to = (text: string, url = SITE) =>
    saidBy(checkLinks([answer(url, 200, { 'content-type': 'text/html' }, text)], NAMES))
  t.match(to('<script src="http://www.example.com/a.js">'), [
    /^problem: Django: SECURE_PROXY_SSL_HEADER.*FORWARDED_ALLOW_IPS/,
  ])
  t.match(to("<form action='http://www.example.com:8080/login'>"), [/^problem/])
  for (const text of [
    '<a href="http://other.example/">',
    '<a href="https://www.example.com/">',
    '<a href="/x">',
    'http://www.example.com/',
  ])
    t.same(to(text), [], text)
  t.same(to('<a href="http://www.example.com/">', 'http://www.example.com/'), [])
})

t.test('probes: the Host, the path and the scheme of health checks', async t => {
  const endpoint = { upstream: 'app', origin: 'http://127.0.0.1:8000', socket: undefined, expect: [200] }
  const plan = { endpoint, path: '/healthz', host: '10.0.0.7:8000', headers: {} }
  const url = 'http://127.0.0.1:8000/healthz'
  const to = (probed: Outcome, more: Partial<Probe> = {}) => {
    return saidBy(
      checkProbes([{ plan, host: '10.0.0.7:8000', own: answer(url), probed, ...more }], SITE, NAMES),
    )
  }
  t.same(to(answer(url)), [])
  t.same(to(answer(url, 400)), [
    'problem: Causeway: upstreams.app.health.host = "www.example.com" (or Django: add "10.0.0.7" to ALLOWED_HOSTS)',
  ])
  t.same(to(answer(url, 400), { own: answer(url, 400) }), [
    'problem: Django: ALLOWED_HOSTS = ["www.example.com", "10.0.0.7"]',
  ])
  t.match(to(answer(url, 404)), [/upstreams\.app\.health\.path/])
  const https = moved(url, 'https://10.0.0.7/healthz')
  t.same(to(https), ['problem: Causeway: upstreams.app.health.headers = { X-Forwarded-Proto = "https" }'])
  const says = { plan: { ...plan, headers: { 'X-Forwarded-Proto': 'https' } } }
  t.match(to(https, says), [/SECURE_PROXY_SSL_HEADER/], 'it is sent already')
  t.match(to(answer(url, 204)), [/upstreams\.app\.health\.expect/])
  t.match(to(failed(url, 'ECONNREFUSED')), [/^hint: .*upstreams\.app\.endpoints/])
  const guess = { plan: { ...plan, endpoint: undefined } }
  t.match(
    to(answer(url, 400), guess),
    [/^hint: Causeway: upstreams\.NAME\.health\.host/],
    'nobody said what probes',
  )
})

t.test('probes are asked as the configuration says, by the first plain host of a route', async t => {
  const [plan] = probePlans(await snapshotOf(t, CONFIG('health = { path = "/up" }')))
  t.match(plan, {
    path: '/up',
    host: 'www.example.com',
    endpoint: { upstream: 'app', origin: 'http://127.0.0.1:8000' },
  })
  const named = CONFIG('health = { host = "probe.example" }').replace(
    '"127.0.0.1:8000"',
    '"unix:/run/a.sock"',
  )
  t.match(probePlans(await snapshotOf(t, named)), [
    { host: 'probe.example', endpoint: { socket: '/run/a.sock' } },
  ])
  t.same(probePlans(await snapshotOf(t, CONFIG())), [])
  const packets = CONFIG('health = { path = "/up" }').replace('["127', '["uwsgi://127')
  t.match(probePlans(await snapshotOf(t, packets)), [{ path: '/up', endpoint: undefined }])
})

t.test('debug: pages that show more than they should', async t => {
  const to = (text: string) => saidBy(checkDebug([answer(SITE, 404, {}, text)]))
  t.same(to('you have <code>DEBUG = True</code> in your settings'), ['problem: Django: DEBUG = False'])
  t.same(to('<a href="/ref/settings/#debug" target="_blank">DEBUG=True</a>'), [
    'problem: Django: DEBUG = False',
  ])
  t.match(to('<title>KeyError // Werkzeug Debugger</title>'), [/DEBUG = False/])
  t.match(to('<pre>Traceback (most recent call last):'), [/DEBUG = False/])
  t.same(to('<h1>Not Found</h1>'), [])
})

t.test('cookies: Secure, HttpOnly and SameSite, by the name of the setting', async t => {
  const to = (line: string, url = SITE) => saidBy(checkCookies([answer(url, 200, { 'set-cookie': line })]))
  t.same(to('csrftoken=x; Secure; SameSite=Lax'), [], 'scripts may read this one')
  t.same(to('sessionid=x; HttpOnly; SameSite=Lax'), ['problem: Django: SESSION_COOKIE_SECURE = True'])
  t.same(to('csrftoken=x; SameSite=Strict'), ['problem: Django: CSRF_COOKIE_SECURE = True'])
  t.same(to('sessionid=x; Secure; SameSite=Lax'), ['problem: Django: SESSION_COOKIE_HTTPONLY = True'])
  t.same(to('sessionid=x; Secure; HttpOnly'), ['hint: Django: SESSION_COOKIE_SAMESITE = "Lax"'])
  t.same(to('csrftoken=x; Secure; SameSite=None'), ['hint: Django: CSRF_COOKIE_SAMESITE = "Lax"'])
  t.match(to('theme=dark'), [/^hint: in the app/])
  t.match(to('csrftoken=x; Secure; SameSite=Lax', 'http://www.example.com/'), [
    /^problem: .*CSRF_COOKIE_SECURE = False/,
  ])
  t.same(to('csrftoken=x; Secure; SameSite=Lax', 'http://localhost:8000/'), [], 'browsers take it there')
})

t.test('a cookie is taken apart and sent back', async t => {
  t.same(readCookie('a=b=c; Path=/; SECURE; SameSite="Lax"; HttpOnly').value, 'b=c')
  t.match(readCookie('a=b; SECURE; HttpOnly; samesite=Lax'), {
    secure: true,
    httpOnly: true,
    sameSite: 'lax',
  })
  t.equal(cookieHeader(['a=1; Path=/', 'b=2; Secure']), 'a=1; b=2')
})

const FORM = '<form><input type="hidden" name="csrfmiddlewaretoken" value="t0ken"></form>'

t.test('csrf: the origin that is taken shows what is wrong', async t => {
  const url = 'https://www.example.com:1337/form/'
  const trial = (from: CsrfTrial['from'], origin: string, status: number) => ({
    from,
    origin,
    outcome: answer(url, status),
  })
  const own = (status: number) => trial('own', 'https://www.example.com:1337', status)
  const to = (...trials: CsrfTrial[]) => {
    const test: CsrfTest = { path: '/form/', form: answer(url, 200, {}, FORM), trials }
    return saidBy(checkCsrf(test, [], NAMES))
  }
  const stranger = (status: number) => trial('stranger', 'https://doctor.invalid', status)
  t.same(to(own(200), stranger(403)), [])
  t.match(to(own(200), stranger(200)), [/CsrfViewMiddleware/])
  t.same(to(own(403), stranger(403)), [
    'problem: Django: CSRF_TRUSTED_ORIGINS = ["https://www.example.com:1337"]',
  ])
  t.match(to(own(403), trial('other-scheme', 'http://www.example.com:1337', 200)), [
    /SECURE_PROXY_SSL_HEADER/,
  ])
  t.match(to(own(403), trial('no-port', 'https://www.example.com', 200)), [
    /Host field with its port.*CSRF_TRUSTED_ORIGINS/,
  ])
  t.match(to(), [/--post PATH/], 'a page without a form')
})

t.test('csrf: nothing is sent unless asked for, and the doctor says so', async t => {
  t.match(saidBy(checkCsrf(undefined, [page(FORM)], NAMES)), [/^hint: --post \/ submits this form/])
  t.same(checkCsrf(undefined, [page()], NAMES), [])
})

t.test('hsts: missing, short, and over plain http', async t => {
  const to = (value: string, url = SITE) => {
    const it = answer(url, 200, value === '' ? {} : { 'strict-transport-security': value })
    return saidBy(checkHsts([it], it, NAMES))
  }
  t.same(to('max-age=31536000; includeSubDomains'), [])
  t.match(to(''), [/^hint: Django: SECURE_HSTS_SECONDS = 31536000 .*routes\.NAME\.hsts = "max-age=31536000"/])
  t.match(to('max-age=3600'), [/SECURE_HSTS_SECONDS/])
  t.match(to('includeSubDomains'), [/SECURE_HSTS_SECONDS/])
  t.match(to('max-age=31536000', 'http://www.example.com/'), [/over https only/])
  t.same(to('', 'http://www.example.com/'), [])
})

t.test('fields that tell browsers what not to do', async t => {
  const good = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
  }
  const to = (fields: Fields) => saidBy(checkFields(page('', fields)))
  t.same(to(good), [])
  t.same(to({ ...good, 'x-content-type-options': 'no' }), [
    'hint: Django: SECURE_CONTENT_TYPE_NOSNIFF = True',
  ])
  t.match(to({ ...good, 'x-frame-options': 'allowall' }), [/X_FRAME_OPTIONS = "DENY"/])
  t.same(to({ ...good, 'referrer-policy': 'unsafe-url' }), [
    'hint: Django: SECURE_REFERRER_POLICY = "same-origin"',
  ])
  t.equal(to({}).length, 3)
  const policy = { 'content-security-policy': "frame-ancestors 'none'" }
  t.equal(to(policy).length, 2, 'a policy says it, too')
  t.same(checkFields(answer(SITE, 200, { 'content-type': 'application/json' })), [], 'no page')
})

t.test('leaks: a version of what runs there', async t => {
  t.match(saidBy(checkLeaks(page('', { server: 'nginx/1.22.1' }))), ['hint: nginx: server_tokens off'])
  t.match(saidBy(checkLeaks(page('', { server: 'WSGIServer/0.2 CPython/3.11.2' }))), [/runserver/])
  t.match(saidBy(checkLeaks(page('', { 'x-powered-by': 'PHP/8.1' }))), [/remove the field x-powered-by/])
  t.same(saidBy(checkLeaks(page('', { server: 'gunicorn' }))), [])
})

t.test('static: missing, of the wrong type, not kept, not compressed', async t => {
  const css = `${SITE}static/site.css`
  const good = { 'content-type': 'text/css; charset=utf-8', etag: '"1"', 'content-encoding': 'br' }
  const to = (asset: Outcome, names = NAMES) => saidBy(checkAssets([asset], names))
  t.same(to(answer(css, 200, good)), [])
  t.match(to(answer(css, 404)), [/\[routes\.static\] path = "\/static\/".*collectstatic/])
  const rest = '[routes.files]\npath = "/static/"\nstatic = { root = "/srv/static" }'
  const names = namesOf(await snapshotOf(t, CONFIG('', rest)))
  t.match(to(answer(css, 404), names), [
    /collectstatic.*STATIC_ROOT = Causeway: routes\.files\.static\.root = "\/srv\/static"/,
  ])
  t.match(to(answer(css, 200, { ...good, 'content-type': 'text/html' })), [/^problem/])
  t.match(
    to(answer(`${SITE}static/a.0123456789ab.js`, 200, { ...good, 'content-type': 'text/javascript' })),
    [/routes\.NAME\.static\.manifest = true/],
  )
  t.match(to(answer(css, 200, { 'content-type': 'text/css' })), [/routes\.NAME\.static\), not from the app/])
  const plain = answer(css, 200, { 'content-type': 'text/css', etag: '"1"' }, 'a'.repeat(2000))
  t.match(to(plain, names), [/routes\.files\.static\.compress = true/])
  t.equal(
    checkAssets([answer(css, 404), answer(`${SITE}static/b.css`, 404)], NAMES).length,
    1,
    'one of each kind',
  )
})

t.test('the style sheets, scripts and token of a page', async t => {
  const html = `<LINK rel='stylesheet' href="/static/a.css?v=1&amp;w=2"><link rel="icon" href="/i.png">
    <script src=b.js></script><script>var src="no"</script><script src="https://cdn.example/c.js"></script>
    <link href="/static/a.css?v=1&amp;w=2" rel="alternate stylesheet">`
  t.same(assetsIn(html, `${SITE}shop/`), [`${SITE}static/a.css?v=1&w=2`, `${SITE}shop/b.js`])
  t.equal(csrfTokenIn(FORM), 't0ken')
  t.equal(csrfTokenIn('<form></form>'), undefined)
})

t.test('forwarded: what a client claims is seen by what changes', async t => {
  const to = (honest: Answer, spoofed: Answer) =>
    saidBy(checkSpoofing([{ claimed: 'http', honest, spoofed }], NAMES))
  const hsts = page('', { 'strict-transport-security': 'max-age=1' })
  t.same(to(page(), page()), [])
  t.match(to(page(), page('https://doctor.invalid/')), [/USE_X_FORWARDED_HOST = False/])
  t.match(to(page(), moved(SITE, SITE)), [/^problem: Causeway: listeners\.NAME\.trusted_proxies/])
  t.match(to(hsts, page()), [/trusted_proxies/])
  t.same(to(hsts, answer(SITE, 503)), [], 'the app has failed in between')
  const open = CONFIG().replace('8080"', '8080"\ntrusted_proxies = ["0.0.0.0/0"]')
  t.match(saidBy(checkTrust(await snapshotOf(t, open))), [/listeners\.web\.trusted_proxies/])
  t.same(saidBy(checkTrust(await snapshotOf(t, CONFIG()))), [])
})

t.test('a connection that is closed after each answer', async t => {
  t.match(saidBy(checkKeepAlive(page())), [/timeouts\.keepalive/])
  t.same(saidBy(checkKeepAlive({ ...page(), reused: true })), [])
})

t.test(
  'kept connections: an app that answers 40 ms late on used ones alone is named with its remedy',
  async t => {
    const answers = (fresh: number, used: readonly number[]) => [
      { used: false, pauseMs: fresh },
      ...used.map(pauseMs => ({ used: true, pauseMs })),
    ]
    const of = (fresh: number, used: readonly number[]) =>
      checkStalls([{ upstream: 'app', origin: 'http://127.0.0.1:8000', answers: answers(fresh, used) }]).map(
        ({ level, what, fix }) => `${level}: ${what}; ${fix}`,
      )
    t.match(of(0, [41, 42, 44, 0]), [/^hint: 3 of 4 responses .* were 40 ms late.*uvloop/])
    t.match(of(41, [41, 42, 44]), [/^ok/], 'a stream of events')
    t.match(of(0, [0, 41, 0, 0]), [/^ok/])
    t.same(of(0, []), [], 'it keeps no connection')
  },
)

t.test('kept connections are looked at where they lead: ten questions on one', async t => {
  const app = await RecordingUpstream.start(t)
  const endpoint = {
    upstream: 'app',
    origin: `http://127.0.0.1:${app.port}`,
    socket: undefined,
    expect: [200],
  }
  const plan = {
    endpoint,
    path: '/healthz',
    host: 'www.example.com',
    headers: { 'x-forwarded-proto': 'https' },
  }
  const [trial] = await tryStalls([plan, { ...plan, endpoint: undefined }])
  t.same(
    trial?.answers.map(({ used }) => used),
    [false, ...Array(9).fill(true)],
  )
  t.equal(app.connections, 1)
  t.equal(app.requests[0]?.field('host'), 'www.example.com')
  await app.stop()
  t.same((await tryStalls([plan]))[0]?.answers, [], 'one that does not answer says nothing')
})
