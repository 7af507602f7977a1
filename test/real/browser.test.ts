import t, { type Test } from 'tap'
import { freePorts } from '../bench/ports.ts'
import { assertClean, type LogLine, type Running, startCauseway } from '../support/causeway.ts'
import { Chromium, missingChromium } from '../support/chromium.ts'
import { configText } from '../support/config-text.ts'
import type { Page, PageAnswer } from '../support/page.ts'
import { missingPebble, Pebble } from '../support/pebble.ts'
import { until } from '../support/until.ts'
import { type DemoSite, startDemoSite } from './demo-site.ts'
import { missing } from './support.ts'

// A browser, a certificate by ACME, HTTP/2, and the Django site of docker/: what visitors of a site that
// stands alone at the edge have.

const NAME = 'www.site.test'
const ORIGIN = `https://${NAME}`
const FOR_EVER = 'public, max-age=31536000, immutable'
const skip = missing('django', 'uvicorn', 'websockets') || missingPebble() || missingChromium()

interface Visit {
  readonly page: Page
  readonly causeway: Running
}

t.test('a browser on a site with a certificate by ACME', { skip }, async t => {
  const [httpPort = 0, tlsPort = 0] = await freePorts(2)
  const pebble = await Pebble.start(t, { httpPort, tlsPort })
  pebble.names.set(NAME, '127.0.0.1')
  const site = await startDemoSite(t, NAME)
  const causeway = await startEdge(t, pebble, site, { httpPort, tlsPort })
  await causeway.line('the certificate', ({ msg }) => msg === 'certificate obtained')
  const hosts = { [`${NAME}:80`]: `127.0.0.1:${httpPort}`, [`${NAME}:443`]: `127.0.0.1:${tlsPort}` }
  const chromium = await Chromium.start(t, { authority: await pebble.root(), hosts })
  const visit = { page: await chromium.page(), causeway }

  await t.test('a browser that does not know the root lets nobody in', async t => {
    const stranger = await (await Chromium.start(t, { hosts })).page()
    await t.rejects(stranger.visit(`${ORIGIN}/`), { message: /ERR_CERT_AUTHORITY_INVALID/ })
  })
  await t.test('who types http is sent to https', t => sentToHttps(t, visit))
  await t.test('the page comes over HTTP/2 and TLS 1.3, and the browser trusts it', t => securePage(t, visit))
  await t.test('the page is styled, by files that may stay for ever', t => styled(t, visit))
  await t.test('a form with CSRF', t => votes(t, visit))
  await t.test('a WebSocket', t => talks(t, visit))
  t.same(visit.page.errors, [], 'nothing red in the console')
  await chromium.stop()
  await assertClean(t, causeway)
})

/**
 * `tls = "auto"` on a listener, `hosts` on the routes: what a user writes, on the ports at which Pebble
 * looks.
 */
async function startEdge(
  t: Test,
  pebble: Pebble,
  { app, staticRoot }: DemoSite,
  { httpPort, tlsPort }: { readonly httpPort: number; readonly tlsPort: number },
): Promise<Running> {
  const config = configText({
    endpoints: [app.port],
    workers: 2,
    listener: 'tls = "auto"',
    upstream: `server = "uvicorn"\nhealth = { path = "/healthz", host = "${NAME}" }`,
    route: `hosts = ["${NAME}"]`,
    more: `
[acme]
directory = "${pebble.directory}"
ca = "${pebble.ca}"
folder = "${staticRoot}/../acme"

[listeners.plain]
address = "127.0.0.1:${httpPort}"

[routes.static]
hosts = ["${NAME}"]
path = "/static/"
static = { root = "${staticRoot}" }`,
  }).replace('address = "127.0.0.1:0"\ntls', `address = "127.0.0.1:${tlsPort}"\ntls`)
  return startCauseway(t, { config })
}

/** The access line of the last request for the path. */
async function accessOf({ causeway }: Visit, path: string, method = 'GET'): Promise<LogLine> {
  const fits = (line: LogLine) => line['path'] === path && line['method'] === method
  return until(`the access line of ${method} ${path}`, () => causeway.access.findLast(fits))
}

function answerTo({ page }: Visit, url: string | RegExp): PageAnswer | undefined {
  return page.answers.findLast(answer =>
    typeof url === 'string' ? answer.url === url : url.test(answer.url),
  )
}

async function sentToHttps(t: Test, visit: Visit): Promise<void> {
  await visit.page.visit(`http://${NAME}/?from=http`)
  const [sent] = visit.page.redirects
  t.match(sent, { url: `http://${NAME}/?from=http`, status: 301, protocol: 'http/1.1' })
  t.equal(sent?.headers['Location'] ?? sent?.headers['location'], `${ORIGIN}/?from=http`)
  t.equal(await visit.page.evaluate('location.href'), `${ORIGIN}/?from=http`)
}

async function securePage(t: Test, visit: Visit): Promise<void> {
  await visit.page.visit(`${ORIGIN}/`)
  const answer = answerTo(visit, `${ORIGIN}/`)
  t.match(answer, { status: 200, protocol: 'h2', securityState: 'secure' })
  t.match(answer?.securityDetails, {
    protocol: 'TLS 1.3',
    sanList: [NAME],
    issuer: /^Pebble Intermediate CA/,
  })
  const own = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
  t.equal(await visit.page.evaluate(own), 'h2', 'the page knows it, too')
  t.equal(await visit.page.evaluate('isSecureContext'), true)
  t.match(await accessOf(visit, '/'), { status: 200, proto: 'HTTP/2.0', upstream: 'app' })
}

async function styled(t: Test, visit: Visit): Promise<void> {
  const style = 'getComputedStyle(document.querySelector("nav"))'
  t.equal(await visit.page.evaluate(`${style}.backgroundColor`), 'rgb(11, 110, 153)', 'as site.css has it')
  t.equal(await visit.page.evaluate(`${style}.display`), 'flex')
  const files = [/\/static\/polls\/site\.[0-9a-f]{12}\.css$/, /\/static\/polls\/tide\.[0-9a-f]{12}\.svg$/]
  for (const file of files) {
    const answer = answerTo(visit, file)
    t.match(answer, { status: 200, protocol: 'h2', securityState: 'secure' }, String(file))
    t.equal(answer?.headers['cache-control'], FOR_EVER)
    const { pathname } = new URL(answer?.url ?? ORIGIN)
    await accessOf(visit, pathname)
    const asked = visit.causeway.access.filter(({ path }) => path === pathname)
    t.match(asked, [{ route: 'static', proto: 'HTTP/2.0' }], 'asked for once, by two pages')
  }
}

async function votes(t: Test, visit: Visit): Promise<void> {
  const { page } = visit
  const count =
    '+[...document.querySelectorAll(".votes tr")].find(row => /Bridge/.test(row.innerText)).cells[1].innerText'
  await page.visit(`${ORIGIN}/polls/1/`)
  const before = Number(await page.evaluate(count))
  await page.evaluate(
    '[...document.querySelectorAll("label")].find(label => /Bridge/.test(label.innerText)).click()',
  )
  await page.loaded(() => page.evaluate('document.querySelector("form button").click()'))
  t.equal(await page.evaluate('location.href'), `${ORIGIN}/polls/1/`)
  t.equal(await page.evaluate(count), before + 1)
  t.match(await accessOf(visit, '/polls/1/', 'POST'), { status: 302, proto: 'HTTP/2.0' })
}

/** What the page does: says two things, gets them back, and leaves. */
const CONVERSATION = `new Promise((done, failed) => {
  const socket = new WebSocket('wss://' + location.host + '/ws/echo/')
  const echoes = []
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => {
    socket.send('grüße')
    socket.send(new Uint8Array([0, 255, 10, 13]))
  }
  socket.onmessage = ({ data }) => {
    echoes.push(typeof data === 'string' ? data : [...new Uint8Array(data)].join())
    if (echoes.length === 2) socket.close(1000)
  }
  socket.onerror = () => failed(new Error('the socket failed'))
  socket.onclose = ({ code, wasClean }) => done({ echoes, code, wasClean })
})`

async function talks(t: Test, visit: Visit): Promise<void> {
  t.same(await visit.page.evaluate(CONVERSATION), {
    echoes: ['grüße', '0,255,10,13'],
    code: 1000,
    wasClean: true,
  })
  // Over the page's connection (RFC 8441), since ours says in its settings that this goes.
  t.match(await accessOf(visit, '/ws/echo/'), { status: 101, proto: 'HTTP/2.0', upstream: 'app', end: 'ok' })
}
