import t, { type Test } from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import {
  ask,
  bytesToSend,
  cookiesOf,
  FORM_TYPE,
  missing,
  open,
  read,
  readUntil,
  startDjango,
  TRUSTING,
  tokenIn,
} from './support.ts'

const skip = missing('django', 'gunicorn')
const MEBIBYTE = 1024 * 1024

const KINDS = {
  sync: ['--workers', '2'],
  gthread: ['--worker-class', 'gthread', '--threads', '4'],
} as const

for (const [kind, args] of Object.entries(KINDS)) {
  t.test(`Django under gunicorn ${kind}`, { skip }, async t => {
    const app = await startDjango(t, args)
    const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port], more: TRUSTING }) })
    const web = causeway.port()

    await t.test('a page arrives whole, with both its cookies', async t => {
      const answer = await ask(web, { path: '/' })
      t.match(answer, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
      t.match(answer.text, '<h1>Grüße</h1>')
      t.same(cookiesOf(answer.headers), ['first=1', 'second=2'])
    })

    await t.test('a form with CSRF works on a port that is not 80', async t => {
      const origin = `http://127.0.0.1:${web}`
      const page = await ask(web, { path: '/form/' })
      const body = `csrfmiddlewaretoken=${tokenIn(page.text)}&word=open`
      const fields = [FORM_TYPE, ['Origin', origin], ['Referer', `${origin}/form/`]] as const
      const post = (...more: (readonly [string, string])[]) =>
        ask(web, { path: '/form/', method: 'POST', fields: [...fields, ...more], body })
      const [cookie] = cookiesOf(page.headers) as [string]
      const answer = await post(['Cookie', cookie])
      t.equal(answer.status, 200)
      t.same(JSON.parse(answer.text), { word: 'open', scheme: 'http', host: `127.0.0.1:${web}` })
      t.equal((await post()).status, 403, 'without its cookie it is refused')
      t.equal(
        (await post(['Cookie', 'other=1'], ['Cookie', cookie])).status,
        200,
        'two lines of cookies are one',
      )
    })

    await t.test('the same behind a proxy that ends TLS: Host keeps its port, the Referer fits', async t => {
      const port = causeway.port('trusting')
      const site = [
        ['Host', 'site.example:1337'],
        ['X-Forwarded-Proto', 'https'],
      ] as const
      const page = await ask(port, { path: '/form/', fields: site })
      const body = `csrfmiddlewaretoken=${tokenIn(page.text)}&word=open`
      const post = (referer: string) =>
        ask(port, {
          path: '/form/',
          method: 'POST',
          fields: [...site, FORM_TYPE, ['Referer', referer], ['Cookie', cookiesOf(page.headers).join('; ')]],
          body,
        })
      const answer = await post('https://site.example:1337/form/')
      t.equal(answer.status, 200)
      t.same(JSON.parse(answer.text), { word: 'open', scheme: 'https', host: 'site.example:1337' })
      t.equal((await post('https://site.example/form/')).status, 403, 'Django does look at the port')
    })

    await t.test('50 MiB up, with a length: byte for byte', async t => {
      const sent = bytesToSend(50)
      const fields = [['Content-Length', String(sent.length)]] as const
      const answer = await ask(web, { path: '/upload/', method: 'POST', fields, body: sent.body() })
      t.same(JSON.parse(answer.text), {
        sha256: sent.sha256,
        length: sent.length,
        content_length: String(sent.length),
      })
    })

    await t.test('a chunked upload reaches a WSGI app with its length', async t => {
      // Django reads no byte of a chunked body.
      const sent = bytesToSend(7)
      const fields = [['Transfer-Encoding', 'chunked']] as const
      const answer = await ask(web, { path: '/upload/', method: 'POST', fields, body: sent.body() })
      t.same(JSON.parse(answer.text), {
        sha256: sent.sha256,
        length: sent.length,
        content_length: String(sent.length),
      })
    })

    await t.test('a file in a multipart form', async t => {
      const sent = bytesToSend(5)
      const file = Buffer.concat(await sent.body().toArray())
      const body = Buffer.concat([
        Buffer.from('--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'),
        file,
        Buffer.from('\r\n--edge--\r\n'),
      ])
      const fields = [
        ['Content-Type', 'multipart/form-data; boundary=edge'],
        ['Content-Length', String(body.length)],
      ] as const
      const answer = await ask(web, { path: '/files/', method: 'POST', fields, body })
      t.same(JSON.parse(answer.text), { name: 'a.bin', sha256: sent.sha256, length: sent.length })
    })

    await t.test('50 MiB down, with a length and without: byte for byte', async t => {
      for (const path of ['/download/50/?length', '/download/50/']) {
        const answer = await ask(web, { path })
        t.equal(answer.length, 50 * MEBIBYTE, path)
        t.equal(answer.sha256, answer.headers['x-sha256'], path)
        t.equal(answer.headers['content-length'], path.endsWith('length') ? String(50 * MEBIBYTE) : undefined)
      }
    })

    await t.test('an answer that does not wait for the upload is the one that the client gets', async t => {
      // gunicorn's sync worker answers, closes and so resets us while we write.
      const sent = bytesToSend(8)
      const fields = [['Content-Length', String(sent.length)]] as const
      const statuses: number[] = []
      for (let i = 0; i < 10; i += 1) {
        const question = { path: '/form/', method: 'POST', fields, body: sent.body() }
        statuses.push((await ask(web, question)).status)
      }
      t.same(new Set(statuses), new Set([403]), 'no token, no reading')
      t.equal((await ask(web, { path: '/' })).status, 200)
    })

    await t.test('what a client claims about itself does not reach the app', async t => {
      await claims(t, causeway)
    })
  })
}

async function claims(t: Pick<Test, 'equal' | 'match' | 'notMatch'>, causeway: Running): Promise<void> {
  const evil: (readonly [string, string])[] = [
    ['X-Forwarded-For', '6.6.6.6'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Port', '1'],
    ['X-Forwarded-Prefix', '/evil'],
    ['X-Forwarded-Ssl', 'on'],
    ['X-Forwarded-Protocol', 'ssl'],
    ['X-Forwarded-Scheme', 'https'],
    ['X-Real-IP', '6.6.6.6'],
    ['Forwarded', 'for=6.6.6.6;proto=https;host=evil.example'],
    ['X-Script-Name', '/evil'],
    ['SCRIPT_NAME', '/evil'],
    ['X_Forwarded_Proto', 'https'],
    ['X_Forwarded_For', '6.6.6.6'],
    ['Proxy', 'http://evil.example'],
  ]
  const web = causeway.port()
  const answer = await ask(web, { path: '/echo/?a=1', fields: evil })
  t.equal(answer.status, 200)
  t.notMatch(answer.text, /evil|6\.6\.6\.6/)
  t.match(JSON.parse(answer.text), {
    scheme: 'http',
    host: `127.0.0.1:${web}`,
    url: `http://127.0.0.1:${web}/echo/?a=1`,
    script_name: '',
    headers: {
      HTTP_X_FORWARDED_FOR: '127.0.0.1',
      HTTP_X_FORWARDED_PROTO: 'http',
      HTTP_X_FORWARDED_PORT: String(web),
    },
  })
}

t.test('a stream of Django arrives piece by piece and not at its end', { skip }, async t => {
  const app = await startDjango(t, KINDS.gthread)
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
  const web = causeway.port()
  const answer = await open(web, { path: '/stream/a/' })
  // The app waits before each further line until it is told to go on: a proxy that held a line back would
  // hang here.
  for (const number of [0, 1]) {
    await readUntil(answer, `line ${number}\n`)
    await ask(web, { path: '/signal/a/' })
  }
  t.match(await read(answer), { status: 200, text: 'line 2\n' })
})

t.test('a host that ALLOWED_HOSTS does not know is a 400 of the app, not of ours', { skip }, async t => {
  const app = await startDjango(t, KINDS.sync, { DJANGO_ALLOWED_HOSTS: 'site.example' })
  const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })
  const get = (host: string) => ask(causeway.port(), { path: '/echo/', fields: [['Host', host]] })
  t.equal((await get('other.example')).status, 400)
  t.equal((await get('site.example')).status, 200)
})

t.test(
  'a probe that ALLOWED_HOSTS refuses names the setting, and health.host heals it',
  { skip },
  async t => {
    const app = await startDjango(t, KINDS.sync, { DJANGO_ALLOWED_HOSTS: 'site.example' })
    const config = (host: string) =>
      configText({
        endpoints: [app.port],
        upstream: `health = { path = "/echo/", interval = "200ms", timeout = "20s", fall = 1, rise = 1 ${host} }`,
      })
    const causeway = await startCauseway(t, { config: config('') })
    const down = await causeway.line('endpoint down', line => line['msg'] === 'endpoint down')
    t.match(down['reason'], /status 400, expected 200: .*ALLOWED_HOSTS.*set health\.host/)
    t.equal(await causeway.reload(config(', host = "site.example"')), 'success')
    await causeway.line('endpoint up', line => line['msg'] === 'endpoint up')
    t.equal((await ask(causeway.port(), { path: '/echo/', fields: [['Host', 'site.example']] })).status, 200)
  },
)
