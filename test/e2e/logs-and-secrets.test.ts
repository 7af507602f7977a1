import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { ok, RecordingUpstream, raw } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

const CANARY = 'canary7f3a'
/** Secrets in all kinds of places. */
const SECRETS = `
[upstreams.other]
run = { command = ["/bin/sh", "-c", "sleep 1000", "${CANARY}"], env = { KEY = "${CANARY}" } }
health = { path = "/alive?token=${CANARY}", headers = { X-Key = "${CANARY}" }, interval = "1h" }
sticky = { cookie = "stay", secret = "${CANARY}${CANARY}" }
[routes.closed]
path = "/closed/"
upstream = "app"
maintenance = { bypass_cookie = "open=${CANARY}${CANARY}" }
canary = { upstream = "other", share = "1%", header = "X-Try=${CANARY}", cookie = "try=${CANARY}" }
`
const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, {
  config: configText({
    endpoints: [upstream.port],
    upstream: 'queue = { timeout = "500ms" }',
    more: SECRETS,
  }),
  env: { SECRET_OF_TEST: CANARY },
})

t.test('one request is one line, whatever stands in it', async t => {
  const before = causeway.access.length
  const EVIL = [
    '"}\\n{"msg":"forged"',
    '\x7f\x80\xff',
    '\\',
    '\\u0000',
    '%0a%0d',
    '\u2028',
    "'; --",
    '{{7*7}}',
    '$(id)',
    '<b>',
  ]
  const requests = [
    ...EVIL.map((evil, n) =>
      get(
        `/evil/${n}`,
        `User-Agent: ${evil.replaceAll(/[\x7f\u2028]/g, '')}\r\nReferer: ${evil.replaceAll(/[\x7f\u2028]/g, '')}\r\n`,
      ),
    ),
    get('/%0a%7b%22msg%22:%22forged%22%7d'),
    get('/%1b[31mred'),
    'GET /\n{"msg":"forged"} HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[2J\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: "}\r\n\r\n',
    '{"msg":"forged"}\r\n\r\n',
    '\0\0\0\0\r\n\r\n',
  ]
  for (const request of requests) await ask(causeway.port(), request)
  await until('all access lines', () => causeway.access.length >= before + requests.length)
  t.equal(causeway.access.length, before + requests.length, 'line count is request count')
  t.same(causeway.unreadable, [])
  t.notOk(causeway.lines.some(({ msg }) => msg === 'forged'))
  const controls = [...causeway.stdout].filter(character => character < ' ' && character !== '\n')
  t.same(controls, [], 'no control characters but line ends')
})

t.test('a line stays short, however long its request', async t => {
  const long = 'x'.repeat(7_000)
  await ask(causeway.port(), get(`/long/${long}`, `User-Agent: ${long}\r\nReferer: http://a/${long}\r\n`))
  await until('the line', () => causeway.access.some(({ path }) => String(path).startsWith('/long/')))
  t.ok(causeway.stdout.split('\n').every(line => line.length < 8_192))
})

t.test('credentials, cookies and query values reach the app, and nothing else', async t => {
  upstream.on('/secret', ok('x', `Set-Cookie: s=${CANARY}\r\n`))
  upstream.on('/secret-bad', raw(`${CANARY}\r\n\r\n`))
  const fields = [
    `Authorization: Bearer ${CANARY}`,
    `Proxy-Authorization: Basic ${CANARY}`,
    `Cookie: session=${CANARY}`,
    `X-Api-Key: ${CANARY}`,
    `Referer: http://user:${CANARY}@a.test/b?token=${CANARY}#${CANARY}`,
    `Origin: http://${CANARY}.test`,
    '',
  ].join('\r\n')
  const client = await RawClient.connect(causeway.port())
  client.send(get(`/secret?token=${CANARY}`, fields))
  t.equal((await client.response()).status, 200)
  client.send(get(`/secret-bad?token=${CANARY}`, fields))
  const bad = await client.response()
  t.equal(bad.status, 502)
  t.notMatch(bad.body.toString(), CANARY)
  client.send(`GET /refused?${CANARY} HTTP/1.1\r\nHost: a\r\nAuthorization : ${CANARY}\r\n\r\n`)
  t.notMatch((await client.response()).body.toString(), CANARY)
  await causeway.accessOf('/secret-bad')
  t.notMatch((await causeway.metrics()).text, CANARY, 'metrics')
  for (const page of ['/status', '/config', '/healthz', '/readyz']) {
    const answer = await fetch(`${causeway.adminUrl}${page}`)
    t.notMatch(await answer.text(), CANARY, page)
  }
  t.notMatch(causeway.stdout, CANARY, 'log')
  t.notMatch(causeway.stderr, CANARY, 'stderr')
})

t.test('error pages and answers say nothing of what runs inside', async t => {
  await upstream.stop()
  const answer = await ask(causeway.port(), get('/down'))
  await upstream.listen()
  t.equal(answer.status, 503)
  const text = JSON.stringify([answer.fields, answer.body.toString()])
  t.notMatch(text, new RegExp(`127\\.0\\.0\\.1|${upstream.port}|node|ECONN|causeway/|\\.ts|v2\\d`, 'i'))
})

t.test(
  'no client makes a series: paths, hosts, methods and statuses of thousands leave the count as it was',
  async t => {
    upstream.on('/status', async (line, request) => {
      const status = 200 + Number(request.target.slice(request.target.indexOf('?') + 1))
      await raw(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`)(line, request)
    })
    // All series that this client can make are there after its first words.
    const client = await RawClient.connect(causeway.port())
    const speak = async (from: number, to: number) => {
      for (let n = from; n < to; n += 1) {
        client.send(`M${n} /path/${n} HTTP/1.1\r\nHost: host${n}.test\r\nUser-Agent: a${n}\r\n\r\n`)
        await client.response()
        if (n % 4 === 0) {
          client.send(get(`/status?${n % 400}`))
          const { status } = await client.response()
          if (status === 204 || status === 205 || status === 304) continue
        }
      }
    }
    await speak(0, 400)
    await until("the data thread's own series, which begin with its second pulse", async () =>
      (await ownKeys()).some(key => key.startsWith('causeway_worker_event_loop_utilization_ratio')),
    )
    const before = await ownKeys()
    await speak(400, 2_400)
    const after = await ownKeys()
    t.same(after, before)
    t.notMatch(after.join('\n'), /host\d+\.test|\/path\//)
    client.destroy()
  },
)

t.test('the public listener does not serve what the admin listener serves', async t => {
  for (const path of ['/metrics', '/status', '/config', '/healthz', '/readyz']) {
    const before = upstream.seen(path).length
    await ask(causeway.port(), get(path === '/status' ? '/status?0' : path))
    t.equal(upstream.seen(path).length, before + 1, `${path} goes to the app`)
  }
})

/** Series of ours; what Node says of its own handles comes and goes. */
async function ownKeys(): Promise<string[]> {
  const { keys } = await causeway.metrics()
  return keys.filter(key => key.startsWith('causeway_')).sort()
}

t.test('nothing of all this harmed anybody', async t => {
  await assertClean(t, causeway, [upstream])
})
