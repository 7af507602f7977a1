import t from 'tap'
import { REQUEST_DETAILS, requestRefusal } from '../lib/wire/refusal.ts'
import { parseRequestHead } from '../lib/wire/request-head.ts'
import { detailOf, holds, LIMITS, lined, pieceByPiece, requestOf } from './support/wire-vectors.ts'

t.test('the end of a line is CRLF and nothing else (RFC 9112 2.2)', async t => {
  holds(t, [
    ['a LF alone behind the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 'bare-lf'],
    ['a CR alone behind the request line', 'GET / HTTP/1.1\rHost: a\r\n\r\n', 'bare-cr'],
    ['two CR behind the request line', 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n', 'bare-cr'],
    ['LF for every line', 'GET / HTTP/1.1\nHost: a\n\n', 'bare-lf'],
    ['a LF in the method', 'GE\nT / HTTP/1.1\r\nHost: a\r\n\r\n', 'bare-lf'],
    ['a CR in the method', 'GE\rT / HTTP/1.1\r\nHost: a\r\n\r\n', 'method'],
    ['a LF for the first space', 'GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bare-lf'],
    ['a LF in the target', 'GET /\n HTTP/1.1\r\nHost: a\r\n\r\n', 'version'],
    ['a LF in the query', 'GET /?\n HTTP/1.1\r\nHost: a\r\n\r\n', 'version'],
    ['a CR in the target', 'GET /\rb HTTP/1.1\r\nHost: a\r\n\r\n', 'version'],
    ['a LF for the second space', 'GET /\nHTTP/1.1\r\nHost: a\r\n\r\n', 'version'],
    ['a LF in the version', 'GET / HTTP/1\n.1\r\nHost: a\r\n\r\n', 'version'],
    ['one empty line before the request is skipped', `\r\n${lined('GET / HTTP/1.1')}`, 'ok'],
    ['two are not', `\r\n\r\n${lined('GET / HTTP/1.1')}`, 'empty-lines'],
    ['an empty line that is a LF', `\n${lined('GET / HTTP/1.1')}`, 'empty-lines'],
    ['an empty line that is a CR', `\r${lined('GET / HTTP/1.1')}`, 'empty-lines'],
    ['a LF behind the empty line', `\r\n\n${lined('GET / HTTP/1.1')}`, 'empty-lines'],
    ['a space before the request', ` ${lined('GET / HTTP/1.1')}`, 'method'],
    ['a tab before the request', `\t${lined('GET / HTTP/1.1')}`, 'method'],
    ['a NUL before the request', `\0${lined('GET / HTTP/1.1')}`, 'method'],
    ['a byte order mark before the request', `\xef\xbb\xbf${lined('GET / HTTP/1.1')}`, 'method'],
    ['an empty line and no more', '\r\n', 'more'],
    ['half an empty line', '\r', 'more'],
    ['nothing', '', 'more'],
  ])
})

t.test('the parts of the request line are parted by one space (RFC 9112 3)', async t => {
  holds(t, [
    ['as it should be', lined('GET / HTTP/1.1'), 'ok'],
    ['two spaces behind the method', lined('GET  / HTTP/1.1'), 'request-line'],
    ['two spaces behind the target', lined('GET /  HTTP/1.1'), 'version'],
    ['a space behind the version', lined('GET / HTTP/1.1 '), 'version'],
    ['a tab behind the method', lined('GET\t/ HTTP/1.1'), 'method'],
    ['a tab behind the target', lined('GET /\tHTTP/1.1'), 'target-character'],
    ['a vertical tab behind the method', lined('GET\x0b/ HTTP/1.1'), 'method'],
    ['a form feed behind the target', lined('GET /\x0cHTTP/1.1'), 'target-character'],
    ['a no-break space behind the method', lined('GET\xa0/ HTTP/1.1'), 'method'],
    ['a space inside the target', lined('GET /a b HTTP/1.1'), 'version'],
    ['a second version inside the target', lined('GET /a HTTP/1.1 HTTP/1.1'), 'version'],
    ['no target', lined('GET HTTP/1.1'), 'version'],
    ['no version', lined('GET /'), 'version'],
    ['a space and no version', lined('GET / '), 'version'],
    ['only a method', lined('GET'), 'method'],
    ['no method', lined('/ HTTP/1.1'), 'method'],
    ['an empty method', lined(' / HTTP/1.1'), 'method'],
    ['a response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'method'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'method'],
    ['the PROXY protocol', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n', 'version'],
    ['the PROXY protocol, second version', '\r\n\r\n\0\r\nQUIT\n', 'empty-lines'],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-unsupported'],
  ])
})

t.test('a method is a token, and its case counts (RFC 9110 9.1)', async t => {
  const methods = [
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'PROPFIND',
    'M-SEARCH',
    'get',
    "!#$%&'*+-.^_`|~9",
  ]
  for (const method of methods) t.equal(requestOf(lined(`${method} / HTTP/1.1`)).method, method)
  holds(t, [
    ['a colon', lined('GE:T / HTTP/1.1'), 'method'],
    ['a slash', lined('GE/T / HTTP/1.1'), 'method'],
    ['quotes', lined('"GET" / HTTP/1.1'), 'method'],
    ['brackets', lined('[GET] / HTTP/1.1'), 'method'],
    ['braces', lined('{GET} / HTTP/1.1'), 'method'],
    ['a comma', lined('GET,POST / HTTP/1.1'), 'method'],
    ['an equals sign', lined('GET= / HTTP/1.1'), 'method'],
    ['a question mark', lined('GET? / HTTP/1.1'), 'method'],
    ['a NUL', lined('GET\0 / HTTP/1.1'), 'method'],
    ['a DEL', lined('GET\x7f / HTTP/1.1'), 'method'],
    ['a byte above 127', lined('G\xcbT / HTTP/1.1'), 'method'],
    ['32 characters', lined(`${'A'.repeat(32)} / HTTP/1.1`), 'ok'],
    ['33 characters', lined(`${'A'.repeat(33)} / HTTP/1.1`), 'method'],
    ['33 characters and no space yet', 'A'.repeat(33), 'method'],
    ['CONNECT is for forward proxies', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 'connect'],
    ['CONNECT with a path', lined('CONNECT / HTTP/1.1'), 'connect'],
    ['TRACE would show our own fields', lined('TRACE / HTTP/1.1'), 'trace'],
    ['PRI is reserved', lined('PRI / HTTP/1.1'), 'method'],
    ['connect is another method', lined('connect / HTTP/1.1'), 'ok'],
  ])
})

t.test('versions (RFC 9112 2.3)', async t => {
  t.equal(requestOf(lined('GET / HTTP/1.1')).protocol, 'HTTP/1.1')
  t.equal(requestOf(lined('GET / HTTP/1.0')).protocol, 'HTTP/1.0')
  holds(t, [
    ['0.9 without a version', 'GET /\r\n', 'version'],
    ['0.9 with one', lined('GET / HTTP/0.9'), 'version'],
    ['1.2', lined('GET / HTTP/1.2'), 'version'],
    ['1.9', lined('GET / HTTP/1.9'), 'version'],
    ['1.10', lined('GET / HTTP/1.10'), 'version'],
    ['1.01', lined('GET / HTTP/1.01'), 'version'],
    ['01.1', lined('GET / HTTP/01.1'), 'version'],
    ['11.1', lined('GET / HTTP/11.1'), 'version'],
    ['1', lined('GET / HTTP/1'), 'version'],
    ['1.', lined('GET / HTTP/1.'), 'version'],
    ['.1', lined('GET / HTTP/.1'), 'version'],
    ['1,1', lined('GET / HTTP/1,1'), 'version'],
    ['1.1 with a sign', lined('GET / HTTP/+1.1'), 'version'],
    ['lower case', lined('GET / http/1.1'), 'version'],
    ['mixed case', lined('GET / Http/1.1'), 'version'],
    ['another protocol', lined('GET / ICAP/1.0'), 'version'],
    ['a shorter name', lined('GET / HTP/1.1'), 'version'],
    ['a space in it', lined('GET / HTTP/ 1.1'), 'version'],
    ['a backslash', lined('GET / HTTP\\1.1'), 'version'],
    ['a NUL behind it', lined('GET / HTTP/1.1\0'), 'version'],
    ['a letter behind it', lined('GET / HTTP/1.1x'), 'version'],
    ['a superscript digit', lined('GET / HTTP/1.\xb9'), 'version'],
    ['2.0', lined('GET / HTTP/2.0'), 'version-unsupported'],
    ['2.1', lined('GET / HTTP/2.1'), 'version-unsupported'],
    ['3.7', lined('GET / HTTP/3.7'), 'version-unsupported'],
    ['2 alone', lined('GET / HTTP/2'), 'version'],
  ])
})

t.test('a target is a path, or an address, or * (RFC 9112 3.2)', async t => {
  holds(t, [
    ['without a slash', lined('GET a HTTP/1.1'), 'target-form'],
    ['a relative path', lined('GET ../a HTTP/1.1'), 'target-form'],
    ['only a query', lined('GET ?a HTTP/1.1'), 'target-form'],
    ['an authority', lined('GET a:80 HTTP/1.1'), 'target-form'],
    ['an authority that moves the host', lined('GET @evil HTTP/1.1'), 'target-form'],
    ['a port that moves the host', lined('GET :8080/ HTTP/1.1'), 'target-form'],
    ['a backslash path', lined('GET \\a HTTP/1.1'), 'target-character'],
    ['* for GET', lined('GET * HTTP/1.1'), 'target-form'],
    ['* for OPTIONS', lined('OPTIONS * HTTP/1.1'), 'ok'],
    ['* and more', lined('OPTIONS *a HTTP/1.1'), 'target-form'],
    ['* and a query', lined('OPTIONS *?a HTTP/1.1'), 'target-form'],
    ['a path for OPTIONS', lined('OPTIONS /a HTTP/1.1'), 'ok'],
    ['two slashes are a path', lined('GET //evil/a HTTP/1.1'), 'ok'],
    ['dot segments are a path', lined('GET /a/../b HTTP/1.1'), 'ok'],
    ['a fragment', lined('GET /a#b HTTP/1.1'), 'target-character'],
    ['a fragment behind the query', lined('GET /a?b#c HTTP/1.1'), 'target-character'],
    ['an empty fragment', lined('GET /# HTTP/1.1'), 'target-character'],
    ['a backslash in the path', lined('GET /a\\b HTTP/1.1'), 'target-character'],
    ['a backslash in the query', lined('GET /?a\\b HTTP/1.1'), 'ok'],
    ['what browsers leave raw', lined('GET /a|b"c{d}^`<>[]?x|y"{z}^`<>[] HTTP/1.1'), 'ok'],
    ['a byte above 127 in the path', lined('GET /caf\xe9 HTTP/1.1'), 'target-character'],
    ['a byte above 127 in the query', lined('GET /?caf\xe9 HTTP/1.1'), 'target-character'],
    ['a NUL in the path', lined('GET /a\0b HTTP/1.1'), 'target-character'],
    ['a NUL in the query', lined('GET /?a\0b HTTP/1.1'), 'target-character'],
    ['an ESC in the path', lined('GET /\x1b[2J HTTP/1.1'), 'target-character'],
    ['a DEL in the path', lined('GET /\x7f HTTP/1.1'), 'target-character'],
    ['percent-encoding', lined('GET /%c3%A9%2f%5C HTTP/1.1'), 'ok'],
    ['an encoded line end', lined('GET /%0d%0a HTTP/1.1'), 'ok'],
    ['an encoded NUL', lined('GET /a%00b HTTP/1.1'), 'target-percent'],
    ['a percent sign without digits', lined('GET /% HTTP/1.1'), 'target-percent'],
    ['with one digit', lined('GET /%4 HTTP/1.1'), 'target-percent'],
    ['with a letter behind f', lined('GET /%fg HTTP/1.1'), 'target-percent'],
    ['with u', lined('GET /%u0041 HTTP/1.1'), 'target-percent'],
    ['doubled', lined('GET /%%41 HTTP/1.1'), 'target-percent'],
    ['cut by the query', lined('GET /%4?1 HTTP/1.1'), 'target-percent'],
    ['a percent sign in the query', lined('GET /?100%&%zz&%00 HTTP/1.1'), 'ok'],
  ])
})

t.test('the target is split at the first ? and left as it is', async t => {
  const parts = (target: string) => {
    const { path, query, target: whole } = requestOf(lined(`GET ${target} HTTP/1.1`))
    return [whole, path, query]
  }
  t.same(parts('/'), ['/', '/', undefined])
  t.same(parts('/a?b=c'), ['/a?b=c', '/a', 'b=c'])
  t.same(parts('/a?'), ['/a?', '/a', ''])
  t.same(parts('/a?b?c'), ['/a?b?c', '/a', 'b?c'])
  t.same(parts('/?/../%2e'), ['/?/../%2e', '/', '/../%2e'])
  t.same(parts('/%2e%2E/../A'), ['/%2e%2E/../A', '/%2e%2E/../A', undefined])
})

t.test('an absolute form is cut to its path, and its authority is the host (RFC 9112 3.2.2)', async t => {
  const parts = (line: string, host = 'a') => {
    const head = requestOf(`${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    return [head.target, head.path, head.query, head.host]
  }
  t.same(parts('GET http://a/b?c'), ['/b?c', '/b', 'c', 'a'])
  t.same(parts('GET HTTPS://A/'), ['/', '/', undefined, 'A'])
  t.same(parts('GET http://a'), ['/', '/', undefined, 'a'])
  t.same(parts('GET http://a?x'), ['/?x', '/', 'x', 'a'])
  t.same(parts('GET http://a?x=http://b/'), ['/?x=http://b/', '/', 'x=http://b/', 'a'])
  t.same(parts('GET http://a:80//b', 'a:80'), ['//b', '//b', undefined, 'a:80'])
  t.same(parts('OPTIONS http://a'), ['*', '*', undefined, 'a'])
  t.same(parts('OPTIONS http://a/'), ['/', '/', undefined, 'a'])
  t.same(parts('OPTIONS http://a?x'), ['/?x', '/', 'x', 'a'])
  t.equal(requestOf('GET http://a.b:81/ HTTP/1.0\r\n\r\n').host, 'a.b:81', 'also without Host')
  t.equal(requestOf('GET http://a.b:81/ HTTP/1.0\r\nHost:\r\n\r\n').hostname, 'a.b')
  holds(t, [
    ['another Host', lined('GET http://b/ HTTP/1.1'), 'host-differs'],
    ['another port', lined('GET http://a:80/ HTTP/1.1'), 'host-differs'],
    ['a Host in another case', lined('GET http://A/ HTTP/1.1'), 'ok'],
    ['a bad Host', 'GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n', 'host-value'],
    ['no Host', 'GET http://a/ HTTP/1.1\r\n\r\n', 'host-missing'],
    ['a user', lined('GET http://user@a/ HTTP/1.1'), 'host-value'],
    ['a user and a password', lined('GET http://a:b@a/ HTTP/1.1'), 'host-value'],
    ['no authority', lined('GET http:///a HTTP/1.1'), 'host-value'],
    ['an empty port', lined('GET http://a:/ HTTP/1.1'), 'host-value'],
    ['port 0', lined('GET http://a:0/ HTTP/1.1'), 'host-value'],
    ['an encoded authority', lined('GET http://%61/ HTTP/1.1'), 'host-value'],
    ['a backslash', lined('GET http://a\\b/ HTTP/1.1'), 'target-character'],
    ['a fragment', lined('GET http://a/#b HTTP/1.1'), 'target-character'],
    ['a fragment in the authority', lined('GET http://a#b/ HTTP/1.1'), 'target-character'],
    ['one slash', lined('GET http:/a/ HTTP/1.1'), 'target-form'],
    ['no slash', lined('GET http:a HTTP/1.1'), 'target-form'],
    ['another scheme', lined('GET ftp://a/ HTTP/1.1'), 'target-form'],
    ['a WebSocket scheme', lined('GET ws://a/ HTTP/1.1'), 'target-form'],
    ['a file', lined('GET file:///etc/passwd HTTP/1.1'), 'target-form'],
    ['only a scheme', lined('GET http:// HTTP/1.1'), 'host-value'],
    ['no scheme', lined('GET ://a/ HTTP/1.1'), 'target-form'],
    ['a bad percent sign in the path', lined('GET http://a/%zz HTTP/1.1'), 'target-percent'],
  ])
})

t.test('a request line may be as long as its limit', async t => {
  const limits = { headersBytes: 1000, headerCount: 10, targetBytes: 100 }
  const detail = (text: string) => detailOf(text, limits)
  const line = (length: number) => `GET /${'a'.repeat(length - 14)} HTTP/1.1`
  t.equal(detail(lined(line(100))), 'ok')
  t.equal(detail(`\r\n${lined(line(100))}`), 'ok', 'an empty line before it is not part of it')
  for (const [promise, text] of [
    ['one more', lined(line(101))],
    ['one more behind an empty line', `\r\n${lined(line(101))}`],
    ['many more', lined(line(5000))],
    ['a target without an end', `GET /${'a'.repeat(98)}`],
    ['a query without an end', `GET /?${'a'.repeat(98)}`],
  ] as const) {
    t.equal(detail(text), 'target-too-long', promise)
    t.equal(pieceByPiece(text, detail), 'target-too-long', `${promise}, byte by byte`)
  }
  t.equal(detail(`GET /${'a'.repeat(97)}`), 'more', 'the end may still come')
  t.equal(
    detail(`GET /${'a'.repeat(20)}\0${'a'.repeat(500)}`),
    'target-character',
    'what is bad in it comes first',
  )
})

t.test('each refusal has its answer', async t => {
  const answers: Readonly<Record<string, string>> = {
    'target-too-long': 'TARGET_TOO_LONG',
    'version-unsupported': 'BAD_VERSION',
    connect: 'NOT_IMPLEMENTED',
    trace: 'METHOD_NOT_ALLOWED',
    'head-too-large': 'HEAD_TOO_LARGE',
    'header-count': 'HEAD_TOO_LARGE',
    'te-unknown': 'NOT_IMPLEMENTED',
    'protocol-unknown': 'NOT_IMPLEMENTED',
    expect: 'EXPECTATION_FAILED',
  }
  for (const detail of REQUEST_DETAILS) {
    t.same(requestRefusal(detail), { refused: answers[detail] ?? 'BAD_REQUEST', detail })
  }
})

t.test('what stands behind a head is not its business', async t => {
  const first = lined('POST /a HTTP/1.1')
  const head = parseRequestHead(`${first}\0\n\r GET`, LIMITS)
  t.match(head, { method: 'POST', size: first.length })
  t.equal(requestOf(`\r\n${first}`).size, first.length + 2, 'an empty line before it counts')
})
