import t from 'tap'
import { parseCidrs } from '../lib/http/cidr.ts'
import type { ClientFacts } from '../lib/http/client-facts.ts'
import { originOf } from '../lib/http/forwarded.ts'
import { ExchangeRecord } from '../lib/http/record.ts'
import { Mount } from '../lib/proxy/mount.ts'
import { cleanRequest } from '../lib/proxy/request-lines.ts'
import { uwsgiRequest } from '../lib/proxy/uwsgi-request.ts'
import { parseRequestHead } from '../lib/wire/request-head.ts'
import { RecordingExchange } from './support/recording-exchange.ts'
import { readPacket } from './support/strict-packet.ts'

const LIMITS = { headersBytes: 128 * 1024, headerCount: 100, targetBytes: 64 * 1024 }
const TRUSTED = parseCidrs(['127.0.0.1'])

interface Asked {
  readonly line?: string
  readonly fields?: string
  readonly trusted?: boolean
  readonly mount?: Mount
  readonly bodyBytes?: number
}

/** What the app gets to see of a request that a client at 127.0.0.1:50000 sends. */
function packetOf({ line = 'GET / HTTP/1.1', fields = '', trusted = false, mount, bodyBytes }: Asked) {
  const host = /^Host:/im.test(fields) ? '' : 'Host: site.example:1337\r\n'
  const request = parseRequestHead(`${line}\r\n${host}${fields}\r\n`, LIMITS)
  if (request === undefined || 'refused' in request) throw new Error(`no request: ${JSON.stringify(request)}`)
  const client: ClientFacts = {
    peerAddress: '127.0.0.1',
    peerPort: 50_000,
    trusted,
    listener: 'web',
    scheme: 'http',
    localAddress: '127.0.0.1',
    localPort: 8080,
    tls: undefined,
  }
  const exchange = Object.assign(new RecordingExchange({ target: '/' }), {
    request,
    client,
    origin: originOf(client, request.fields, request.host, TRUSTED),
    record: new ExchangeRecord('r-1', 0),
  })
  cleanRequest(exchange)
  return uwsgiRequest(exchange, mount, bodyBytes)
}

function variablesOf(asked: Asked): Record<string, string> {
  const packet = packetOf(asked)
  if (typeof packet !== 'string') throw new Error(`refused: ${JSON.stringify(packet)}`)
  return Object.fromEntries(readPacket(Buffer.from(packet, 'latin1'))?.variables ?? [])
}

t.test('a plain GET has exactly these variables', async t => {
  t.same(variablesOf({ line: 'GET /a/b?c=%20d HTTP/1.1', fields: 'Accept: */*\r\nX-Real-Thing: yes\r\n' }), {
    QUERY_STRING: 'c=%20d',
    REQUEST_METHOD: 'GET',
    CONTENT_TYPE: '',
    CONTENT_LENGTH: '',
    REQUEST_URI: '/a/b?c=%20d',
    PATH_INFO: '/a/b',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_PORT: '50000',
    SERVER_PORT: '1337',
    SERVER_NAME: 'site.example',
    HTTP_HOST: 'site.example:1337',
    HTTP_ACCEPT: '*/*',
    HTTP_X_REAL_THING: 'yes',
    HTTP_X_FORWARDED_FOR: '127.0.0.1',
    HTTP_X_REAL_IP: '127.0.0.1',
    HTTP_FORWARDED: 'for=127.0.0.1;host="site.example:1337";proto=http',
    HTTP_X_FORWARDED_PROTO: 'http',
    HTTP_X_FORWARDED_HOST: 'site.example:1337',
    HTTP_X_FORWARDED_PORT: '1337',
    HTTP_X_REQUEST_ID: 'r-1',
    HTTP_CONNECTION: 'close',
  })
})

t.test('a body has its type and its length, a collected one as well', async t => {
  const fields = 'Content-Type: text/x\r\nContent-Length: 5\r\n'
  t.match(variablesOf({ line: 'POST / HTTP/1.1', fields }), { CONTENT_TYPE: 'text/x', CONTENT_LENGTH: '5' })
  const chunked = variablesOf({
    line: 'POST / HTTP/1.1',
    fields: 'Transfer-Encoding: chunked\r\n',
    bodyBytes: 70_000,
  })
  t.equal(chunked['CONTENT_LENGTH'], '70000')
  t.notOk('HTTP_TRANSFER_ENCODING' in chunked)
  const empty = variablesOf({ line: 'POST / HTTP/1.1', fields: 'Content-Length: 0\r\n' })
  t.equal(empty['CONTENT_LENGTH'], '0')
})

t.test(
  'https is said in the words that uWSGI knows, if a trusted proxy says it, and not otherwise',
  async t => {
    const fields = 'X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n'
    const believed = variablesOf({ fields, trusted: true })
    t.match(believed, {
      HTTPS: 'on',
      UWSGI_SCHEME: 'https',
      REQUEST_SCHEME: 'https',
      REMOTE_ADDR: '203.0.113.7',
      HTTP_X_FORWARDED_PROTO: 'https',
      HTTP_X_FORWARDED_FOR: '203.0.113.7, 127.0.0.1',
    })
    t.notOk('REMOTE_PORT' in believed, 'the port of the proxy is not the client’s')
    const spoofed = variablesOf({ fields })
    t.match(spoofed, {
      REQUEST_SCHEME: 'http',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_X_FORWARDED_PROTO: 'http',
      HTTP_X_FORWARDED_FOR: '127.0.0.1',
    })
    t.notOk('HTTPS' in spoofed || 'UWSGI_SCHEME' in spoofed)
  },
)

t.test('what is for one connection, or not for clients to say, is not there', async t => {
  const fields = [
    'Connection: keep-alive, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'Upgrade: h2c',
    'Expect: 100-continue',
    'Proxy: http://evil.example',
    'Proxy-Authorization: Basic eA==',
    'X-Forwarded-Ssl: on',
    'X-Script-Name: /evil',
    'SCRIPT_NAME: /evil',
    'X_Forwarded_Proto: https',
    'X-Accel-Redirect: /evil',
    'X-Request-Id: evil',
    'UWSGI_FILE: /tmp/evil.py',
    '',
  ].join('\r\n')
  const names = Object.keys(variablesOf({ fields })).filter(name => name.startsWith('HTTP_'))
  t.same(names.toSorted(), [
    'HTTP_CONNECTION',
    'HTTP_FORWARDED',
    'HTTP_HOST',
    'HTTP_X_FORWARDED_FOR',
    'HTTP_X_FORWARDED_HOST',
    'HTTP_X_FORWARDED_PORT',
    'HTTP_X_FORWARDED_PROTO',
    'HTTP_X_REAL_IP',
    'HTTP_X_REQUEST_ID',
  ])
})

t.test('lines of cookies are one, joined by a semicolon; other fields by a comma', async t => {
  const two = 'Cookie: a=1\r\nAccept: x\r\nCookie: b=2\r\nAccept: y\r\n'
  t.match(variablesOf({ fields: two }), { HTTP_COOKIE: 'a=1; b=2', HTTP_ACCEPT: 'x, y' })
  t.equal(variablesOf({ fields: 'Cookie: a=1\r\n' })['HTTP_COOKIE'], 'a=1')
  for (const fields of ['Connection: cookie\r\nCookie: a=1\r\n', `Connection: cookie\r\n${two}`]) {
    t.notOk('HTTP_COOKIE' in variablesOf({ fields }), 'a client may keep its own to one connection')
  }
})

t.test('an absolute target names the host; an IPv6 host keeps its brackets', async t => {
  const absolute = variablesOf({
    line: 'GET http://site.example:81/x HTTP/1.1',
    fields: 'Host: site.example:81\r\n',
  })
  t.match(absolute, { REQUEST_URI: '/x', PATH_INFO: '/x', HTTP_HOST: 'site.example:81', SERVER_PORT: '81' })
  t.match(variablesOf({ fields: 'Host: [::1]:8080\r\n' }), { SERVER_NAME: '[::1]', SERVER_PORT: '8080' })
  t.match(variablesOf({ line: 'OPTIONS * HTTP/1.1' }), { PATH_INFO: '*', REQUEST_URI: '*' })
})

t.test('a mounted app is told where by the same fields as one that speaks HTTP', async t => {
  for (const [stripPrefix, scriptName, told] of [
    ['/shop', '', '/shop'],
    ['', '/shop', '/shop'],
    ['/shop', '/site/shop', '/site/shop'],
  ] as const) {
    const mount = new Mount({ stripPrefix, scriptName, rewriteAnswers: false }, 'gunicorn')
    const variables = variablesOf({
      line: 'GET /shop/a HTTP/1.1',
      mount,
      fields: 'X-Forwarded-Prefix: /evil\r\n',
    })
    t.match(variables, { HTTP_X_FORWARDED_PREFIX: told, HTTP_X_SCRIPT_NAME: told })
    t.equal(variables['HTTP_SCRIPT_NAME'], undefined, 'what gunicorn knows by HTTP is a variable here')
  }
})

t.test('a mounted app gets its path behind SCRIPT_NAME', async t => {
  const at = (line: string, stripPrefix: string, scriptName: string) => {
    const mount = new Mount({ stripPrefix, scriptName, rewriteAnswers: false }, 'uwsgi')
    const { PATH_INFO, SCRIPT_NAME, REQUEST_URI } = variablesOf({ line: `GET ${line} HTTP/1.1`, mount })
    return [SCRIPT_NAME, PATH_INFO, REQUEST_URI]
  }
  t.same(at('/app/x%2Fy?q', '', '/app'), ['/app', '/x/y', '/app/x%2Fy?q'])
  t.same(at('/app', '', '/app'), ['/app', '/', '/app'])
  t.same(at('/%61pp/x', '', '/app'), ['/app', '/x', '/%61pp/x'])
  t.same(at('//app/./x', '', '/app'), ['/app', '/x', '//app/./x'])
  t.same(at('/application', '', '/app'), ['/app', '/application', '/application'], 'not below it')
  t.same(at('/app/x', '/app', '/app'), ['/app', '/x', '/app/x'])
  t.same(at('/app/app/x', '/app', '/app'), ['/app', '/app/x', '/app/app/x'], 'taken off once')
  t.same(at('/old/x', '/old', '/new'), ['/new', '/x', '/old/x'])
  t.same(at('/app/x', '/app', ''), [undefined, '/x', '/app/x'])
  t.same(at('/gr%C3%BC%C3%9Fe/x', '', '/grüße')[1], '/x')
})

t.test('a head that no packet can hold is refused', async t => {
  t.match(packetOf({ fields: `Cookie: ${'x'.repeat(66_000)}\r\n` }), { refused: 'value' })
  t.match(packetOf({ fields: `A: ${'x'.repeat(40_000)}\r\nB: ${'x'.repeat(30_000)}\r\n` }), {
    refused: 'block',
  })
})
