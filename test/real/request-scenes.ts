import type { Test } from 'tap'
import { RawClient, ask as rawAsk } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import type { Stage } from './scene.ts'
import { type Answer, ask, bytesToSend, cookiesOf, FORM_TYPE, tokenIn } from './support.ts'

// What must be true of requests by the time that an app gets them.

/** What the app saw of a request. */
async function echo(port: number, fields: readonly (readonly [string, string])[] = []) {
  const answer = await ask(port, { path: '/echo/?a=1', fields })
  return JSON.parse(answer.text) as Record<string, unknown> & { headers: Record<string, string> }
}

export async function identity(t: Test, { web }: Stage): Promise<void> {
  const seen = await echo(web, [
    ['X-Forwarded-For', '6.6.6.6'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Port', '1'],
    ['X-Forwarded-Prefix', '/evil'],
    ['X-Forwarded-Ssl', 'on'],
    ['X-Forwarded-Protocol', 'ssl'],
    ['X-Real-IP', '6.6.6.6'],
    ['Forwarded', 'for=6.6.6.6;proto=https;host=evil.example'],
    ['X-Script-Name', '/evil'],
  ])
  t.match(seen, { scheme: 'http', host: `127.0.0.1:${web}`, script_name: '' })
  t.notMatch(JSON.stringify(seen), /evil|6\.6\.6\.6|https/)
  t.equal(seen.headers['HTTP_X_FORWARDED_FOR'], '127.0.0.1')
}

export async function underscores(t: Test, { web }: Stage): Promise<void> {
  const seen = await echo(web, [
    ['SCRIPT_NAME', '/evil'],
    ['X_Forwarded_Proto', 'https'],
    ['X_Forwarded_For', '6.6.6.6'],
    ['X_Own', 'evil'],
  ])
  t.notMatch(JSON.stringify(seen), /evil|6\.6\.6\.6|https/)
}

export async function hopByHop(t: Test, { web }: Stage): Promise<void> {
  const seen = await echo(web, [
    ['Proxy', 'http://evil.example'],
    ['Connection', 'keep-alive, x-listed'],
    ['X-Listed', 'evil'],
    ['TE', 'trailers'],
    ['Keep-Alive', 'timeout=1000'],
    ['Proxy-Authorization', 'evil'],
  ])
  t.notMatch(JSON.stringify(seen), /evil|HTTP_TE"|HTTP_KEEP_ALIVE|HTTP_PROXY/)
}

export async function oneOrigin(t: Test, { trusting }: Stage): Promise<void> {
  const seen = await echo(trusting, [
    ['Host', 'site.example:1337'],
    ['X-Forwarded-For', '203.0.113.7'],
    ['X-Forwarded-Proto', 'http, https'],
  ])
  t.match(seen, { scheme: 'https', host: 'site.example:1337', url: 'https://site.example:1337/echo/?a=1' })
  t.match(seen.headers, {
    HTTP_X_FORWARDED_PROTO: 'https',
    HTTP_X_FORWARDED_HOST: 'site.example:1337',
    HTTP_X_FORWARDED_PORT: '1337',
    HTTP_X_FORWARDED_FOR: '203.0.113.7, 127.0.0.1',
  })
}

export async function hostAndTarget(t: Test, { web }: Stage): Promise<void> {
  const request =
    'GET http://site.example:81/echo/?b HTTP/1.1\r\nHost: site.example:81\r\nConnection: close\r\n\r\n'
  const answer = await rawAsk(web, request)
  t.match(JSON.parse(answer.body.toString()), { host: 'site.example:81', path_info: '/echo/', query: 'b' })
  t.equal((await rawAsk(web, 'GET /echo/ HTTP/1.1\r\n\r\n')).status, 400, 'without Host')
}

export async function chunkedUpload(t: Test, { web }: Stage): Promise<void> {
  const sent = bytesToSend(5)
  const fields = [['Transfer-Encoding', 'chunked']] as const
  const answer = await ask(web, { path: '/upload/', method: 'POST', fields, body: sent.body() })
  t.match(JSON.parse(answer.text), { sha256: sent.sha256, length: sent.length })
}

export async function brokenUpload(t: Test, { web }: Stage): Promise<void> {
  for (let n = 0; n < 6; n += 1) {
    const client = await RawClient.connect(web)
    client.send('POST /upload/ HTTP/1.1\r\nHost: site.example\r\nContent-Length: 100000\r\n\r\nonly this')
    if (n % 2 === 0) client.reset()
    else client.destroy()
  }
  // More than the app has workers.
  t.equal((await ask(web, { path: '/healthz' })).text, 'ok')
}

export async function pipelining(t: Test, { web }: Stage): Promise<void> {
  const client = await RawClient.connect(web)
  const targets = ['/echo/?n=0', '/echo/?n=1', '/echo/?n=2']
  client.send(targets.map(target => `GET ${target} HTTP/1.1\r\nHost: site.example\r\n\r\n`).join(''))
  await until('three answers', () => (client.received.match(/HTTP\/1\.1 200 OK/g) ?? []).length === 3)
  await until('their bodies', () => client.received.includes('n=2'))
  const order = [...client.received.matchAll(/"query": "n=(\d)"/g)].map(([, n]) => n)
  t.same(order, ['0', '1', '2'])
  client.destroy()
}

export async function strictness(t: Test, { web }: Stage): Promise<void> {
  const heads = [
    'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n',
    'Content-Length: 3\r\nContent-Length: 4\r\n',
    'Content-Length: +3\r\n',
    'Transfer-Encoding: xchunked\r\n',
    'Content-Length : 3\r\n',
    'X-A: 1\r\n folded\r\n',
  ]
  for (const head of heads) {
    const answer = await rawAsk(web, `POST /upload/ HTTP/1.1\r\nHost: site.example\r\n${head}\r\nabc`)
    t.ok([400, 501].includes(answer.status), `${head.trim()}: ${answer.status}`)
  }
  t.equal((await rawAsk(web, 'GET /%00 HTTP/1.1\r\nHost: site.example\r\n\r\n')).status, 400)
}

async function form(web: number): Promise<{ token: string; cookie: string }> {
  const page = await ask(web, { path: '/form/' })
  return { token: tokenIn(page.text), cookie: cookiesOf(page.headers)[0] ?? '' }
}

async function post(
  web: number,
  token: string,
  fields: readonly (readonly [string, string])[],
): Promise<Answer> {
  return ask(web, {
    path: '/form/',
    method: 'POST',
    fields: [FORM_TYPE, ...fields],
    body: `csrfmiddlewaretoken=${token}&word=open`,
  })
}

export async function twoCookieLines(t: Test, { web }: Stage): Promise<void> {
  const { token, cookie } = await form(web)
  const answer = await post(web, token, [
    ['Cookie', 'a=1'],
    ['Cookie', cookie],
    ['Cookie', 'b=2'],
  ])
  t.equal(answer.status, 200)
}

export async function intactFields(t: Test, { web }: Stage): Promise<void> {
  const sent = [
    ['Referer', 'https://elsewhere.example/x?y'],
    ['Origin', 'https://elsewhere.example'],
    ['Authorization', 'Basic dXNlcjpwYXNz'],
    ['X-CSRFToken', 'token'],
    ['Cookie', 'a="b c"; d=e'],
    ['Accept-Language', 'de'],
    ['Accept-Language', 'en'],
  ] as const
  t.match((await echo(web, sent)).headers, {
    HTTP_REFERER: 'https://elsewhere.example/x?y',
    HTTP_ORIGIN: 'https://elsewhere.example',
    HTTP_AUTHORIZATION: 'Basic dXNlcjpwYXNz',
    HTTP_X_CSRFTOKEN: 'token',
    HTTP_COOKIE: 'a="b c"; d=e',
    HTTP_ACCEPT_LANGUAGE: /^de, ?en$/,
  })
  t.same(cookiesOf((await ask(web, { path: '/' })).headers), ['first=1', 'second=2'], 'two cookies set')
  const { token, cookie } = await form(web)
  const origin = `http://127.0.0.1:${web}`
  const same = [
    ['Cookie', cookie],
    ['Origin', origin],
    ['Referer', `${origin}/form/`],
  ] as const
  t.equal((await post(web, token, same)).status, 200)
  t.equal((await post(web, token, [])).status, 403, 'the check is real')
}

export async function protocolVersion(t: Test, { kind, web }: Stage): Promise<void> {
  const answer = await rawAsk(web, 'GET /echo/ HTTP/1.0\r\nHost: site.example\r\n\r\n')
  t.equal(answer.status, 200)
  const seen = JSON.parse(answer.body.toString())
  if (!kind.asgi) t.equal(seen.protocol, 'HTTP/1.1')
  t.not(answer.framing, 'chunked', 'which an HTTP/1.0 client could not read')
}

export async function largeHead(t: Test, { kind, causeway, web }: Stage): Promise<void> {
  const withCookie = (size: number) => ask(web, { path: '/', fields: [['Cookie', `a=${'b'.repeat(size)}`]] })
  t.equal((await withCookie(40_000)).status, 431, 'over our own limit')
  const own = await withCookie(6_000)
  if (!kind.name.startsWith('uWSGI')) {
    t.ok([200, 400].includes(own.status))
    return
  }
  // uWSGI takes 4 KiB and closes without a word.
  if (kind.name.includes('binary')) {
    t.equal(own.status, 431)
    await until('the hint', () =>
      causeway.access.some(line => String(line['detail']).includes('buffer-size')),
    )
  }
  t.equal((await withCookie(1_000)).status, 200)
}

export async function paths(t: Test, { web }: Stage): Promise<void> {
  const answer = await ask(web, { path: '/echo/?q=%2F%26&x=a+b%20c&%C3%BC' })
  t.match(JSON.parse(answer.text), { query: 'q=%2F%26&x=a+b%20c&%C3%BC', path_info: '/echo/' })
  t.equal((await ask(web, { path: '/protected/%C3%BC%20.txt' })).text, 'umlaut')
}
