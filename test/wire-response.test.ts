import t, { type Test } from 'tap'
import type { RefusalDetail } from '../lib/wire/refusal.ts'
import { readResponseHead } from '../lib/wire/response-head.ts'
import {
  holds as holdsFor,
  LIMITS,
  responseDetailOf,
  responseOf,
  type Vector,
} from './support/wire-vectors.ts'

const holds = (t: Test, vectors: readonly Vector<RefusalDetail>[]) =>
  holdsFor(t, vectors, text => responseDetailOf(text))

/** A response with these lines. */
function answered(...lines: readonly string[]): string {
  return `${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`
}

function started(line: string): string {
  return `${line}\r\nContent-Length: 0\r\n\r\n`
}

const CL5 = 'Content-Length: 5'
const TE = 'Transfer-Encoding: chunked'

t.test('status lines as app servers send them', async t => {
  const parts = (line: string) => {
    const { status, reason, minor } = responseOf(started(line))
    return [status, reason, minor]
  }
  t.same(parts('HTTP/1.1 200 OK'), [200, 'OK', 1])
  t.same(parts('HTTP/1.0 404 Not Found'), [404, 'Not Found', 0])
  t.same(parts('HTTP/1.1 200 '), [200, '', 1], 'hypercorn')
  t.same(parts('HTTP/1.1 200'), [200, '', 1])
  t.same(parts('HTTP/2.0 200 OK'), [200, 'OK', 0], 'uwsgi, which repeats what it was asked with')
  t.same(parts('HTTP/1.1 599 \tbad \xe9'), [599, '\tbad \xe9', 1])
  t.same(parts('HTTP/1.1 418  two'), [418, ' two', 1])
  t.same(parts('HTTP/1.1 100 Continue'), [100, 'Continue', 1])
  t.same(parts('HTTP/1.1 200 OKAY'), [200, 'OKAY', 1])
  t.same(parts('HTTP/1.1 200 K'), [200, 'K', 1])
})

t.test('status lines that are none', async t => {
  holds(t, [
    ['a status of two digits', started('HTTP/1.1 99 Low'), 'status-line'],
    ['a status of four digits', started('HTTP/1.1 2000 OK'), 'status-line'],
    ['a status below 100', started('HTTP/1.1 099 Low'), 'status-line'],
    ['a status of 000', started('HTTP/1.1 000 None'), 'status-line'],
    ['a status of 600', started('HTTP/1.1 600 High'), 'status-line'],
    ['a status of 999', started('HTTP/1.1 999 High'), 'status-line'],
    ['a status with a sign', started('HTTP/1.1 +20 OK'), 'status-line'],
    ['a status with a letter', started('HTTP/1.1 2x0 OK'), 'status-line'],
    ['no status', started('HTTP/1.1 OK'), 'status-line'],
    ['two spaces before the status', started('HTTP/1.1  200 OK'), 'status-line'],
    ['a tab before the status', started('HTTP/1.1\t200 OK'), 'status-line'],
    ['a tab behind the status', started('HTTP/1.1 200\tOK'), 'status-line'],
    ['a version without a minor', started('HTTP/1 200 OK'), 'status-line'],
    ['a version of two digits', started('HTTP/1.10 200 OK'), 'status-line'],
    ['lower case', started('http/1.1 200 OK'), 'status-line'],
    ['another protocol', started('ICY 200 OK'), 'status-line'],
    ['a request', 'GET / HTTP/1.1\r\n\r\n', 'status-line'],
    ['an empty line before it', `\r\n${answered()}`, 'status-line'],
    ['a space before it', ` ${answered()}`, 'status-line'],
    ['a page without a head', '<html>', 'status-line'],
    ['a NUL in the reason', started('HTTP/1.1 200 O\0K'), 'status-line'],
    ['an ESC in the reason', started('HTTP/1.1 200 \x1b[2J'), 'status-line'],
    ['a LF alone', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', 'bare-lf'],
    ['a LF behind the status', 'HTTP/1.1 200\nContent-Length: 0\r\n\r\n', 'bare-lf'],
    ['a CR alone', 'HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n', 'bare-cr'],
    ['a CR in the reason', started('HTTP/1.1 200 O\rK'), 'bare-cr'],
    ['no more yet', 'HTTP/1.1 200 OK\r\n', 'more'],
    ['nothing', '', 'more'],
  ])
})

t.test('response fields are as strict as those of requests', async t => {
  holds(t, [
    ['a LF alone', answered('A: b\nSet-Cookie: c=d'), 'bare-lf'],
    ['a CR alone', answered('A: b\rSet-Cookie: c=d'), 'bare-cr'],
    ['a NUL', answered('A: b\0'), 'field-value'],
    ['a folded value', answered('A: b', ' c'), 'obs-fold'],
    ['a space before the colon', answered('Content-Length : 5'), 'space-before-colon'],
    ['no name', answered(': b'), 'field-name'],
    ['no colon', answered('A'), 'field-name'],
    ['LF LF for the end', 'HTTP/1.1 200 OK\r\nA: b\n\n', 'bare-lf'],
    ['a bad member of Connection', answered('Connection: a b'), 'connection'],
    ['a byte above 127', answered('A: \xe9'), 'ok'],
    ['Host and Expect mean nothing here', answered('Host: a/b', 'Expect: x'), 'ok'],
  ])
  const { fields } = responseOf(answered('set-cookie:a=b', 'Set-Cookie: c=d'))
  t.equal(fields.toText(), 'set-cookie: a=b\r\nSet-Cookie: c=d\r\n')
})

t.test('how the body ends (RFC 9112 6.3)', async t => {
  const framing = (text: string, method = 'GET') => {
    const { framing, contentLength, declaredLength } = responseOf(text, method)
    return [framing, contentLength, declaredLength]
  }
  t.same(framing(answered()), ['close', 0, undefined])
  t.same(framing(answered(CL5)), ['length', 5, 5])
  t.same(framing(answered('Content-Length: 005')), ['length', 5, 5])
  t.same(framing(answered(CL5, CL5)), ['length', 5, 5], 'twice the same is once (RFC 9110 8.6)')
  t.same(framing(answered('Content-Length: 0')), ['length', 0, 0])
  t.same(framing(answered(TE)), ['chunked', 0, undefined])
  t.same(framing(answered('Transfer-Encoding: CHUNKED')), ['chunked', 0, undefined])
  t.same(framing(answered(CL5), 'HEAD'), ['none', 0, 5])
  t.same(framing(answered(TE), 'HEAD'), ['none', 0, undefined])
  t.same(framing(answered(), 'HEAD'), ['none', 0, undefined])
  for (const status of ['100', '101', '103', '199', '204', '304']) {
    t.same(framing(answered(CL5).replace('200', status)), ['none', 0, 5], status)
    t.same(framing(answered(TE).replace('200', status)), ['none', 0, undefined], status)
    t.same(framing(answered().replace('200', status)), ['none', 0, undefined], status)
  }
  t.same(framing(answered(CL5).replace('200', '205')), ['length', 5, 5], '205 is like any other')
  t.same(framing(answered(CL5), 'POST'), ['length', 5, 5])
  t.same(framing(answered(CL5), 'head'), ['length', 5, 5], 'methods are case-sensitive')
})

t.test('a response whose length is in doubt is refused', async t => {
  holds(t, [
    ['length and chunked', answered(CL5, TE), 'cl-and-te'],
    ['chunked and length', answered(TE, CL5), 'cl-and-te'],
    ['two lengths', answered(CL5, 'Content-Length: 6'), 'cl-repeated'],
    ['two lengths of which the last is malformed', answered(CL5, 'Content-Length: 5x'), 'cl-repeated'],
    ['three lengths of which one differs', answered(CL5, CL5, 'Content-Length: 6'), 'cl-repeated'],
    ['a list of equal lengths', answered('Content-Length: 5, 5'), 'cl-value'],
    ['a length with a sign', answered('Content-Length: +5'), 'cl-value'],
    ['a negative length', answered('Content-Length: -1'), 'cl-value'],
    ['an empty length', answered('Content-Length:'), 'cl-value'],
    ['a length above 2^53', answered('Content-Length: 9007199254740993'), 'cl-value'],
    ['an unknown coding', answered('Transfer-Encoding: identity'), 'te-unknown'],
    ['a list of codings', answered('Transfer-Encoding: gzip, chunked'), 'te-value'],
    ['an empty coding', answered('Transfer-Encoding:'), 'te-value'],
    ['two codings', answered(TE, TE), 'te-repeated'],
  ])
  t.equal(responseDetailOf(answered('Content-Length: x'), 'HEAD'), 'cl-value', 'also where no body follows')
  t.same(readResponseHead(Buffer.from('x'), 0, 1, 'GET', LIMITS), {
    refused: 'UPSTREAM_BAD',
    detail: 'status-line',
  })
})

t.test('whether the connection may be used again (RFC 9112 9.3)', async t => {
  const keeps = (text: string, method = 'GET') => responseOf(text, method).keepAlive
  const old = (text: string) => text.replace('HTTP/1.1', 'HTTP/1.0')
  t.equal(keeps(answered(CL5)), true)
  t.equal(keeps(answered(TE)), true)
  t.equal(keeps(answered(CL5, 'Connection: close')), false)
  t.equal(keeps(answered(CL5, 'Connection: keep-alive, Close')), false)
  t.equal(keeps(answered(CL5, 'Connection: upgrade')), true)
  t.equal(keeps(answered()), false, 'its end is the end of the body')
  t.equal(keeps(answered('Connection: keep-alive')), false)
  t.equal(keeps(answered(), 'HEAD'), true)
  t.equal(keeps(old(answered(CL5))), false)
  t.equal(keeps(old(answered(CL5, 'Connection: keep-alive'))), true)
  t.equal(keeps(old(answered(TE, 'Connection: keep-alive'))), false, 'RFC 9112 6.1')
  t.equal(keeps(answered(CL5).replace('HTTP/1.1', 'HTTP/2.0')), false)
  t.same([...(responseOf(answered('Connection: X-A, close')).connectionNamed ?? [])], ['x-a'])
})

t.test('a response head may be as large as its limits', async t => {
  const limits = { headersBytes: 100, headerCount: 2, targetBytes: 10 }
  const detail = (text: string) => responseDetailOf(text, 'GET', limits)
  const sized = (size: number) => answered(`A: ${'b'.repeat(size - answered('A: ').length)}`)
  t.equal(detail(sized(100)), 'ok')
  t.equal(detail(answered('A: b', 'C: d')), 'ok')
  t.equal(detail(started(`HTTP/1.1 200 ${'a'.repeat(50)}`)), 'ok', 'targetBytes is for requests')
  holdsFor(
    t,
    [
      ['one byte more', sized(101), 'head-too-large'],
      ['a reason without an end', `HTTP/1.1 200 ${'a'.repeat(100)}`, 'head-too-large'],
      ['one field more', answered('A: b', 'C: d', 'E: f'), 'header-count'],
    ],
    detail,
  )
})

t.test('a response head may stand anywhere in the bytes, and more behind it', async t => {
  const alone = answered(CL5, 'Vary: a')
  const bytes = Buffer.from(`xx${alone}HTTP/1.1 500\n`, 'latin1')
  const head = readResponseHead(bytes, 2, bytes.length, 'GET', LIMITS)
  t.same(head, responseOf(alone))
  t.equal(responseOf(alone).size, alone.length)
  t.equal(readResponseHead(bytes, 2, 2 + alone.length - 1, 'GET', LIMITS), undefined)
})
