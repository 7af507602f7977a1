import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

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

t.test('an escaped slash, which WSGI apps take for a plain one, leads around no other route', async t => {
  const app = await RecordingUpstream.start(t)
  const more = '[routes.admin]\npath = "/admin/"\nupstream = "app"\nmaintenance = {}\n'
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port], more }) })
  for (const path of ['/admin%2f', '/admin%2Flogin', '/%2fadmin/', '/x%2f..%2fadmin/']) {
    t.equal((await ask(causeway.port(), get(path))).status, 400, path)
  }
  t.equal((await ask(causeway.port(), get('/admin/a%2fb'))).status, 503)
  t.equal(app.requests.length, 0, 'the app hears nothing of it')
  t.equal(
    (await ask(causeway.port(), get('/files/a%2fb'))).status,
    200,
    "within one route it is nobody's business",
  )
  await assertClean(t, causeway, [app])
})
