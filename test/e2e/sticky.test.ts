import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, fieldOf, get, RawClient, type RawResponse } from '../support/raw-client.ts'
import { ok, RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { opening, switching } from '../support/websocket-app.ts'

const apps = [
  await RecordingUpstream.start(t),
  await RecordingUpstream.start(t),
  await RecordingUpstream.start(t),
]
const [first, second, third] = apps as [RecordingUpstream, RecordingUpstream, RecordingUpstream]
for (const [n, app] of apps.entries()) {
  app.on('/', ok(`app ${n}`))
  app.on('/session', ok(`app ${n}`, 'Set-Cookie: sessionid=abc; HttpOnly\r\nSet-Cookie: theme=dark\r\n'))
  app.on(
    '/ws',
    switching(({ socket }) => socket.pipe(socket), '', String(n)),
  )
  app.on('/cached', ok(`app ${n}`, 'Cache-Control: public, max-age=60\r\n'))
}

const config = (endpoints: readonly RecordingUpstream[], sticky = '') =>
  configText({
    endpoints: endpoints.map(app => app.port),
    upstream: `balance = "round-robin"\nsticky = { secret = "0123456789abcdef0123"${sticky} }`,
    listener: 'trusted_proxies = ["127.0.0.0/8"]',
  })
const causeway = await startCauseway(t, { config: config(apps) })
const port = causeway.port()

const cookiesOf = (answer: RawResponse) =>
  answer.fields.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value)
const tokenOf = (answer: RawResponse) =>
  cookiesOf(answer)
    .map(value => /^causeway_endpoint=([^;]+)/.exec(value)?.[1])
    .find(token => token !== undefined)
const asHolder = (token: string, path = '/') =>
  ask(port, get(path, `Cookie: a=b; causeway_endpoint=${token}\r\n`))

t.test('a client stays where its first answer came from', async t => {
  const bound = new Map<string, string>()
  for (let n = 0; n < 3; n += 1) {
    const answer = await ask(port, get('/'))
    bound.set(answer.body.toString(), tokenOf(answer) ?? '')
  }
  t.equal(bound.size, 3, 'clients without a cookie are spread')
  for (const [app, token] of bound) {
    t.match(token, /^[A-Za-z0-9_-]{22}$/)
    for (let n = 0; n < 5; n += 1) {
      const answer = await asHolder(token)
      t.equal(answer.body.toString(), app)
      t.same(cookiesOf(answer), [], 'it is not told again what it knows')
    }
  }
})

t.test('the cookies of the app stay, and ours comes with them', async t => {
  const answer = await ask(port, get('/session'))
  const cookies = cookiesOf(answer)
  t.same(cookies.slice(0, 2), ['sessionid=abc; HttpOnly', 'theme=dark'])
  t.match(cookies[2], /^causeway_endpoint=[A-Za-z0-9_-]{22}; Path=\/; HttpOnly; SameSite=Lax$/)
  t.equal(cookies.length, 3)
  const secure = await ask(port, get('/', 'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n'))
  t.match(cookiesOf(secure), [/; Secure$/])
  t.same(cookiesOf(await ask(port, get('/cached'))), [], 'an answer for shared caches carries none')
})

t.test('a WebSocket goes where its client is, or binds it', async t => {
  const open = async (fields: string) => {
    const client = await RawClient.connect(port)
    client.send(opening('/ws', fields))
    const answer = await client.response()
    t.equal(answer.status, 101)
    // The app has sent its number behind the switch.
    await client.untilReceived('\r\n\r\n')
    await until('its first byte', () => !client.received.endsWith('\n'))
    client.destroy()
    return { app: client.received.at(-1), token: tokenOf(answer) }
  }
  const fresh = await open('')
  t.match(fresh.token, /^[\w-]{22}$/)
  for (let n = 0; n < 3; n += 1)
    t.same(await open(`Cookie: causeway_endpoint=${fresh.token}\r\n`), { app: fresh.app, token: undefined })
})

t.test('a cookie that somebody made up is worth nothing, and is replaced', async t => {
  for (const token of ['AAAAAAAAAAAAAAAAAAAAAA', `127.0.0.1:${first.port}`, '../../x']) {
    const answer = await asHolder(token)
    t.equal(answer.status, 200)
    t.match(tokenOf(answer), /^[A-Za-z0-9_-]{22}$/)
  }
})

t.test('a client whose endpoint has died is answered elsewhere, and stays there', async t => {
  const start = await boundTo(first)
  await first.stop()
  const moved = await asHolder(start)
  t.equal(moved.status, 200)
  t.match(moved.body.toString(), /app [12]/)
  const token = tokenOf(moved)
  t.ok(token !== undefined && token !== start, 'it gets a new cookie')
  t.equal((await asHolder(token ?? '')).body.toString(), moved.body.toString())
  await first.listen()
})

t.test('a client whose endpoint drains goes elsewhere, and does not come back', async t => {
  const token = await boundTo(second)
  const tell = (verb: string) =>
    fetch(`${causeway.adminUrl}/upstreams/app/${verb}?endpoint=127.0.0.1:${second.port}`, { method: 'POST' })
  t.equal((await tell('drain')).status, 200)
  const moved = await asHolder(token)
  t.match(moved.body.toString(), /app [02]/)
  t.ok(tokenOf(moved))
  t.equal((await tell('ready')).status, 200)
  t.equal((await asHolder(tokenOf(moved) ?? '')).body.toString(), moved.body.toString())
})

t.test('the cookie outlives a reload; one of an endpoint that has gone is replaced', async t => {
  const token = await boundTo(third)
  t.equal(await causeway.reload(config([third, second], ', max_age = "1h"')), 'success')
  t.equal((await asHolder(token)).body.toString(), 'app 2')
  t.equal(await causeway.reload(config([second], ', max_age = "1h"')), 'success')
  const answer = await asHolder(token)
  t.equal(answer.body.toString(), 'app 1')
  t.match(cookiesOf(answer), [/^causeway_endpoint=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600$/])
})

t.test('the secret is not shown to operators', async t => {
  const shown = await (await fetch(`${causeway.adminUrl}/config`)).text()
  t.match(shown, 'causeway_endpoint')
  t.notMatch(shown, '0123456789abcdef0123')
})

t.test('nothing else has happened', async t => {
  t.equal(fieldOf(await ask(port, get('/')), 'content-length'), '5')
  await assertClean(t, causeway, apps)
})

/** The cookie of a client that this app has answered. */
async function boundTo(app: RecordingUpstream): Promise<string> {
  const name = `app ${apps.indexOf(app)}`
  for (let n = 0; n < 3; n += 1) {
    const answer = await ask(port, get('/'))
    if (answer.body.toString() === name) return tokenOf(answer) ?? ''
  }
  throw new Error(`round-robin has not come to ${name}`)
}
