import t from 'tap'
import { FIELD, FIELD_COUNT, fieldIdOf, fieldName } from '../lib/http/field-ids.ts'
import { DOT, LOOSE, UNDERSCORE } from '../lib/http/field-list.ts'
import { readRequestHead } from '../lib/wire/request-head.ts'
import { detailOf, fielded, holds, LIMITS, pieceByPiece, requestOf } from './support/wire-vectors.ts'

/** Name, value and flags of the first field behind Host. */
function fieldOf(line: string) {
  const { fields } = requestOf(fielded(line))
  return { name: fields.name(1), value: fields.value(1), flags: fields.flags(1) & ~0xff }
}

t.test('the end of a field line is CRLF and nothing else', async t => {
  holds(t, [
    ['a LF alone', fielded('A: b\nC: d'), 'bare-lf'],
    ['a CR alone', fielded('A: b\rC: d'), 'bare-cr'],
    ['two CR', fielded('A: b\r'), 'bare-cr'],
    ['a LF behind Content-Length', fielded('Content-Length: 5\n'), 'bare-lf'],
    ['a CR behind Transfer-Encoding', fielded('Transfer-Encoding: chunked\r'), 'bare-cr'],
    ['a LF in front of a name', fielded('\nTransfer-Encoding: chunked'), 'bare-lf'],
    ['a CR in front of a name', fielded('\rTransfer-Encoding: chunked'), 'bare-cr'],
    ['a LF in a name', fielded('Transfer\n-Encoding: chunked'), 'bare-lf'],
    ['a CR in a name', fielded('Transfer\r-Encoding: chunked'), 'field-name'],
    ['a LF in an empty value', fielded('A:\n'), 'bare-lf'],
    ['a LF between blanks', fielded('A: \n b'), 'bare-lf'],
    ['LF for the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 'bare-lf'],
    ['CR for the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\rX', 'bare-cr'],
    ['LF LF for the end', 'GET / HTTP/1.1\r\nHost: a\n\n', 'bare-lf'],
    ['no empty line yet', 'GET / HTTP/1.1\r\nHost: a\r\n', 'more'],
    ['half an empty line yet', 'GET / HTTP/1.1\r\nHost: a\r\n\r', 'more'],
  ])
})

t.test('a field name is a token with its colon at once (RFC 9112 5.1)', async t => {
  holds(t, [
    ['a space before the colon', fielded('Transfer-Encoding : chunked'), 'space-before-colon'],
    ['a tab before the colon', fielded('Transfer-Encoding\t: chunked'), 'space-before-colon'],
    ['a space before the colon of Content-Length', fielded('Content-Length : 5'), 'space-before-colon'],
    ['a space inside the name', fielded('Transfer Encoding: chunked'), 'space-before-colon'],
    ['a space before the colon of Host', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 'space-before-colon'],
    ['no name', fielded(': chunked'), 'field-name'],
    ['nothing but a colon', fielded(':'), 'field-name'],
    ['two colons', fielded('::'), 'field-name'],
    ['no colon', fielded('Transfer-Encoding'), 'field-name'],
    ['a line that is a request', fielded('GET / HTTP/1.1'), 'space-before-colon'],
    ['a vertical tab before the colon', fielded('Transfer-Encoding\x0b: chunked'), 'field-name'],
    ['a NUL in the name', fielded('Transfer\0-Encoding: chunked'), 'field-name'],
    ['a NUL before the name', fielded('\0Transfer-Encoding: chunked'), 'field-name'],
    ['a DEL in the name', fielded('A\x7f: b'), 'field-name'],
    ['a byte above 127 in the name', fielded('Caf\xe9: b'), 'field-name'],
    ['an encoded Kelvin sign in the name', fielded('Lin\xe2\x84\xaa: b'), 'field-name'],
    ['a no-break space in the name', fielded('A\xa0: b'), 'field-name'],
    ['a byte order mark before the name', fielded('\xef\xbb\xbfA: b'), 'field-name'],
    ['quotes', fielded('"A": b'), 'field-name'],
    ['parentheses', fielded('A(b): c'), 'field-name'],
    ['a slash', fielded('A/b: c'), 'field-name'],
    ['a backslash', fielded('A\\b: c'), 'field-name'],
    ['an equals sign', fielded('A=b: c'), 'field-name'],
    ['an at sign', fielded('A@b: c'), 'field-name'],
    ['a comma', fielded('A,b: c'), 'field-name'],
    ['a semicolon', fielded('A;b: c'), 'field-name'],
    ['brackets', fielded('A[b]: c'), 'field-name'],
    ['braces', fielded('A{b}: c'), 'field-name'],
    ['angle brackets', fielded('A<b>: c'), 'field-name'],
    ['a question mark', fielded('A?: c'), 'field-name'],
    ['every other sign', fielded("!#$%&'*+-.^_`|~0: c"), 'ok'],
    ['names that objects are born with', fielded('__proto__: a', 'constructor: b', 'toString: c'), 'ok'],
  ])
})

t.test('a field goes on for one line (RFC 9112 5.2)', async t => {
  holds(t, [
    ['a folded value', fielded('A: b\r\n c'), 'obs-fold'],
    ['folded with a tab', fielded('A: b\r\n\tc'), 'obs-fold'],
    ['folded Transfer-Encoding', fielded('Transfer-Encoding:\r\n chunked'), 'obs-fold'],
    ['folded Content-Length', fielded('Content-Length: 1\r\n 0'), 'obs-fold'],
    ['folded before the first field', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 'obs-fold'],
    ['a blank line with a space', 'GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n', 'obs-fold'],
    ['a blank line with a tab', 'GET / HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n', 'obs-fold'],
    ['folded Host', 'GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n', 'obs-fold'],
  ])
})

t.test('a value has no control characters but the tab (RFC 9110 5.5)', async t => {
  for (let code = 0; code < 256; code += 1) {
    if (code === 10 || code === 13) continue
    const good = code === 9 || (code >= 32 && code !== 127)
    const text = fielded(`A: b${String.fromCharCode(code)}c`)
    t.equal(detailOf(text), good ? 'ok' : 'field-value', `character ${code}`)
  }
  holds(t, [
    ['a NUL at the start', fielded('A: \0b'), 'field-value'],
    ['a NUL at the end', fielded('A: b\0'), 'field-value'],
    ['a vertical tab at the end', fielded('Transfer-Encoding: chunked\x0b'), 'field-value'],
    ['a form feed at the start', fielded('Transfer-Encoding: \x0cchunked'), 'field-value'],
    ['no value', fielded('A:'), 'ok'],
    ['only blanks', fielded('A: \t '), 'ok'],
    ['a colon', fielded('A: b: c'), 'ok'],
  ])
})

t.test('a value stands without the blanks around it', async t => {
  t.match(fieldOf('Name: value'), { name: 'Name', value: 'value', flags: 0 })
  t.match(fieldOf('Name: a \t b'), { value: 'a \t b', flags: 0 })
  t.match(fieldOf('Name: '), { value: '', flags: 0 })
  for (const line of [
    'Name:value',
    'Name:  value',
    'Name:\tvalue',
    'Name: value ',
    'Name: value\t',
    'Name:\t value \t',
  ]) {
    t.match(fieldOf(line), { name: 'Name', value: 'value', flags: LOOSE }, JSON.stringify(line))
  }
  for (const line of ['Name:', 'Name:\t', 'Name:  ']) {
    t.match(fieldOf(line), { name: 'Name', value: '', flags: LOOSE }, JSON.stringify(line))
  }
})

t.test('what is written on is made anew: one name, colon, space, value, CRLF', async t => {
  const { fields } = requestOf(fielded('A:b', 'C: d', 'E:  f  ', 'G: ', 'H:', 'I: \xe9'))
  t.equal(fields.toText(), 'Host: a\r\nA: b\r\nC: d\r\nE: f\r\nG: \r\nH: \r\nI: \xe9\r\n')
})

t.test('names that an app would take for others are flagged', async t => {
  t.equal(fieldOf('X_Forwarded_For: a').flags, UNDERSCORE)
  t.equal(fieldOf('X.Forwarded.For: a').flags, DOT)
  t.equal(fieldOf('X.Forwarded_For:a').flags, DOT | UNDERSCORE | LOOSE)
  t.equal(fieldOf('X-Forwarded-For: a_b.c').flags, 0, 'only in names')
  t.equal(requestOf(fielded('Content_Length: 5', 'Transfer_Encoding: chunked')).framing, 'none')
})

t.test('every known name is known in every case, and nothing else is', async t => {
  for (let id = 1; id < FIELD_COUNT; id += 1) {
    const name = fieldName(id)
    if (['host', 'content-length', 'transfer-encoding', 'expect'].includes(name)) continue
    for (const form of [name, name.toUpperCase(), name.replace(/^./, first => first.toUpperCase())]) {
      t.equal(requestOf(fielded(`${form}: close`)).fields.id(1), id, form)
    }
    t.not(requestOf(fielded(`${name}x: close`)).fields.id(1), id, `${name}x`)
    t.not(requestOf(fielded(`x${name}: close`)).fields.id(1), id, `x${name}`)
  }
  t.equal(requestOf(fielded('X-None: a')).fields.id(1), 0)
  t.equal(fieldIdOf('HOST'), FIELD.host)
})

t.test('a head may be as large as its limits', async t => {
  const limits = { headersBytes: 200, headerCount: 3, targetBytes: 100 }
  const detail = (text: string) => detailOf(text, limits)
  const sized = (size: number) => fielded(`A: ${'b'.repeat(size - fielded('A: ').length)}`)
  t.equal(detail(sized(200)), 'ok')
  t.equal(detail(fielded('A: b', 'C: d')), 'ok', 'Host and two more')
  for (const [promise, text, wanted] of [
    ['one byte more', sized(201), 'head-too-large'],
    ['many bytes more', sized(20_000), 'head-too-large'],
    ['a name without an end', `GET / HTTP/1.1\r\n${'a'.repeat(200)}`, 'head-too-large'],
    ['a value without an end', `GET / HTTP/1.1\r\nA: ${'a'.repeat(200)}`, 'head-too-large'],
    ['blanks without an end', `GET / HTTP/1.1\r\nA:${' '.repeat(200)}`, 'head-too-large'],
    ['a head without an end', `GET / HTTP/1.1\r\nA: ${'a'.repeat(179)}\r\n`, 'more'],
    ['a head without an end, and a byte', `GET / HTTP/1.1\r\nA: ${'a'.repeat(179)}\r\nB`, 'head-too-large'],
    ['one field more', fielded('A: b', 'C: d', 'E: f'), 'header-count'],
    ['one empty field more', fielded('A:', 'C:', 'E:'), 'header-count'],
    ['what is bad comes before what is too much', fielded('A: \0', 'C: d', 'E: f'), 'field-value'],
  ] as const) {
    t.equal(detail(text), wanted, promise)
    t.equal(pieceByPiece(text, detail), wanted, `${promise}, byte by byte`)
  }
})

t.test('a head may stand anywhere in the bytes, and more behind it', async t => {
  const alone = fielded('A:  b', 'Cookie: c=d')
  const bytes = Buffer.from(`\r\nxx${alone}POST /next HTTP/1.1\r\n`, 'latin1')
  const head = readRequestHead(bytes, 4, bytes.length, LIMITS)
  t.same(head, requestOf(alone))
  t.equal(
    readRequestHead(bytes, 4, 4 + alone.length - 1, LIMITS),
    undefined,
    'what is behind `end` is not seen',
  )
  t.equal(readRequestHead(bytes, 4, 4, LIMITS), undefined)
})

t.test('a head that was taken is not changed by the next one', async t => {
  const head = requestOf(fielded('A: b', 'Connection: x'))
  const before = structuredClone({ ...head, fields: head.fields.toText() })
  requestOf('POST /other HTTP/1.0\r\nConnection: keep-alive, y\r\nContent-Length: 7\r\n\r\n')
  detailOf(fielded('C : d'))
  t.same({ ...head, fields: head.fields.toText() }, before)
})
