import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { Http2Client } from '../support/http2-client.ts'
import { ask, fieldOf, get } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { RecordingUwsgi } from '../support/recording-uwsgi.ts'

t.test('no spelling of a path gets past the redirect to https', async t => {
  const app = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, {
    config: configText({ endpoints: [app.port], route: 'redirect_https = true' }),
  })
  for (const path of [
    '/.well-known/acme-challenge/../../login',
    '/.well-known/acme-challenge/%2e%2e/%2e%2e/login',
    '/.well-known/acme-challenge/..',
    '//login',
    '/login/.well-known/acme-challenge/token',
  ]) {
    const answer = await ask(causeway.port(), get(path))
    t.equal(answer.status, 301, path)
    t.equal(fieldOf(answer, 'location'), `https://example.test${path}`)
  }
  t.equal(app.requests.length, 0, 'the app hears nothing of it')
  t.equal((await ask(causeway.port(), get('/.well-known/acme-challenge/token'))).status, 200)
  await assertClean(t, causeway, [app])
})

/** Paths that some reader takes for one below `/admin/`, or for one beside it. */
const TWO_READINGS = [
  '/admin/../x',
  '/admin/%2e%2e/x',
  '/admin//../x',
  '/admin%2f..%2fx',
  '/admin%2f',
  '/admin%2Flogin',
  '/%2fadmin/',
  '/x%2f..%2fadmin/',
  '/x/..;/admin/',
  '/admin;v=1/x',
  '/%61dmin/',
  '//host/admin/',
  '//admin/',
  '/x/%252e%252e/admin/',
  '/x%5c..%5cadmin%5c',
  '/x%c0%af..%c0%afadmin%c0%af',
]
/** With the status that all readers agree on. */
const ONE_READING = [
  ['/admin/a%2fb', 503],
  ['/admin/./x/../y', 503],
  ['/files/a%2fb', 200],
  ['/files/../x', 200],
  ['/files//x', 200],
  ['/caf%E9', 200],
  ['/caf%C3%A9/100%25', 200],
] as const

const CLOSED = '[routes.admin]\npath = "/admin/"\nupstream = "app"\nmaintenance = {}\n'

t.test('a path that servers read in two ways leads past no route, by HTTP/1 or by HTTP/2', async t => {
  const app = await RecordingUpstream.start(t)
  const config = configText({ endpoints: [app.port], listener: 'h2c = true', more: CLOSED })
  const causeway = await startCauseway(t, { config })
  const port = causeway.port()
  const client = new Http2Client(port)
  const byHttp2 = async (path: string) => (await client.get(path)).status
  for (const path of TWO_READINGS) {
    t.equal((await ask(port, get(path))).status, 400, path)
    t.equal((await ask(port, get(`http://example.test${path}`))).status, 400, `absolute: ${path}`)
    t.equal(await byHttp2(path), 400, `HTTP/2: ${path}`)
  }
  t.equal(app.requests.length, 0, 'the app hears nothing of it')
  for (const [path, status] of ONE_READING) {
    t.equal((await ask(port, get(path))).status, status, path)
    t.equal(await byHttp2(path), status, `HTTP/2: ${path}`)
    if (status === 200)
      t.same(
        app.requests.splice(0).map(request => request.target),
        [path, path],
        'as it came',
      )
  }
  const refused = await causeway.accessOf('/admin/../x')
  t.match(refused, { status: 400, end: 'bad_request', detail: 'path-readings' })
  client.destroy()
  await assertClean(t, causeway, [app])
})

t.test(
  'nor does it by uwsgi, nor into or out of a mount, a folder of files, or past redirect and canary',
  async t => {
    const app = await RecordingUwsgi.start(t)
    const files = t.testdir({ 'a.txt': 'a file' })
    const more = `
[upstreams.trial]
endpoints = ["uwsgi://127.0.0.1:${app.port}"]
${CLOSED}
[routes.mounted]
path = "/shop/"
strip_prefix = "/shop"
script_name = "/shop"
canary = { upstream = "trial", share = "50%" }
upstream = "app"
[routes.files]
path = "/files/"
static = { root = "${files}" }
[routes.secure]
path = "/secure/"
redirect_https = true
upstream = "app"`
    const causeway = await startCauseway(t, {
      config: configText({ endpoints: [`uwsgi://127.0.0.1:${app.port}`], more }),
    })
    const status = async (path: string) => (await ask(causeway.port(), get(path))).status
    for (const path of TWO_READINGS) {
      for (const prefix of ['admin', 'shop', 'files', 'secure'])
        t.equal(await status(path.replace('admin', prefix)), 400, path.replace('admin', prefix))
    }
    t.equal(app.lines.length, 0, 'the app hears nothing of it')
    t.equal(await status('/files/a.txt'), 200)
    t.equal(await status('/files/x/../a.txt'), 404, 'files have no other names')
    t.equal(await status('/secure/x/../y'), 301)
    await assertClean(t, causeway)
  },
)

t.test('an app that hands over a file by a path with two readings hands over nothing', async t => {
  const app = await RecordingUpstream.start(t)
  const folder = t.testdir({ 'a.txt': 'a file' })
  const more = `[routes.files]\npath = "/files/"\nstatic = { root = "${folder}", internal = true }`
  for (const [path, handed] of [
    ['/good', '/files/a.txt'],
    ['/dots', '/x/../files/a.txt'],
    ['/letter', '/%66iles/a.txt'],
    ['/slash', '/files%2fa.txt'],
  ]) {
    app.on(`${path}`, ok('', `X-Accel-Redirect: ${handed}\r\n`))
  }
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port], more }) })
  const status = async (path: string) => (await ask(causeway.port(), get(path))).status
  t.equal(await status('/good'), 200)
  for (const path of ['/dots', '/letter', '/slash']) t.equal(await status(path), 404, path)
  await assertClean(t, causeway, [app])
})
