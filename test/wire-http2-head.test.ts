import fc from 'fast-check'
import t from 'tap'
import { FIELD } from '../lib/http/field-ids.ts'
import { websocketKey } from '../lib/http/websocket.ts'
import { Http2Request, http2TrailerFault, isMalformed, readHttp2Head } from '../lib/wire/http2-head.ts'
import { type HeadLimits, parseRequestHead } from '../lib/wire/request-head.ts'

// Threats, section 1: the downgrade from HTTP/2 to HTTP/1.1. Every rule once, and at random.

type Pair = readonly [name: string, value: string]

const LIMITS: HeadLimits = { headersBytes: 4096, headerCount: 20, targetBytes: 1024 }
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const FIRST: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/a?b'],
  [':authority', 'example.test'],
]
const TUNNEL: readonly Pair[] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':scheme', 'https'],
  [':path', '/chat'],
  [':authority', 'example.test'],
  ['sec-websocket-version', '13'],
]

function read(pairs: readonly Pair[], endStream = true, limits = LIMITS) {
  return readHttp2Head(pairs.flat(), { endStream, newKey: () => KEY }, limits)
}

/** The usual head with further fields. */
const plus = (...pairs: readonly Pair[]) => [...FIRST, ...pairs]
/** The usual head with other pseudo-fields; undefined: without that one. */
const having = (changes: Readonly<Record<string, string | undefined>>) =>
  FIRST.flatMap(([name, value]): Pair[] => {
    const changed = name in changes ? changes[name] : value
    return changed === undefined ? [] : [[name, changed]]
  })

function outcome(pairs: readonly Pair[], endStream = true, limits = LIMITS): string {
  const head = read(pairs, endStream, limits)
  if (!('refused' in head)) return 'taken'
  return `${isMalformed(head) ? 'reset' : 'answered'} ${head.detail}`
}

t.test('an ordinary request is taken', async t => {
  const head = read(plus(['user-agent', 'x'], ['x_y', '1'], ['accept', '']))
  t.ok(head instanceof Http2Request)
  if (!(head instanceof Http2Request)) return
  const { method, target, path, query, host, hostname, protocol, framing } = head
  t.strictSame(
    { method, target, path, query, host, hostname, protocol, framing },
    {
      method: 'GET',
      target: '/a?b',
      path: '/a',
      query: 'b',
      host: 'example.test',
      hostname: 'example.test',
      protocol: 'HTTP/2.0',
      framing: 'none',
    },
  )
  t.equal(head.fields.toText(), 'user-agent: x\r\nx_y: 1\r\naccept: \r\n')
  t.equal(outcome(having({ ':method': 'OPTIONS', ':path': '*' })), 'taken')
  t.equal(outcome(plus(['te', 'trailers'])), 'taken')
})

t.test('what is no message of HTTP/2 resets its stream', async t => {
  const rows: readonly (readonly [what: string, pairs: readonly Pair[], detail: string])[] = [
    ['no :method', having({ ':method': undefined }), 'pseudo-missing'],
    ['no :path', having({ ':path': undefined }), 'pseudo-missing'],
    ['an empty :path', having({ ':path': '' }), 'pseudo-missing'],
    ['no :scheme', having({ ':scheme': undefined }), 'pseudo-missing'],
    ['two :method', [...FIRST, [':method', 'POST']], 'pseudo-repeated'],
    ['two :path', [...FIRST, [':path', '/']], 'pseudo-repeated'],
    ['two :authority', [...FIRST, [':authority', 'example.test']], 'pseudo-repeated'],
    ['an unknown pseudo-field', [...FIRST, [':x', '1']], 'pseudo-unknown'],
    [':status', [...FIRST, [':status', '200']], 'pseudo-unknown'],
    [':protocol without CONNECT', [...FIRST, [':protocol', 'websocket']], 'pseudo-unknown'],
    [
      'a pseudo-field behind a field',
      [...FIRST.slice(0, 3), ['a', 'b'], [':authority', 'x']],
      'pseudo-order',
    ],
    ['another scheme', having({ ':scheme': 'ftp' }), 'scheme'],
    ['a space in the method', having({ ':method': 'GET / HTTP/1.1\r\nX: y\r\n\r\nGET' }), 'method'],
    ['a line in the method', having({ ':method': '\r\nGET' }), 'method'],
    ['an absolute path', having({ ':path': 'http://evil.test/' }), 'target-form'],
    ['an authority in the path', having({ ':path': '@evil.test/' }), 'target-form'],
    ['a port in the path', having({ ':path': ':8080/' }), 'target-form'],
    ['* with GET', having({ ':path': '*' }), 'target-form'],
    ['a space in the path', having({ ':path': '/a HTTP/1.1' }), 'version'],
    ['a request line in the path', having({ ':path': '/a HTTP/1.1\r\nX: y' }), 'target-form'],
    ['a fragment in the path', having({ ':path': '/a#b' }), 'target-character'],
    ['a NUL in the path', having({ ':path': '/a\0' }), 'target-character'],
    ['a CRLF in a value', plus(['a', 'b\r\nx: y']), 'field-value'],
    ['a whole request in a value', plus(['a', 'b\r\n\r\nGET / HTTP/1.1']), 'field-value'],
    ['a LF in a value', plus(['a', 'b\nx: y']), 'bare-lf'],
    ['a CR in a value', plus(['a', 'b\rx']), 'bare-cr'],
    ['a NUL in a value', plus(['a', 'b\0']), 'field-value'],
    ['a DEL in a value', plus(['a', 'b\x7f']), 'field-value'],
    ['a blank before a value', plus(['a', ' b']), 'field-value'],
    ['a tab behind a value', plus(['a', 'b\t']), 'field-value'],
    ['a blank at a crumb', plus(['cookie', 'a=b'], ['cookie', ' c=d']), 'field-value'],
    ['no latin1', plus(['a', '\u010a']), 'field-value'],
    ['no latin1 in a name', plus(['\u0161', 'b']), 'field-value'],
    ['a CRLF in a name', plus(['a: b\r\nx', 'y']), 'field-name'],
    ['a colon in a name', plus(['a:b', 'c']), 'field-name'],
    ['a line that ends in a name', plus(['a: b\r\n\r\nGET', 'y']), 'field-value'],
    ['a space in a name', plus(['a b', 'c']), 'space-before-colon'],
    ['an empty name', plus(['', 'c']), 'field-name'],
    ['upper case in a name', plus(['A', 'c']), 'field-name'],
    ['Transfer-Encoding', plus(['transfer-encoding', 'chunked']), 'connection-field'],
    ['Connection', plus(['connection', 'close']), 'connection-field'],
    ['Keep-Alive', plus(['keep-alive', '5']), 'connection-field'],
    ['Proxy-Connection', plus(['proxy-connection', 'close']), 'connection-field'],
    ['Upgrade', plus(['upgrade', 'websocket']), 'connection-field'],
    ['TE other than trailers', plus(['te', 'gzip']), 'connection-field'],
    ['two Host', plus(['host', 'example.test'], ['host', 'example.test']), 'host-repeated'],
    ['Host of another mind', plus(['host', 'evil.test']), 'host-differs'],
    ['two lengths', plus(['content-length', '1'], ['content-length', '1']), 'cl-repeated'],
    ['a length with a sign', plus(['content-length', '+1']), 'cl-value'],
    ['a list of lengths', plus(['content-length', '1, 1']), 'cl-value'],
    ['a length without a body', plus(['content-length', '1']), 'cl-mismatch'],
  ]
  for (const [what, pairs, detail] of rows) t.equal(outcome(pairs), `reset ${detail}`, what)
})

t.test('a bad request that is well-formed HTTP/2 is answered', async t => {
  const long = 'x'.repeat(5000)
  t.equal(outcome(having({ ':authority': undefined })), 'answered host-missing')
  t.equal(outcome(having({ ':authority': '' })), 'answered host-value')
  t.equal(outcome(having({ ':authority': 'user@example.test' })), 'answered host-value')
  t.equal(outcome(having({ ':authority': 'example.test:0' })), 'answered host-value')
  t.equal(outcome(having({ ':path': '/100%' })), 'answered target-percent')
  t.equal(outcome(having({ ':path': `/${long.slice(0, 2000)}` })), 'answered target-too-long')
  t.equal(outcome(plus(['a', long])), 'answered head-too-large')
  t.equal(outcome(plus(...Array.from({ length: 21 }, (): Pair => ['a', 'b']))), 'answered header-count')
  t.equal(outcome(plus(['expect', 'more'])), 'answered expect')
  t.equal(outcome(having({ ':method': 'TRACE' })), 'answered trace')
  t.equal(
    outcome([
      [':method', 'CONNECT'],
      [':authority', 'example.test:443'],
    ]),
    'answered connect',
  )
  t.equal(
    outcome(TUNNEL.map(([n, v]) => [n, n === ':protocol' ? 'connect-udp' : v])),
    'answered protocol-unknown',
  )
})

t.test('Host stands in for :authority, and may repeat it', async t => {
  const alone = read([...having({ ':authority': undefined }), ['host', 'a.test:81']])
  t.match(alone, { host: 'a.test:81', hostname: 'a.test' })
  t.match(read(plus(['host', 'Example.test'])), { hostname: 'example.test' })
})

t.test('cookie crumbs are one line again, and count as one field (RFC 9113 8.2.3)', async t => {
  const crumbs = Array.from({ length: 30 }, (_, i): Pair => ['cookie', `c${i}=1`])
  const head = read(plus(...crumbs, ['a', 'b']))
  t.ok(head instanceof Http2Request)
  if (head instanceof Http2Request)
    t.equal(head.fields.toText(), `a: b\r\ncookie: ${crumbs.map(([, value]) => value).join('; ')}\r\n`)
})

t.test('the body is framed by its length, by its end, or not at all', async t => {
  t.match(read(plus(['content-length', '12']), false), { framing: 'length', contentLength: 12 })
  t.match(read(FIRST, false), { framing: 'chunked', contentLength: 0 })
  t.match(read(plus(['content-length', '0'])), { framing: 'length', contentLength: 0 })
  t.match(read(plus(['expect', '100-continue']), false), { expectsContinue: true })
  t.match(read(plus(['expect', '100-continue'])), { expectsContinue: false })
})

t.test('an extended CONNECT is a request to switch, with a key of ours (RFC 8441)', async t => {
  const head = read([...TUNNEL, ['sec-websocket-key', 'theirs']], false)
  t.ok(head instanceof Http2Request)
  if (!(head instanceof Http2Request)) return
  t.match(head, { method: 'GET', target: '/chat', framing: 'none', webSocket: true })
  t.equal(websocketKey(head), KEY)
  t.notMatch(read(FIRST), { webSocket: true })
})

t.test('trailers may be anything that could be dropped', async t => {
  const fault = (...pairs: readonly Pair[]) => http2TrailerFault(pairs.flat(), LIMITS)
  t.equal(fault(['x-checksum', 'abc'], ['x', '']), undefined)
  t.equal(fault([':path', '/']), 'trailers')
  t.equal(fault(['X', 'y']), 'trailers')
  t.equal(fault(['a', 'b\r\nc: d']), 'trailers')
  t.equal(fault(['transfer-encoding', 'chunked']), 'trailers')
  t.equal(fault(['content-length', '1']), 'trailers')
  t.equal(fault(['host', 'a']), 'trailers')
})

const nasty = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  ':',
  ' ',
  '\t',
  '\0',
  '\x7f',
  '\xff',
  '\u010d',
  '"',
  '%',
  'A',
  'a',
  ';',
  '',
)
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b-c', '/', 'x: y', '1') },
  { weight: 1, arbitrary: nasty },
)
const word = fc.array(piece, { maxLength: 4 }).map(pieces => pieces.join(''))
const name = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('accept', 'x-a', 'cookie', 'content-length', 'host', 'te', 'expect', 'x_y'),
  },
  { weight: 1, arbitrary: word },
)
const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('1', 'trailers', 'example.test', 'a=b', '') },
  { weight: 1, arbitrary: word },
)
const list = fc.record({
  first: fc.constantFrom(FIRST, TUNNEL, having({ ':authority': undefined })),
  pseudo: fc.option(fc.tuple(fc.nat(4), word), { freq: 3 }),
  fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
  endStream: fc.boolean(),
})

t.test(
  'whatever comes, nothing throws, and what is taken is one request to a reader of HTTP/1.1',
  async t => {
    let taken = 0
    fc.assert(
      fc.property(list, ({ first, pseudo, fields, endStream }) => {
        const pairs: Pair[] = [...first, ...fields]
        const changed = pseudo === null ? undefined : pairs[pseudo[0]]
        if (pseudo !== null && changed !== undefined) pairs[pseudo[0]] = [changed[0], pseudo[1]]
        const head = read(pairs, endStream)
        if ('refused' in head) return true
        taken += 1
        const host = head.fields.has(FIELD.host) ? '' : `host: ${head.host}\r\n`
        const text = `${head.method} ${head.target} HTTP/1.1\r\n${host}${head.fields.toText()}\r\n`
        const again = parseRequestHead(text, { ...LIMITS, headersBytes: 8192, headerCount: 40 })
        if (again === undefined || 'refused' in again) return false
        const wanted = pairs.filter(([name]) => !name.startsWith(':') && name !== 'cookie').length
        const own = head.webSocket ? 2 : 0
        const cookies = pairs.some(([name]) => name === 'cookie') ? 1 : 0
        const added = host === '' ? 0 : 1
        return again.size === text.length && again.fields.count === wanted + own + cookies + added
      }),
      { numRuns: 5000 },
    )
    t.ok(taken > 200, `${taken} were taken`)
  },
)
