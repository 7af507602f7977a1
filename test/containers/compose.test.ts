import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Test } from 'tap'
import t from 'tap'
import { until, within } from '../support/until.ts'
import { Browser } from './browser.ts'
import { type Engine, findEngine } from './engine.ts'
import { untilHealthy } from './health.ts'
import { buildImages, PORT, Project, removeImages, START_MS } from './project.ts'

// Django behind Causeway in every variant of the compose files, as a user starts them, through the published
// port.

const ORIGIN = `http://localhost:${PORT}`
const YEAR = 'public, max-age=31536000, immutable'
const VARIANTS: Readonly<Record<string, string>> = {
  '': 'uWSGI by its protocol over TCP',
  uwsgi: 'uWSGI over a unix socket',
  gunicorn: 'gunicorn',
  asgi: 'uvicorn',
}
const found = findEngine()

async function variants(engine: Engine): Promise<void> {
  t.teardown(() => removeImages(engine))
  await buildImages(engine)
  for (const [variant, name] of Object.entries(VARIANTS)) {
    await t.test(`Django behind Causeway: ${name}`, async t => {
      const project = await Project.up(t, engine, variant)
      t.comment(await untilServed(project))
      await t.test('the page is styled', styledPage)
      await t.test('a form with CSRF', votes)
      await t.test('an upload and protected media', t => papers(t, project))
      await t.test('the admin, and protected media for who has logged in', t => admin(t, project))
      if (variant === 'asgi') await t.test('a WebSocket sends back what it gets', echoes)
      await t.test('check --deploy has nothing to say', t => deployable(t, project))
      await t.test('locked down and healthy', t => locked(t, engine, project))
      await t.test('the app is replaced, at another address', t => replaced(t, engine, project))
      await t.test('a stop waits for an open request', t => drains(t, engine, project))
    })
  }
  await t.test('Django behind Causeway, behind something that ends TLS', t => secure(t, engine))
}

/** Traffic is let in once the tables are there; gives how the first page came. */
async function untilServed(project: Project, headers: Record<string, string> = {}): Promise<string> {
  let last = ''
  await until(
    () => `the index: ${last}`,
    async () => {
      last = await fetch(ORIGIN, { headers, redirect: 'manual' }).then(
        ({ status }) => `status ${status}`,
        error => String(error),
      )
      return last === 'status 200'
    },
    START_MS,
  ).catch(async error => {
    throw new Error(`${error.message}\n${await project.logs('front')}\n${await project.logs('app')}`)
  })
  return last
}

async function styledPage(t: Test): Promise<void> {
  const page = await new Browser(ORIGIN).get('/')
  t.equal(page.status, 200)
  const [, sheet = ''] = /<link rel="stylesheet" href="([^"]+)"/.exec(await page.text()) ?? []
  t.match(sheet, /^\/static\/polls\/site\.[0-9a-f]{12}\.css$/, 'its style has a name with a hash')
  const style = await fetch(ORIGIN + sheet)
  t.equal(style.status, 200)
  t.match(style.headers.get('content-type'), 'text/css')
  t.equal(style.headers.get('cache-control'), YEAR)
  t.equal(style.headers.get('server'), null, 'no app server had to do with it')
  const text = await style.text()
  const [, picture = ''] = /url\("([^"]+)"\)/.exec(text) ?? []
  t.match(picture, /^tide\.[0-9a-f]{12}\.svg$/, 'so has the picture in it')
  t.equal((await fetch(new URL(picture, ORIGIN + sheet))).status, 200)
  t.equal((await fetch(`${ORIGIN}/static/polls/none.css`)).status, 404)
}

async function votes(t: Test): Promise<void> {
  const browser = new Browser(ORIGIN)
  const counted = async () =>
    Number(/Bridge<\/th><td>(\d+)/.exec(await (await browser.get('/polls/1/')).text())?.[1])
  const before = await counted()
  const answer = await browser.submit('/polls/1/', { choice: '2' })
  t.equal(answer.status, 302)
  t.equal(answer.headers.get('location'), '/polls/1/')
  t.equal(await counted(), before + 1)
  const forged = new FormData()
  forged.set('choice', '2')
  t.equal((await new Browser(ORIGIN).post('/polls/1/', forged)).status, 403, 'without a token it is refused')
  t.equal(await counted(), before + 1)
}

async function papers(t: Test, project: Project): Promise<void> {
  const browser = new Browser(ORIGIN)
  // Beyond 2.5 MB, where Django puts it in a file of its own.
  const bytes = randomBytes(3_000_000)
  const file = new File([bytes], 'paper.bin', { type: 'application/octet-stream' })
  const sent = await browser.submit('/papers/', { title: 'A paper', file })
  if (!t.equal(sent.status, 201)) t.comment(await project.logs('app'))
  const [, link = ''] = /class="paper" href="([^"]+)"/.exec(await sent.text()) ?? []
  const [path = ''] = link.split('?')

  const answer = await browser.get(link)
  t.equal(answer.status, 200)
  t.equal(sha256(await answer.bytes()), sha256(bytes), 'byte for byte')
  t.match(answer.headers.get('content-disposition'), /^attachment; filename\*=UTF-8''paper.*\.bin$/)
  t.equal(answer.headers.get('content-type'), 'application/octet-stream')
  t.equal(answer.headers.get('x-accel-redirect'), null, 'where it lies is not told')

  const part = await browser.get(link, { Range: 'bytes=10-19' })
  t.equal(part.status, 206)
  t.same(Buffer.from(await part.bytes()), bytes.subarray(10, 20))

  const stranger = await new Browser(ORIGIN).get(path)
  t.equal(stranger.status, 302, 'without the token one has to log in')
  t.match(stranger.headers.get('location'), '/admin/login/')
  t.equal((await new Browser(ORIGIN).get(`${path}?token=${link.split('token=')[1]}x`)).status, 302)
  t.equal((await browser.get('/protected/papers/paper.bin')).status, 404, 'nobody gets there directly')
}

async function admin(t: Test, project: Project): Promise<void> {
  const user = {
    DJANGO_SUPERUSER_USERNAME: 'ada',
    DJANGO_SUPERUSER_PASSWORD: randomBytes(12).toString('hex'),
  }
  await project.manage(['createsuperuser', '--noinput', '--email', 'ada@example.com'], user)
  const browser = new Browser(ORIGIN)
  const login = (password: string) =>
    browser.submit('/admin/login/?next=/admin/', { username: 'ada', password, next: '/admin/' })
  t.equal((await login('wrong')).status, 200, 'a wrong password gets the form again')
  t.equal((await login(user.DJANGO_SUPERUSER_PASSWORD)).status, 302)
  const page = await (await browser.get('/admin/')).text()
  t.match(page, /Site administration/)
  const [, sheet = ''] = /href="(\/static\/admin\/css\/base\.[0-9a-f]{12}\.css)"/.exec(page) ?? []
  t.equal((await fetch(ORIGIN + sheet)).headers.get('cache-control'), YEAR)
  t.equal((await browser.get('/papers/1/')).status, 200, 'who has logged in needs no token')
}

async function echoes(t: Test): Promise<void> {
  const socket = new WebSocket(`ws://localhost:${PORT}/ws/echo/`)
  socket.binaryType = 'arraybuffer'
  const target: EventTarget = socket
  const next = async (type: 'open' | 'message' | 'close'): Promise<Event> => {
    const came = new Promise<Event>((done, failed) => {
      target.addEventListener(type, done, { once: true })
      target.addEventListener('error', () => failed(new Error(`the WebSocket failed before ${type}`)))
    })
    return within(`the WebSocket's ${type}`, came)
  }
  await next('open')
  socket.send('Grüße')
  t.equal(((await next('message')) as MessageEvent).data, 'Grüße')
  const bytes = randomBytes(200_000)
  socket.send(bytes)
  t.same(Buffer.from(((await next('message')) as MessageEvent).data), bytes)
  socket.close(1000)
  t.equal(((await next('close')) as CloseEvent).code, 1000)
}

async function deployable(t: Test, project: Project): Promise<void> {
  const said = await project.manage(['check', '--deploy', '--fail-level', 'WARNING'], { HTTPS: 'on' })
  t.match(said, 'no issues (0 silenced)')
}

async function locked(t: Test, engine: Engine, project: Project): Promise<void> {
  for (const service of ['front', 'app']) {
    const container = await project.container(service)
    const look = (template: string) => engine.inspect(container, template)
    t.equal(await look('{{.Config.User}}'), '10001:10001', `${service}: no root`)
    t.equal(await look('{{.HostConfig.ReadonlyRootfs}}'), 'true', `${service}: a read-only root`)
    t.match(await look('{{json .HostConfig.SecurityOpt}}'), 'no-new-privileges')
    t.match(await look('{{json .HostConfig.CapDrop}}'), /ALL|CAP_NET_RAW/)
    await untilHealthy(engine, container, START_MS)
    t.pass(`${service}: healthy`)
  }
  t.notMatch(await project.logs('front'), /"level":"(error|fatal)"/)
}

async function replaced(t: Test, engine: Engine, project: Project): Promise<void> {
  const address = async () =>
    engine.inspect(await project.container('app'), '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
  const before = await address()
  await project.replace('app')
  t.not(await address(), before)
  t.equal(await untilServed(project), 'status 200')
}

async function secure(t: Test, engine: Engine): Promise<void> {
  const env = {
    HTTPS: 'on',
    CSRF_TRUSTED_ORIGINS: `https://localhost:${PORT}`,
    TRUSTED_PROXY: '0.0.0.0/0',
  }
  const project = await Project.up(t, engine, 'gunicorn', env)
  await untilServed(project, { 'X-Forwarded-Proto': 'https' })
  const plain = await new Browser(ORIGIN).get('/polls/1/')
  t.equal(plain.status, 301)
  t.equal(plain.headers.get('location'), `https://localhost:${PORT}/polls/1/`)
  const browser = new Browser(ORIGIN, 'https')
  const page = await browser.get('/polls/1/')
  t.match(page.headers.get('strict-transport-security'), 'max-age=31536000')
  t.match(page.headers.getSetCookie(), [/^csrftoken=.*; Secure/])
  t.equal((await browser.submit('/polls/1/', { choice: '1' })).status, 302, 'the form works')
}

/** An upload that is half sent when the stop comes still gets its answer. */
async function drains(t: Test, engine: Engine, project: Project): Promise<void> {
  const front = await project.container('front')
  const body = 'no form at all'
  const upload = request(`${ORIGIN}/papers/`, { method: 'POST', headers: { 'Content-Length': body.length } })
  const answered = new Promise<number>((done, failed) => {
    upload.once('response', ({ statusCode = 0 }) => done(statusCode)).once('error', failed)
  })
  upload.write(body.slice(0, 4))
  const stopped = engine.do('stop', '--time', '25', front)
  await until('the drain to begin', async () => (await project.logs('front')).includes('"msg":"draining"'))
  upload.end(body.slice(4))
  t.equal(await within('the answer', answered, START_MS), 403, 'the answer of the app')
  await stopped
  t.equal(await engine.inspect(front, '{{.State.ExitCode}}'), '0')
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

if ('missing' in found) t.test('Django behind Causeway', { skip: found.missing }, async () => {})
else await variants(found.engine)
