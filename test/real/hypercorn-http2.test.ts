import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { TestAuthority } from '../support/certificates.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import { ask, bytesToSend, missing, open, PYTHON, read, readUntil, startServer } from './support.ts'

const skip = missing('django', 'hypercorn')
const MEBIBYTE = 1024 * 1024
const HYPERCORN = [PYTHON, '-m', 'hypercorn', '--bind', '127.0.0.1:0'] as const
const authority = new TestAuthority(t.testdir())
const { certificateFile, keyFile } = authority.issue({ names: ['localhost'] })
const CHECKED = 'health = { path = "/echo/", interval = "200ms", rise = 1, fall = 1 }'

/** How hypercorn is started, and what Causeway is told of it. */
const WAYS = [
  { name: 'h2c', scheme: 'h2c', args: [], upstream: '' },
  {
    name: 'h2 over TLS',
    scheme: 'h2',
    args: ['--certfile', certificateFile, '--keyfile', keyFile],
    upstream: `tls = { ca = "${authority.file}" }\n`,
  },
  {
    name: 'HTTP/1.1 over TLS',
    scheme: 'https',
    args: ['--certfile', certificateFile, '--keyfile', keyFile],
    upstream: `tls = { ca = "${authority.file}" }\n`,
  },
] as const

for (const { name, scheme, args, upstream } of WAYS) {
  t.test(`an ASGI app under hypercorn, over ${name}`, { skip }, async t => {
    const pattern = /Running on https?:\/\/127\.0\.0\.1:(\d+)/
    const app = await startServer(t, [...HYPERCORN, ...args, 'asgi_app:app'], {}, pattern)
    const endpoints = [`${scheme}://localhost:${app.port}`]
    const config = configText({ endpoints, upstream: `server = "hypercorn"\n${upstream}${CHECKED}` })
    const causeway = await startCauseway(t, { config })
    await battery(t, causeway, scheme)
    // Over HTTP/1.1 hypercorn tells no app, whoever stands before it.
    if (scheme !== 'https') await leaving(t, causeway, scheme)
  })
}

async function battery(t: Pick<Test, 'test'>, causeway: Running, scheme: string): Promise<void> {
  const web = causeway.port()

  await t.test('its probes pass', async t => {
    await causeway.metric('causeway_upstream_health_checks_total', { result: 'pass' }, count => count > 0)
    t.pass()
  })

  await t.test('target and fields are as they were sent', async t => {
    const fields = [
      ['X-Thing', 'café'],
      ['Cookie', 'a=1; b=2'],
    ] as const
    const answer = await ask(web, { path: '/echo/%2e%2e/a%20b?x=%2F&y', fields })
    t.match(JSON.parse(answer.text), { path: '/echo/%2e%2e/a%20b', query: 'x=%2F&y' })
    t.match(answer.text, '["x-forwarded-for", "127.0.0.1"]')
    t.match(answer.text, '["cookie", "a=1; b=2"]')
    t.match(answer.text, '"x-thing", "caf\\u00e9"')
    t.match(answer.text, `"host", "127.0.0.1:${web}"`)
  })

  await t.test('HEAD has no body, and the next request is answered', async t => {
    const answer = await ask(web, { path: '/echo/', method: 'HEAD' })
    t.same([answer.status, answer.length], [200, 0])
    t.equal((await ask(web, { path: '/echo/' })).status, 200)
  })

  await t.test('20 MiB up, with a length and without', async t => {
    for (const framing of ['Content-Length', 'Transfer-Encoding']) {
      const sent = bytesToSend(20)
      const value = framing === 'Content-Length' ? String(sent.length) : 'chunked'
      const question = {
        path: '/upload/',
        method: 'POST',
        fields: [[framing, value]] as const,
        body: sent.body(),
      }
      const answer = await ask(web, question)
      t.match(JSON.parse(answer.text), { sha256: sent.sha256, length: sent.length }, framing)
    }
  })

  await t.test('20 MiB down: byte for byte', async t => {
    const answer = await ask(web, { path: '/download/20/' })
    t.equal(answer.length, 20 * MEBIBYTE)
    t.equal(answer.sha256, answer.headers['x-sha256'])
  })

  await t.test('an upload reaches the app while it is still being sent', async t => {
    let goOn = () => {}
    const heard = new Promise<void>(resolve => {
      goOn = resolve
    })
    const body = async function* () {
      yield Buffer.from('first')
      await heard
      yield Buffer.from('second')
    }
    const fields = [['Transfer-Encoding', 'chunked']] as const
    const question = {
      path: `/watched-upload/${scheme}-u/`,
      method: 'POST',
      fields,
      body: Readable.from(body()),
    }
    const answered = ask(web, question)
    t.equal((await ask(web, { path: `/wait/${scheme}-u/` })).status, 200, 'the app has the first piece')
    goOn()
    t.same(JSON.parse((await answered).text), { length: 11 })
  })

  await t.test('events arrive one by one', async t => {
    const answer = await open(web, { path: `/stream/${scheme}-s/` })
    for (const number of [0, 1]) {
      await readUntil(answer, `data: tick ${number}\n\n`)
      await ask(web, { path: `/signal/${scheme}-s/` })
    }
    t.match(await read(answer), { status: 200, text: 'data: tick 2\n\n' })
  })

  await t.test('a hundred at a time', async t => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(web, { path: `/echo/${n}` })))
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
    t.same(
      answers.map(({ text }) => JSON.parse(text).path),
      answers.map((_, n) => `/echo/${n}`),
    )
  })
}

async function leaving(t: Pick<Test, 'test'>, causeway: Running, scheme: string): Promise<void> {
  await t.test('an app learns that its client has left', async t => {
    const answer = await open(causeway.port(), { path: `/endless/${scheme}/` })
    await readUntil(answer, 'data: here')
    answer.destroy()
    const gone = async () => (await ask(causeway.port(), { path: `/gone/${scheme}/` })).text === 'true'
    t.ok(await until('the app to notice', gone))
  })
}

t.test('a Django project under hypercorn, over h2c', { skip }, async t => {
  const pattern = /Running on http:\/\/127\.0\.0\.1:(\d+)/
  const command = [...HYPERCORN, 'django_site.asgi:application'] as const
  const app = await startServer(t, command, {}, pattern)
  const config = configText({ endpoints: [`h2c://127.0.0.1:${app.port}`] })
  const causeway = await startCauseway(t, { config })
  const missingPage = await ask(causeway.port(), { path: '/no-such-page/' })
  t.equal(missingPage.status, 404)
})
