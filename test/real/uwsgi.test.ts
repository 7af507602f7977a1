import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { assertClean, type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { until } from '../support/until.ts'
import {
  type AppServer,
  ask,
  bytesToSend,
  cookiesOf,
  FORM_TYPE,
  missing,
  open,
  read,
  readUntil,
  socketIn,
  startServer,
  TRUSTING,
  tokenIn,
} from './support.ts'

const UWSGI = '/usr/bin/uwsgi'
const noServer = existsSync(UWSGI) ? false : `${UWSGI} is not here (Debian: uwsgi-core uwsgi-plugin-python3)`
const skip = missing('django') || noServer
const MEBIBYTE = 1024 * 1024
const COMMON = ['--plugin', 'python3', '--master', '--need-app', '--die-on-term', '--socket-timeout', '4']
const BOUND = /bound to TCP address 127\.0\.0\.1:(\d+)/

/** uWSGI on a port and on a socket of this name. */
async function startUwsgi(t: Test, socket: string, args: readonly string[]): Promise<AppServer> {
  const bound = ['--socket', '127.0.0.1:0', '--socket', socket]
  const app = await startServer(t, [UWSGI, ...COMMON, ...bound, ...args], {}, BOUND)
  await until(`uWSGI to be ready; it says: ${app.output}`, () =>
    app.output.includes('spawned uWSGI worker 1 '),
  )
  return app
}

const startDjango = (t: Test, socket: string) =>
  startUwsgi(t, socket, ['--processes', '1', '--threads', '4', '--module', 'django_site.wsgi'])
const startEnviron = (t: Test, args: readonly string[] = []) =>
  startUwsgi(t, socketIn(t), ['--processes', '2', '--threads', '2', '--wsgi-file', 'environ_app.py', ...args])

async function before(
  t: Test,
  endpoint: string,
  parts: { upstream?: string; route?: string; more?: string } = {},
) {
  return startCauseway(t, { config: configText({ endpoints: [endpoint], ...parts }) })
}

async function environ(
  causeway: Running,
  path: string,
  fields: readonly (readonly [string, string])[] = [],
  listener = 'web',
): Promise<Record<string, unknown>> {
  const answer = await ask(causeway.port(listener), { path, fields })
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
  return JSON.parse(answer.text) as Record<string, unknown>
}

for (const transport of ['TCP', 'a unix socket'] as const) {
  t.test(`Django under uWSGI over ${transport}`, { skip }, async t => {
    const socket = socketIn(t)
    const app = await startDjango(t, socket)
    const endpoint = transport === 'TCP' ? `uwsgi://127.0.0.1:${app.port}` : `uwsgi+unix:${socket}`
    const causeway = await before(t, endpoint, { more: TRUSTING })
    const web = causeway.port()

    await t.test('a form with CSRF works, with its cookies in two lines as well', async t => {
      const origin = `http://127.0.0.1:${web}`
      const page = await ask(web, { path: '/form/' })
      const body = `csrfmiddlewaretoken=${tokenIn(page.text)}&word=open`
      const fields = [FORM_TYPE, ['Origin', origin], ['Referer', `${origin}/form/`]] as const
      const post = (...more: (readonly [string, string])[]) =>
        ask(web, { path: '/form/', method: 'POST', fields: [...fields, ...more], body })
      const [cookie] = cookiesOf(page.headers) as [string]
      const answer = await post(['Cookie', cookie])
      t.same(JSON.parse(answer.text), { word: 'open', scheme: 'http', host: `127.0.0.1:${web}` })
      t.equal((await post()).status, 403, 'without its cookie it is refused')
      t.equal((await post(['Cookie', cookie], ['Cookie', 'other=1'])).status, 200)
      t.equal((await post(['Cookie', 'other=1'], ['Cookie', cookie])).status, 200)
    })

    await t.test('behind a proxy that ends TLS, on a port of its own', async t => {
      const port = causeway.port('trusting')
      const site = [
        ['Host', 'site.example:1337'],
        ['X-Forwarded-Proto', 'https'],
      ] as const
      const page = await ask(port, { path: '/form/', fields: site })
      const referer = ['Referer', 'https://site.example:1337/form/'] as const
      const cookies = ['Cookie', cookiesOf(page.headers).join('; ')] as const
      const answer = await ask(port, {
        path: '/form/',
        method: 'POST',
        fields: [...site, FORM_TYPE, referer, cookies],
        body: `csrfmiddlewaretoken=${tokenIn(page.text)}&word=open`,
      })
      t.same(JSON.parse(answer.text), { word: 'open', scheme: 'https', host: 'site.example:1337' })
    })

    await t.test('50 MiB up, with a length and in chunks: byte for byte', async t => {
      const sent = bytesToSend(50)
      for (const field of [
        ['Content-Length', String(sent.length)] as const,
        ['Transfer-Encoding', 'chunked'] as const,
      ]) {
        const answer = await ask(web, {
          path: '/upload/',
          method: 'POST',
          fields: [field],
          body: sent.body(),
        })
        t.same(
          JSON.parse(answer.text),
          { sha256: sent.sha256, length: sent.length, content_length: String(sent.length) },
          field[0],
        )
      }
    })

    await t.test('50 MiB down, with a length and without: byte for byte', async t => {
      for (const path of ['/download/50/?length', '/download/50/']) {
        const answer = await ask(web, { path })
        t.equal(answer.length, 50 * MEBIBYTE, path)
        t.equal(answer.sha256, answer.headers['x-sha256'], path)
        t.equal(answer.headers['content-length'], path.endsWith('length') ? String(50 * MEBIBYTE) : undefined)
      }
    })

    await t.test('a stream, which only the end of the connection ends, arrives piece by piece', async t => {
      const answer = await open(web, { path: '/stream/a/' })
      for (const number of [0, 1]) {
        await readUntil(answer, `line ${number}\n`)
        await ask(web, { path: '/signal/a/' })
      }
      t.match(await read(answer), { status: 200, text: 'line 2\n' })
    })

    await t.test('a client that leaves a stream frees its thread at once', async () => {
      const answers = await Promise.all(
        ['b', 'c', 'd', 'e'].map(token => open(web, { path: `/stream/${token}/` })),
      )
      for (const answer of answers) await readUntil(answer, 'line 0\n')
      for (const answer of answers) answer.destroy()
      await causeway.metric('causeway_upstream_in_flight', {}, value => value === 0)
    })
  })
}

t.test('what the app is told: exactly this', { skip: noServer }, async t => {
  const app = await startEnviron(t)
  const causeway = await before(t, `uwsgi://127.0.0.1:${app.port}`, { more: TRUSTING })
  const web = causeway.port()

  await t.test('the path in bytes, the target as it came', async t => {
    t.match(await environ(causeway, '/a%2Fb/gr%C3%BC%C3%9Fe%20x/../y?q=%20&r'), {
      PATH_INFO: Buffer.from('/a/b/grüße x/../y').toString('latin1'),
      REQUEST_URI: '/a%2Fb/gr%C3%BC%C3%9Fe%20x/../y?q=%20&r',
      QUERY_STRING: 'q=%20&r',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_PORT: String(web),
      SERVER_NAME: '127.0.0.1',
      HTTP_HOST: `127.0.0.1:${web}`,
      REMOTE_ADDR: '127.0.0.1',
      'wsgi.url_scheme': 'http',
      CONTENT_LENGTH: '',
    })
  })

  await t.test('what a client claims about itself does not arrive', async t => {
    const said = await environ(causeway, '/', [
      ['X-Forwarded-For', '6.6.6.6'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'evil.example'],
      ['X-Forwarded-Ssl', 'on'],
      ['X-Real-IP', '6.6.6.6'],
      ['Forwarded', 'for=6.6.6.6;proto=https;host=evil.example'],
      ['X-Script-Name', '/evil'],
      ['SCRIPT_NAME', '/evil'],
      ['X_Forwarded_Proto', 'https'],
      ['UWSGI_FILE', '/evil.py'],
      ['HTTPS', 'evil'],
      ['Proxy', 'http://evil.example'],
      ['Connection', 'X-Hop'],
      ['X-Hop', 'evil'],
      ['TE', 'trailers'],
    ])
    const { HTTP_HTTPS, ...rest } = said
    t.equal(HTTP_HTTPS, 'evil', 'a field is a field, and nothing else')
    t.notMatch(JSON.stringify(rest), /evil|6\.6\.6\.6|trailers/)
    t.match(said, {
      'wsgi.url_scheme': 'http',
      HTTP_X_FORWARDED_PROTO: 'http',
      HTTP_X_FORWARDED_FOR: '127.0.0.1',
    })
  })

  await t.test('a trusted proxy is believed', async t => {
    const fields = [
      ['X-Forwarded-For', '203.0.113.7'],
      ['X-Forwarded-Proto', 'https'],
    ] as const
    const said = await environ(causeway, '/', fields, 'trusting')
    t.match(said, { 'wsgi.url_scheme': 'https', HTTPS: 'on', REMOTE_ADDR: '203.0.113.7' })
    t.equal(said['HTTP_X_FORWARDED_PROTO'], 'https')
  })

  await t.test('a larger answer to HEAD, an answer before the upload is read, one that is cut', async t => {
    t.match(await ask(web, { path: '/large', method: 'HEAD' }), {
      status: 200,
      length: 0,
      headers: { 'content-length': '100000' },
    })
    const sent = bytesToSend(8)
    const fields = [['Content-Length', String(sent.length)]] as const
    const early = await ask(web, { path: '/ignore', method: 'POST', fields, body: sent.body() })
    t.match(early, { status: 403, text: 'no' })
    await t.rejects(ask(web, { path: '/cut' }), 'its end is missing, and the client can tell')
    t.match(await causeway.accessOf('/cut'), { end: 'upstream_truncated' })
  })

  await t.test('cookies that its buffer does not hold are 431, and the log knows what to do', async t => {
    const cookies = [['Cookie', `big=${'x'.repeat(5000)}`]] as const
    t.match(await ask(web, { path: '/big', fields: cookies }), { status: 431 })
    t.match(await causeway.accessOf('/big'), {
      status: 431,
      end: 'upstream_head_too_large',
      detail: /raise uwsgi's buffer-size/,
      attempts: 1,
    })
    t.equal((await ask(web, { path: '/' })).status, 200, 'and the endpoint is as good as before')
  })
  await assertClean(t, causeway)
})

t.test('with a larger buffer the same cookies arrive', { skip: noServer }, async t => {
  const app = await startEnviron(t, ['--buffer-size', '65535'])
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [`uwsgi://127.0.0.1:${app.port}`],
      listener: 'limits.headers = "128KiB"',
    }),
  })
  const cookies = [['Cookie', `big=${'x'.repeat(60_000)}`]] as const
  t.equal((await environ(causeway, '/', cookies))['HTTP_COOKIE'], cookies[0][1])
  const tooBig = [['Cookie', `big=${'x'.repeat(70_000)}`]] as const
  t.match(await ask(causeway.port(), { path: '/too-big', fields: tooBig }), { status: 431 })
  t.match(await causeway.accessOf('/too-big'), { end: 'upstream_head_too_large', detail: /allows 65535/ })
})

t.test('a worker that is killed in a request costs that request only', { skip: noServer }, async t => {
  const app = await startEnviron(t)
  const causeway = await before(t, `uwsgi://127.0.0.1:${app.port}`)
  for (let i = 0; i < 3; i += 1) {
    t.match(await ask(causeway.port(), { path: '/die' }), { status: 502 })
    t.equal((await ask(causeway.port(), { path: '/' })).status, 200)
  }
  t.match(await causeway.accessOf('/die'), { end: 'upstream_closed' })
  t.notOk(
    causeway.lines.some(line => line['msg'] === 'endpoint ejected'),
    'it answers in between',
  )
})

t.test('an app that is mounted gets SCRIPT_NAME, and Django its pages', { skip }, async t => {
  const app = await startDjango(t, socketIn(t))
  const endpoint = `uwsgi://127.0.0.1:${app.port}`
  for (const route of [
    'path = "/app"\nscript_name = "/app"',
    'path = "/app"\nstrip_prefix = "/app"\nscript_name = "/app"',
  ]) {
    const config = configText({ endpoints: [endpoint] }).replace('path = "/"', route)
    const causeway = await startCauseway(t, { config })
    const answer = await ask(causeway.port(), { path: '/app/echo/?a=1' })
    t.equal(answer.status, 200, route)
    t.match(JSON.parse(answer.text), {
      script_name: '/app',
      url: `http://127.0.0.1:${causeway.port()}/app/echo/?a=1`,
    })
  }
})

t.test('probes are packets: a down app leaves rotation, an unknown host is named', { skip }, async t => {
  const socket = socketIn(t)
  const app = await startDjango(t, socket)
  const health = (more: string) =>
    `health = { path = "/healthz", interval = "200ms", fall = 1, rise = 1, expect = [${more}] }`
  const causeway = await before(t, `uwsgi+unix:${socket}`, { upstream: health('204') })
  const down = await causeway.line('endpoint down', line => line['msg'] === 'endpoint down')
  t.match(down['reason'], /^status 200, expected 204/)
  const fine = configText({ endpoints: [`uwsgi+unix:${socket}`], upstream: health('200') })
  t.equal(await causeway.reload(fine), 'success')
  await causeway.line('endpoint up', line => line['msg'] === 'endpoint up')
  t.equal((await ask(causeway.port(), { path: '/' })).status, 200)
  await app.kill()
  await until(
    'it to be down again',
    () => causeway.lines.filter(line => line['msg'] === 'endpoint down').length === 2,
  )
})

t.test(
  'workers that Causeway starts itself speak uwsgi on the socket that they are given',
  { skip: noServer },
  async t => {
    const command = [
      UWSGI,
      ...COMMON,
      '--socket',
      '{socket}',
      '--wsgi-file',
      `${import.meta.dirname}/environ_app.py`,
    ]
    const run = `[upstreams.app.run]\ncommand = ${JSON.stringify(command)}\ncount = 2\nprotocol = "uwsgi"`
    const config = configText({ endpoints: [] })
      .replace('endpoints = []', '')
      .replace('[routes.app]', `${run}\n\n[routes.app]`)
    const causeway = await startCauseway(t, { config })
    const pids = new Set<unknown>()
    await until('both to serve', async () => {
      pids.add((await environ(causeway, '/'))['pid'])
      return pids.size === 2
    })
    const [victim] = pids
    process.kill(victim as number, 'SIGKILL')
    for (let i = 0; i < 20; i += 1) t.equal((await ask(causeway.port(), { path: '/' })).status, 200)
  },
)

t.test(
  'its http-socket closes each connection behind the answer: no POST meets that, no GET is lost',
  { skip: noServer },
  async t => {
    const args = [
      '--http-socket',
      '127.0.0.1:0',
      '--processes',
      '2',
      '--threads',
      '2',
      '--wsgi-file',
      'environ_app.py',
    ]
    const app = await startServer(t, [UWSGI, ...COMMON, ...args], {}, BOUND)
    const causeway = await before(t, `127.0.0.1:${app.port}`, { upstream: 'max_inflight = 2' })
    const statuses = new Map<string, number>()
    const lane = async (method: string) => {
      for (let i = 0; i < 60; i += 1) {
        const { status } = await ask(causeway.port(), { path: '/', method, body: 'abc' })
        statuses.set(`${method} ${status}`, (statuses.get(`${method} ${status}`) ?? 0) + 1)
      }
    }
    await Promise.all(['POST', 'POST', 'POST', 'POST', 'GET', 'GET'].map(lane))
    t.same(Object.fromEntries(statuses), { 'POST 200': 240, 'GET 200': 120 })
  },
)
