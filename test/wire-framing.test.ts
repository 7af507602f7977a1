import t from 'tap'
import { fielded, holds, requestOf } from './support/wire-vectors.ts'

/** A request of HTTP/1.0 with these lines. */
function old(...lines: readonly string[]): string {
  return `${['GET / HTTP/1.0', ...lines].join('\r\n')}\r\n\r\n`
}

const CL5 = 'Content-Length: 5'
const TE = 'Transfer-Encoding: chunked'

t.test('a body is framed the same way for every method', async t => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PURGE']) {
    const head = (...lines: readonly string[]) => requestOf(fielded(...lines).replace('GET', method))
    t.match(head(), { framing: 'none', contentLength: 0 }, method)
    t.match(head(CL5), { framing: 'length', contentLength: 5 }, method)
    t.match(head('content-length:0'), { framing: 'length', contentLength: 0 }, method)
    t.match(head(TE), { framing: 'chunked', contentLength: 0 }, method)
  }
})

t.test('two readings of a length are none (RFC 9112 6.3)', async t => {
  holds(t, [
    ['length, then chunked', fielded(CL5, TE), 'cl-and-te'],
    ['chunked, then length', fielded(TE, CL5), 'cl-and-te'],
    ['in any case of the names', fielded('content-LENGTH: 5', 'transfer-encoding: CHUNKED'), 'cl-and-te'],
    ['with a length of 0', fielded('Content-Length: 0', TE), 'cl-and-te'],
    ['with an unknown coding', fielded(CL5, 'Transfer-Encoding: identity'), 'cl-and-te'],
    ['with a bad coding', fielded(CL5, 'Transfer-Encoding: xchunked, chunked'), 'cl-and-te'],
    ['with an empty coding', fielded(CL5, 'Transfer-Encoding:'), 'cl-and-te'],
    ['under HTTP/1.0', old(CL5, TE), 'cl-and-te'],
    ['two lengths', fielded(CL5, 'Content-Length: 6'), 'cl-repeated'],
    ['two equal lengths', fielded(CL5, CL5), 'cl-repeated'],
    ['two lengths with others between', fielded(CL5, 'A: b', 'content-length: 0'), 'cl-repeated'],
    ['two codings', fielded(TE, TE), 'te-repeated'],
    ['two codings, one unknown', fielded(TE, 'Transfer-Encoding: identity'), 'te-repeated'],
    ['two codings, one empty', fielded('Transfer-Encoding:', TE), 'te-repeated'],
  ])
})

t.test('a length is digits (RFC 9110 8.6)', async t => {
  for (const value of [
    '',
    '+5',
    '-5',
    '-0',
    '5,5',
    '5, 5',
    '5,',
    ',5',
    '5 5',
    '5\t5',
    '0x5',
    '5h',
    '5.0',
    '5e0',
    '5_0',
    "'5'",
  ]) {
    holds(t, [[JSON.stringify(value), fielded(`Content-Length: ${value}`), 'cl-value']])
  }
  for (const value of [
    '"5"',
    '5;',
    '5; a=b',
    'five',
    'NaN',
    'Infinity',
    '\xb2',
    '\xb5',
    '5\xa0',
    '\xa05',
    '%35',
    '#5',
    '5/5',
  ]) {
    holds(t, [[JSON.stringify(value), fielded(`Content-Length: ${value}`), 'cl-value']])
  }
  for (const value of ['9007199254740992', '18446744073709551616', '18446744073709551621', '9'.repeat(400)]) {
    holds(t, [[`${value.length} digits`, fielded(`Content-Length: ${value}`), 'cl-value']])
  }
  holds(t, [['too many zeros', fielded(`Content-Length: ${'0'.repeat(19)}5`), 'cl-value']])
  const length = (value: string) => requestOf(fielded(`Content-Length:${value}`)).contentLength
  t.equal(length('9007199254740991'), Number.MAX_SAFE_INTEGER)
  t.equal(length('0000000000000000005'), 5, 'zeros before it are only zeros')
  t.equal(length(' \t5\t '), 5, 'blanks around it are not part of it')
})

t.test('a coding is chunked (RFC 9112 6.1)', async t => {
  for (const value of ['chunked', 'CHUNKED', 'cHuNkEd', ' \tchunked  ']) {
    t.equal(requestOf(fielded(`Transfer-Encoding:${value}`)).framing, 'chunked', JSON.stringify(value))
  }
  for (const value of [
    'identity',
    'gzip',
    'xchunked',
    'chunkedx',
    'chunk',
    'x',
    'cow',
    '*',
    'chunked-',
    '_chunked',
  ]) {
    holds(t, [[value, fielded(`Transfer-Encoding: ${value}`), 'te-unknown']])
  }
  for (const value of [
    '',
    'chunked, chunked',
    'gzip, chunked',
    'chunked, gzip',
    'identity, chunked',
    'chunked,',
    ',chunked',
  ]) {
    holds(t, [[JSON.stringify(value), fielded(`Transfer-Encoding: ${value}`), 'te-value']])
  }
  for (const value of [
    'chunked;',
    'chunked;a=b',
    'chunked; q=1',
    '"chunked"',
    'chunked chunked',
    'chunked\tx',
    ';chunked',
    ':chunked',
  ]) {
    holds(t, [[JSON.stringify(value), fielded(`Transfer-Encoding: ${value}`), 'te-value']])
  }
  for (const value of [
    'chun\xe9ed',
    'chunked\xa0',
    '\xa0chunked',
    '\x85chunked',
    'chun\xe2\x84\xaaed',
    '(a) chunked',
    '[chunked]',
    '{}',
  ]) {
    holds(t, [[JSON.stringify(value), fielded(`Transfer-Encoding: ${value}`), 'te-value']])
  }
  holds(t, [
    ['quotes of another kind are a token', fielded("Transfer-Encoding: 'chunked'"), 'te-unknown'],
    ['under HTTP/1.0', old(TE), 'te-http10'],
    ['an unknown one under HTTP/1.0', old('Transfer-Encoding: identity'), 'te-http10'],
    ['a tab behind it', fielded('Transfer-Encoding: chunked\t'), 'te-value'],
    ['a space and a tab behind it', fielded('Transfer-Encoding: chunked \t'), 'te-value'],
    ['TE is another field', fielded('TE: trailers, chunked'), 'ok'],
  ])
})

t.test('there is one Host, and it is a host (RFC 9112 3.2)', async t => {
  const hosted = (...values: readonly string[]) =>
    `${['GET / HTTP/1.1', ...values.map(value => `Host:${value}`)].join('\r\n')}\r\n\r\n`
  holds(t, [
    ['none', 'GET / HTTP/1.1\r\n\r\n', 'host-missing'],
    ['none, but others', 'GET / HTTP/1.1\r\nA: b\r\n\r\n', 'host-missing'],
    ['an empty one', hosted(''), 'host-value'],
    ['blanks', hosted(' \t '), 'host-value'],
    ['two', hosted(' a', ' b'), 'host-repeated'],
    ['two equal ones', hosted(' a', ' a'), 'host-repeated'],
    ['two, one empty', hosted('', ' a'), 'host-repeated'],
    ['two under HTTP/1.0', old('Host: a', 'Host: a'), 'host-repeated'],
    ['a bad one', hosted(' a/b'), 'host-value'],
    ['a bad one under HTTP/1.0', old('Host: a@b'), 'host-value'],
    ['a list', hosted(' a, b'), 'host-value'],
    ['none under HTTP/1.0', old(), 'ok'],
    ['an empty one under HTTP/1.0', old('Host:'), 'ok'],
    ['an underscore makes another field', 'GET / HTTP/1.1\r\nHo_st: a\r\n\r\n', 'host-missing'],
  ])
  t.match(requestOf(hosted(' Example.COM:8080 ')), { host: 'Example.COM:8080', hostname: 'example.com' })
  t.match(requestOf(hosted('[::1]:8080')), { host: '[::1]:8080', hostname: '[::1]' })
  t.match(requestOf(old()), { host: '', hostname: '' })
})

t.test(
  'Connection says whether the connection stays, and what is not to travel on (RFC 9110 7.6.1)',
  async t => {
    const modern = (...values: readonly string[]) =>
      requestOf(fielded(...values.map(value => `Connection: ${value}`)))
    const before = (...values: readonly string[]) =>
      requestOf(old(...values.map(value => `Connection: ${value}`)))
    const named = (...values: readonly string[]) => [...(modern(...values).connectionNamed ?? [])]
    t.equal(modern().keepAlive, true)
    t.equal(modern('keep-alive').keepAlive, true)
    t.equal(modern('close').keepAlive, false)
    t.equal(modern('CLOSE').keepAlive, false)
    t.equal(modern('keep-alive, close').keepAlive, false, 'close is stronger')
    t.equal(modern('close', 'keep-alive').keepAlive, false)
    t.equal(modern('closed').keepAlive, true, 'another word')
    t.equal(before().keepAlive, false)
    t.equal(before('Keep-Alive').keepAlive, true)
    t.equal(before('keep-alive, close').keepAlive, false)
    t.equal(modern('keep-alive').connectionNamed, undefined)
    t.equal(modern('close, , keep-alive').connectionNamed, undefined)
    t.same(named('Upgrade'), ['upgrade'])
    t.same(named('keep-alive, X-Forwarded-For'), ['x-forwarded-for'])
    t.same(named('a', 'close,B ,\tc'), ['a', 'b', 'c'])
    t.same(named('a, A'), ['a'])
    holds(t, [
      ['an empty value', fielded('Connection:'), 'ok'],
      ['empty members', fielded('Connection: ,, a ,,'), 'ok'],
      ['a space in a member', fielded('Connection: a b'), 'connection'],
      ['a quoted member', fielded('Connection: "close"'), 'connection'],
      ['a parameter', fielded('Connection: close;a=b'), 'connection'],
      ['a byte above 127', fielded('Connection: clos\xe9'), 'connection'],
      ['32 names', fielded(`Connection: ${Array.from({ length: 32 }, (_, i) => `n${i}`)}`), 'ok'],
      ['33 names', fielded(`Connection: ${Array.from({ length: 33 }, (_, i) => `n${i}`)}`), 'connection'],
    ])
  },
)

t.test('Expect is 100-continue or nothing we can promise (RFC 9110 10.1.1)', async t => {
  t.equal(requestOf(fielded('Expect: 100-continue', CL5)).expectsContinue, true)
  t.equal(requestOf(fielded('Expect: 100-CONTINUE', CL5)).expectsContinue, true)
  t.equal(requestOf(fielded('Expect: 100-continue', 'Expect: 100-continue')).expectsContinue, true)
  t.equal(requestOf(fielded(CL5)).expectsContinue, false)
  t.equal(requestOf(old('Expect: 100-continue', CL5)).expectsContinue, false, 'not for HTTP/1.0')
  t.equal(requestOf(old('Expect: more')).expectsContinue, false)
  holds(t, [
    ['empty', fielded('Expect:'), 'expect'],
    ['another', fielded('Expect: 200-ok'), 'expect'],
    ['a list', fielded('Expect: 100-continue, 100-continue'), 'expect'],
    ['a parameter', fielded('Expect: 100-continue;a'), 'expect'],
    ['a second one that is not', fielded('Expect: 100-continue', 'Expect: x'), 'expect'],
    ['a first one that is not', fielded('Expect: x', 'Expect: 100-continue'), 'expect'],
    ['with a space', fielded('Expect: 100 continue'), 'expect'],
  ])
})

t.test('fields of one message do not leak into the next', async t => {
  requestOf(fielded(CL5, 'Connection: close, a', 'Expect: 100-continue'))
  const head = requestOf(old())
  t.match(head, { framing: 'none', contentLength: 0, expectsContinue: false, host: '', keepAlive: false })
  t.equal(head.connectionNamed, undefined)
  t.equal(head.query, undefined)
})
