import fc from 'fast-check'

// Generators of requests for the comparison with llhttp.

const NASTY = [
  '\0',
  '\t',
  '\n',
  '\v',
  '\f',
  '\r',
  ' ',
  '\x1b',
  '\x7f',
  '\x85',
  '\xa0',
  '\xff',
  ':',
  ';',
  ',',
  '"',
  '#',
  '%',
  '\\',
  '/',
  '@',
  '+',
  '_',
  '0',
]

/** Mostly one of `usual`, sometimes one of `odd`. */
function mostly(usual: readonly string[], odd: readonly string[], weight = 12): fc.Arbitrary<string> {
  return fc.oneof(
    { weight, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  )
}

const space = mostly([' '], ['', '  ', '\t', '\x0b', '\xa0', '\r', '\n', '\r\n'], 40)
const lineEnd = mostly(['\r\n'], ['\n', '\r', '\r\r\n', '\n\r', '\r\n ', '', '\0\r\n'], 60)
const method = mostly(
  ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'M-SEARCH'],
  ['CONNECT', 'TRACE', 'PRI', 'get', 'GETX', 'G:T', '', 'SOURCE', 'DESCRIBE', 'G\xc9T'],
)
const target = mostly(
  [
    '/',
    '/a/b?c=d',
    '/a%20b',
    '/?',
    '/a|b"{}^`<>',
    '//a',
    '/a?b?c%',
    'http://a/b',
    'HTTP://a:80?x',
    'https://a',
    '*',
  ],
  [
    '',
    'a',
    '/a#b',
    '/%',
    '/%00',
    '/a\\b',
    '/\xe9',
    '/a\x7f',
    'ftp://a/',
    'http://',
    'http://u@a/',
    'a:80',
    '/?#',
    '/\t',
    '/\f',
  ],
  8,
)
const version = mostly(
  ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
  [
    'HTTP/0.9',
    'HTTP/2.0',
    'HTTP/1.2',
    'HTTP/1.10',
    'http/1.1',
    'HTTP/11',
    'HTTP/1',
    '',
    'ICE/1.0',
    'RTSP/1.0',
  ],
  20,
)
const name = mostly(
  [
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'Expect',
    'Upgrade',
    'Cookie',
    'X-A',
    'Accept',
    'te',
  ],
  [
    '',
    'Content_Length',
    'Content-Length ',
    'Transfer-Encoding\t',
    ' Host',
    'X\0',
    'X\xe9',
    'X(',
    '__proto__',
    'CONTENT-LENGTH',
  ],
)
const value = mostly(
  [
    'a',
    '5',
    '0',
    '17',
    'chunked',
    'close',
    'keep-alive',
    '100-continue',
    'upgrade, x',
    '',
    'a b\tc',
    'gzip, chunked',
    'Chunked',
    'a:80',
    'h2c',
  ],
  [
    '+5',
    '-1',
    '5,5',
    '0x5',
    '5 5',
    '99999999999999999999',
    'identity',
    'chunked;a',
    'chunked, chunked',
    '"chunked"',
    'a\0',
    'a\xff',
    'a\r\n b',
    '\x0bchunked',
    'chunked, identity',
    'close, "',
    '9007199254740993',
  ],
  6,
)
const colon = mostly([': '], [':', ':\t', ' : ', ':  ', ': \t', '', '\t:', ':\r\n ', ':\0'], 12)
const tail = mostly([''], [' ', '\t', ' \t ', '\x0b', '\0'], 20)

const anyField = fc.tuple(name, colon, value, tail, lineEnd).map(parts => parts.join(''))
const goodField = fc.constantFrom(
  'Content-Length: 5\r\n',
  'content-length:  017 \r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:Chunked\t\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, Upgrade\r\n',
  'Upgrade: h2c\r\n',
  'Expect: 100-continue\r\n',
  'Cookie: a=b; c="d"\r\n',
  'X-A:\r\n',
  'X_A: \xe9 \t!\r\n',
)
const field = fc.oneof({ weight: 3, arbitrary: goodField }, { weight: 1, arbitrary: anyField })
const hostField = mostly(
  ['Host: a\r\n'],
  ['Host: a, b\r\n', 'Host:\r\n', 'Host: a:0\r\n', '', 'host: A\r\n'],
  20,
)
const requestLine = fc.tuple(method, space, target, space, version, lineEnd).map(parts => parts.join(''))

/** A request head that is mostly well-formed. */
export const requestHead = fc
  .tuple(
    mostly([''], ['\r\n', '\r\n\r\n', '\n', '\r', ' ', '\0'], 40),
    requestLine,
    hostField,
    fc.array(field, { maxLength: 4 }).map(lines => lines.join('')),
    mostly(['\r\n'], ['\n', '\r', '\r\r\n', ' \r\n', '']),
  )
  .map(parts => parts.join(''))

const chunkSize = mostly(
  ['1', '3', '5', 'a', 'A', '0', '05', '0a'],
  [
    '',
    '0x3',
    '+3',
    '-3',
    '3_0',
    ' 3',
    '3 ',
    '3\t',
    'g',
    'ffffffffffffffff',
    '000000000000000000003',
    '3h',
    '\x003',
  ],
)
const extension = mostly(
  ['', '', '', ';a', ';a=b', ';a="b;c"'],
  [
    ';',
    ';=b',
    ';a=',
    ';a=b;',
    '; a',
    ' ;a',
    ';a = b',
    ';a="b',
    ';a="\\"x"',
    ';a\0',
    ';a="\n"',
    ';\xe9',
    ';a=\xe9',
    ';a="b"c',
  ],
)
const chunk = fc
  .tuple(
    chunkSize,
    extension,
    lineEnd,
    mostly(['abc', 'abcde', 'x', '0123456789'], ['', '\r\n', 'ab']),
    lineEnd,
  )
  .map(([size, ext, end, data, after]) => `${size}${ext}${end}${data}${after}`)
/** A chunk whose size is right. */
const goodChunk = fc
  .tuple(fc.constantFrom('a', 'abc', '0123456789abcdef\r\n0'), extension, lineEnd, lineEnd)
  .map(([data, ext, end, after]) => `${data.length.toString(16)}${ext}${end}${data}${after}`)
const trailer = mostly(
  ['', '', 'A: b\r\n', 'X-A:\r\n'],
  [
    'A : b\r\n',
    ' A: b\r\n',
    'A\r\n',
    'A: b\n',
    'A: \0\r\n',
    ': b\r\n',
    'A: b\r\n c\r\n',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
  ],
)
const chunks = fc.array(fc.oneof({ weight: 4, arbitrary: goodChunk }, { weight: 1, arbitrary: chunk }), {
  maxLength: 4,
})
/** A chunked body that is mostly well-formed. */
export const chunkedBody = fc
  .tuple(
    chunks,
    mostly(['0\r\n'], ['0\n', '00\r\n', '0;a\r\n', '0 \r\n', '0;\r\n', '']),
    trailer,
    mostly(['\r\n'], ['\n', '\r', 'x', '']),
  )
  .map(([all, last, trailers, end]) => `${all.join('')}${last}${trailers}${end}`)

/** Now and then one byte is put in, taken out or replaced. */
export function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.tuple(fc.nat(), fc.constantFrom(...NASTY), fc.constantFrom(0, 1)).map(parts => [parts])
  const changes = fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: change })
  return fc.tuple(text, changes).map(([whole, list]) => {
    let out = whole
    for (const [at, byte, cut] of list) {
      const where = at % (out.length + 1)
      out = out.slice(0, where) + byte + out.slice(where + cut)
    }
    return out
  })
}

const noise = fc
  .array(fc.constantFrom(...NASTY, 'chunked', '5', 'a'), { maxLength: 6 })
  .map(parts => parts.join(''))
const line = fc.tuple(
  fc.constantFrom('Content-Length', 'Transfer-Encoding', 'Host', 'Connection'),
  noise,
  fc.constantFrom('', '\r\n'),
  noise,
)
/** A request with bytes of every bad kind around the fields that frame it. */
export const noisyFraming = fc
  .tuple(line, line)
  .map(lines => `POST / HTTP/1.1\r\nHost: a\r\n${lines.map(parts => `${parts.join('')}\r\n`).join('')}\r\n`)
