import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { assertRefused, type Refusal } from '../support/refusals.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [upstream.port] }) })

const line = (text: string) => `${text}\r\nHost: example.test\r\n\r\n`
const target = (text: string) => line(`GET ${text} HTTP/1.1`)
const fields = (text: string) => `GET /fields HTTP/1.1\r\nHost: example.test\r\n${text}\r\n\r\n`
const host = (value: string) => `GET /host HTTP/1.1\r\nHost:${value}\r\n\r\n`

const LINES: Refusal[] = [
  ['bare LF', 'GET / HTTP/1.1\nHost: example.test\r\n\r\n', 400],
  ['all bare LF', 'GET / HTTP/1.1\nHost: example.test\n\n', 400],
  ['bare CR', 'GET / HTTP/1.1\rHost: example.test\r\n\r\n', 400],
  ['two CR', 'GET / HTTP/1.1\r\r\nHost: example.test\r\n\r\n', 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 400],
  ['two spaces', line('GET  / HTTP/1.1'), 400],
  ['two spaces before the version', line('GET /  HTTP/1.1'), 400],
  ['space behind', line('GET / HTTP/1.1 '), 400],
  ['space before', line(' GET / HTTP/1.1'), 400],
  ['tab for space', line('GET\t/ HTTP/1.1'), 400],
  ['no method', line('/ HTTP/1.1'), 400],
  ['lower-case version', line('GET / http/1.1'), 400],
  ['version 1.10', line('GET / HTTP/1.10'), 400],
  ['version 01.1', line('GET / HTTP/01.1'), 400],
  ['version 1', line('GET / HTTP/1'), 400],
  ['version 1.', line('GET / HTTP/1.'), 400],
  ['version with plus', line('GET / HTTP/+1.1'), 400],
  ['other protocol', line('GET / HTTPS/1.1'), 400],
  ['ICY', line('GET / ICY/1.1'), 400],
  ['version 2.0', line('GET / HTTP/2.0'), 505],
  ['version 3.0', line('GET / HTTP/3.0'), 505],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['method with parenthesis', line('G(T / HTTP/1.1'), 400],
  ['method with colon', line('GET: / HTTP/1.1'), 400],
  ['method with NUL', line('GE\0T / HTTP/1.1'), 400],
  ['method with quotes', line('"GET" / HTTP/1.1'), 400],
  ['method beyond ASCII', line('G\xc9T / HTTP/1.1'), 400],
  ['two empty lines before', `\r\n\r\n${line('GET / HTTP/1.1')}`, 400],
  ['a bare LF before', `\n${line('GET / HTTP/1.1')}`, 400],
  ['PROXY protocol', `PROXY TCP4 6.6.6.6 127.0.0.1 1 80\r\n${line('GET / HTTP/1.1')}`, 400],
  [
    'PROXY protocol 2',
    `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c${'\x06'.repeat(12)}${line('GET / HTTP/1.1')}`,
    400,
  ],
  ['TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ['CONNECT', 'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n', 501],
  ['TRACE', line('TRACE / HTTP/1.1'), 405],
]

const TARGETS: Refusal[] = [
  ['asterisk for GET', target('*'), 400],
  ['no slash', target('evil'), 400],
  ['at sign', target('@evil.test/'), 400],
  ['port', target(':8080/'), 400],
  ['fragment', target('/a#b'), 400],
  ['fragment in the query', target('/a?b#c'), 400],
  ['space', target('/a b'), 400],
  ['NUL', target('/a\0'), 400],
  ['control', target('/a\x1f'), 400],
  ['DEL', target('/a\x7f'), 400],
  ['tab', target('/a\tb'), 400],
  ['beyond ASCII', target('/\xc3\xa9'), 400],
  [
    'truncated Unicode',
    target('/\u010d\u010a'.replace(/[^\x20-\x7e]/g, c => String.fromCharCode(c.charCodeAt(0) & 255))),
    400,
  ],
  ['backslash', target('/a\\b'), 400],
  ['half an escape', target('/%4'), 400],
  ['no escape', target('/%zz'), 400],
  ['absolute, other host', target('http://evil.test/'), 400],
  ['absolute, user', target('http://user@example.test/'), 400],
  ['absolute, no host', target('http:///'), 400],
  ['absolute, other scheme', target('ftp://example.test/'), 400],
  ['absolute, fragment', target('http://example.test/#a'), 400],
]

const FIELDS: Refusal[] = [
  ['space before colon', fields('A : b'), 400],
  ['tab before colon', fields('A\t: b'), 400],
  ['space in the name', fields('A B: c'), 400],
  ['no name', fields(': b'), 400],
  ['no colon', fields('A'), 400],
  ['folded with space', fields('A: b\r\n c'), 400],
  ['folded with tab', fields('A: b\r\n\tc'), 400],
  ['folded Host', 'GET / HTTP/1.1\r\nHost:\r\n example.test\r\n\r\n', 400],
  ['blank before the first', 'GET / HTTP/1.1\r\n Host: example.test\r\n\r\n', 400],
  ['NUL in the name', fields('A\0: b'), 400],
  ['parenthesis in the name', fields('A(b): c'), 400],
  ['name beyond ASCII', fields('A\xe9: b'), 400],
  ['NUL in the value', fields('A: b\0c'), 400],
  ['bare CR in the value', fields('A: b\rc'), 400],
  ['bare LF', fields('A: b\nC: d'), 400],
  ['CR before CRLF', fields('A: b\r'), 400],
  ['escape in the value', fields('A: \x1b[31m'), 400],
  ['DEL in the value', fields('A: \x7f'), 400],
  ['vertical tab in the value', fields('A: \x0b'), 400],
  ['Connection is no list of tokens', fields('Connection: a b'), 400],
  ['Expect is something else', fields('Expect: 200-ok'), 417],
]

const HOSTS: Refusal[] = [
  ['none', 'GET / HTTP/1.1\r\nA: b\r\n\r\n', 400],
  ['two', 'GET / HTTP/1.1\r\nHost: example.test\r\nHost: evil.test\r\n\r\n', 400],
  ['two, the same', 'GET / HTTP/1.1\r\nHost: example.test\r\nhost: example.test\r\n\r\n', 400],
  ['two, in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: example.test\r\nHost: evil.test\r\n\r\n', 400],
  ['space inside', host(' a b'), 400],
  ['slash', host(' example.test/evil'), 400],
  ['comma', host(' example.test, evil.test'), 400],
  ['user', host(' user@example.test'), 400],
  ['user and password', host(' user:pass@example.test'), 400],
  ['port with letters', host(' example.test:8x'), 400],
  ['port with sign', host(' example.test:+80'), 400],
  ['port too big', host(' example.test:99999'), 400],
  ['two ports', host(' example.test:80:80'), 400],
  ['open bracket', host(' [::1'), 400],
  ['no bracket', host(' ::1'), 400],
  ['behind the bracket', host(' [::1]x'), 400],
  ['no IPv6 in brackets', host(' [example.test]'), 400],
  ['hash', host(' example.test#x'), 400],
  ['question mark', host(' example.test?x'), 400],
  ['backslash', host(' example.test\\evil'), 400],
  ['quote', host(' "example.test"'), 400],
  ['markup', host(' <script>'), 400],
  ['beyond ASCII', host(' ex\xe4mple.test'), 400],
  ['CR', host(' example.test\rX'), 400],
]

for (const [title, table] of [
  ['request lines are refused that are not exactly one (RFC 9112 3)', LINES],
  ['targets are refused that an app could read in two ways', TARGETS],
  ['fields are refused that are not exactly name, colon, value (RFC 9112 5)', FIELDS],
  ['hosts are refused that are not exactly one host and port (RFC 9110 7.2)', HOSTS],
] as const) {
  t.test(title, async t => {
    for (const refusal of table) await assertRefused(t, causeway.port(), upstream, refusal)
  })
}

t.test('limits of the head are named by their status', async t => {
  const TOO_MUCH: Refusal[] = [
    ['target', target(`/${'a'.repeat(9_000)}`), 414],
    ['one field', fields(`A: ${'a'.repeat(40_000)}`), 431],
    ['all fields', fields(`A: ${'a'.repeat(900)}\r\n`.repeat(40).slice(0, -2)), 431],
    ['count', fields('A: b\r\n'.repeat(101).slice(0, -2)), 431],
  ]
  for (const refusal of TOO_MUCH) await assertRefused(t, causeway.port(), upstream, refusal)
})

t.test('a head may be as long as its limit says', async t => {
  const generous = await startCauseway(t, {
    config: configText({
      endpoints: [upstream.port],
      listener: 'limits = { headers = "300KiB", header_count = 200 }',
    }),
  })
  const client = await RawClient.connect(generous.port())
  client.send(fields(`${'A: 12345\r\n'.repeat(150)}Long: ${'a'.repeat(200_000)}`))
  t.equal((await client.response()).status, 200)
  client.destroy()
  await assertClean(t, generous)
})

t.test('what is correct is taken, however unusual', async t => {
  const TAKEN: readonly (readonly [name: string, bytes: string, target: string, host: string])[] = [
    ['a line before', `\r\n${target('/a')}`, '/a', 'example.test'],
    ['own method', line('BREW /pot HTTP/1.1'), '/pot', 'example.test'],
    ['lower-case method', line('get /a HTTP/1.1'), '/a', 'example.test'],
    ['two slashes', target('//evil.test/a'), '//evil.test/a', 'example.test'],
    ['query that looks like a target', target('/a?b=http://c/?d'), '/a?b=http://c/?d', 'example.test'],
    ['browser characters in the query', target('/a?b=c|d"{}'), '/a?b=c|d"{}', 'example.test'],
    ['escapes stay as they are', target('/%2e%2E/%41%c3%a9'), '/%2e%2E/%41%c3%a9', 'example.test'],
    ['absolute form', target('http://example.test/a?b'), '/a?b', 'example.test'],
    ['host with port', host(' example.test:8443'), '/host', 'example.test:8443'],
    ['host in capitals', host(' EXAMPLE.test'), '/host', 'EXAMPLE.test'],
    ['IPv4', host(' 127.0.0.1:80'), '/host', '127.0.0.1:80'],
    ['IPv6', host(' [::1]:80'), '/host', '[::1]:80'],
    ['host without space', host('example.test'), '/host', 'example.test'],
    ['asterisk for OPTIONS', line('OPTIONS * HTTP/1.1'), '*', 'example.test'],
    ['empty value', fields('A:'), '/fields', 'example.test'],
    ['bytes beyond ASCII in a value', fields('A: \xe9\xff'), '/fields', 'example.test'],
    ['every token character in a name', fields("!#$%&'*+-.^`|~0aZ: b"), '/fields', 'example.test'],
  ]
  for (const [name, bytes, wanted, wantedHost] of TAKEN) {
    const before = upstream.requests.length
    const client = await RawClient.connect(causeway.port())
    await client.sendInPieces(bytes, 3)
    t.equal((await client.response()).status, 200, `${name}: status`)
    const request = upstream.requests[before]
    t.equal(request?.target, wanted, `${name}: target`)
    t.equal(request?.field('host'), wantedHost, `${name}: host`)
    client.destroy()
  }
})

t.test('fields named like parts of a JavaScript object are fields like others', async t => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']
  const client = await RawClient.connect(causeway.port())
  client.send(fields([...names.map(name => `${name}: x`), 'Connection: __proto__, constructor'].join('\r\n')))
  t.equal((await client.response()).status, 200)
  const seen = upstream.requests.at(-1)?.names ?? []
  t.ok(seen.includes('tostring') && seen.includes('hasownproperty') && seen.includes('prototype'))
  t.notOk(seen.includes('__proto__'), 'has underscores')
  t.notOk(seen.includes('constructor'), 'named in Connection')
  client.send(target('/__proto__?__proto__=1&constructor=2'))
  t.equal((await client.response()).status, 200, 'and paths and queries too')
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  t.equal(upstream.seen('/smuggled').length, 0)
  await assertClean(t, causeway, [upstream])
})
