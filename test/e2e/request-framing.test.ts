import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { assertRefused, type Refusal } from '../support/refusals.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [upstream.port] }) })

/** A POST whose framing fields are these lines, with a body that reads as five bytes either way. */
const framed = (fields: string, body = '5\r\nhello\r\n0\r\n\r\n') =>
  `POST /framed HTTP/1.1\r\nHost: example.test\r\n${fields}\r\n${body}`
const coding = (value: string) => framed(`Transfer-Encoding:${value}\r\n`)
const length = (value: string) => framed(`Content-Length:${value}\r\n`, 'hello')

const BOTH: Refusal[] = [
  ['CL.TE', framed('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['TE.CL', framed('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'), 400],
  ['CL 0 and TE', framed('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n'), 400],
  [
    'CL and TE in HTTP/1.0',
    framed('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n').replace('1.1', '1.0'),
    400,
  ],
  ['TE in HTTP/1.0', coding(' chunked').replace('1.1', '1.0'), 400],
]

const CODINGS: Refusal[] = [
  ['unknown coding', coding(' xchunked'), 501],
  ['gzip', coding(' gzip'), 501],
  ['gzip, chunked', coding(' gzip, chunked'), 400],
  ['identity', coding(' identity'), 501],
  ['chunked twice', coding(' chunked, chunked'), 400],
  ['chunked, identity', coding(' chunked, identity'), 400],
  ['two lines', framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['two lines, one unknown', framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n'), 400],
  ['parameter', coding(' chunked;q=1'), 400],
  ['empty', coding(''), 400],
  ['blank', coding(' \t '), 400],
  ['comma behind', coding(' chunked,'), 400],
  ['comma before', coding(' ,chunked'), 400],
  ['quoted', coding(' "chunked"'), 400],
  ['single quotes', coding(" 'chunked'"), 501],
  ['vertical tab before', coding(' \x0bchunked'), 400],
  ['form feed behind', coding(' chunked\x0c'), 400],
  ['tab behind', coding(' chunked \t'), 400],
  ['NUL behind', coding(' chunked\0'), 400],
  ['no-break space before', coding(' \xa0chunked'), 400],
  ['Kelvin sign', coding(' chun\xe2\x84\xaaed'), 400],
  ['CR inside', coding(' chun\rked'), 400],
  ['space before colon', framed('Transfer-Encoding : chunked\r\n'), 400],
  ['tab before colon', framed('Transfer-Encoding\t: chunked\r\n'), 400],
  ['NUL in the name', framed('Transfer-Encoding\0: chunked\r\n'), 400],
  ['folded value', framed('Transfer-Encoding:\r\n chunked\r\n'), 400],
  ['folded into', framed('X: y\r\n Transfer-Encoding: chunked\r\n'), 400],
  ['bare LF before', framed('X: y\nTransfer-Encoding: chunked\r\n'), 400],
  ['bare CR before', framed('X: y\rTransfer-Encoding: chunked\r\n'), 400],
  ['empty name before', framed(': y\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['in a nameless line', framed('Transfer-Encoding\r\n'), 400],
]

const LENGTHS: Refusal[] = [
  ['plus', length(' +5'), 400],
  ['minus', length(' -5'), 400],
  ['hexadecimal', length(' 0x5'), 400],
  ['underscore', length(' 0_5'), 400],
  ['list, same', length(' 5, 5'), 400],
  ['list, different', length(' 5, 6'), 400],
  ['empty', length(''), 400],
  ['blank', length('  '), 400],
  ['two numbers', length(' 5 5'), 400],
  ['exponent', length(' 1e1'), 400],
  ['fraction', length(' 5.0'), 400],
  ['comma', length(' 5,'), 400],
  ['quoted', length(' "5"'), 400],
  ['letters', length(' five'), 400],
  ['Arabic digit', length(' \xd9\xa5'), 400],
  ['beyond 64 bits', length(' 18446744073709551621'), 400],
  ['beyond 63 bits', length(' 9223372036854775813'), 400],
  ['beyond doubles', length(' 9007199254740993'), 400],
  ['forty digits', length(` ${'9'.repeat(40)}`), 400],
  ['twice, same', framed('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'), 400],
  ['twice, different', framed('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello'), 400],
  ['twice, in other case', framed('Content-Length: 5\r\ncontent-length: 0\r\n', 'hello'), 400],
  ['space before colon', framed('Content-Length : 5\r\n', 'hello'), 400],
  ['folded', framed('Content-Length:\r\n 5\r\n', 'hello'), 400],
  ['vertical tab', length(' \x0b5'), 400],
  ['NUL', length(' 5\0'), 400],
  ['on a GET', framed('Content-Length: x\r\n', 'hello').replace('POST', 'GET'), 400],
]

for (const [title, table] of [
  ['both framings are refused (RFC 9112 6.1)', BOTH],
  ['nothing but one plain chunked is taken for a transfer coding', CODINGS],
  ['nothing but plain digits is taken for a length', LENGTHS],
] as const) {
  t.test(title, async t => {
    for (const refusal of table) await assertRefused(t, causeway.port(), upstream, refusal)
  })
}

t.test('what is a framing in any correct reading is taken, and written anew', async t => {
  const TAKEN: readonly (readonly [name: string, bytes: string])[] = [
    ['no space behind the colon', coding('chunked')],
    ['spaces around', coding('  \t chunked   ')],
    ['capitals', coding(' CHUNKED')],
    ['name in capitals', framed('TRANSFER-ENCODING: Chunked\r\n')],
    ['length without space', length('5')],
    ['length between blanks', length('\t 5 \t')],
    ['length with leading noughts', length(' 0005')],
    ['in HTTP/1.0', length(' 5').replace('1.1', '1.0')],
    ['GET with a body', length(' 5').replace('POST', 'GET')],
    ['OPTIONS with a body', length(' 5').replace('POST', 'OPTIONS')],
    ['HEAD with a body', length(' 5').replace('POST', 'HEAD')],
    ['DELETE with a chunked body', coding(' chunked').replace('POST', 'DELETE')],
  ]
  for (const [name, bytes] of TAKEN) {
    const client = await RawClient.connect(causeway.port())
    client.send(bytes)
    const answer = await client.response(bytes.slice(0, bytes.indexOf(' ')))
    t.equal(answer.status, 200, `${name}: status`)
    const request = upstream.requests.at(-1)
    t.equal(request?.body.toString(), 'hello', `${name}: body`)
    client.destroy()
  }
})

t.test('a body is never read as a request, whatever the method', async t => {
  for (const method of ['GET', 'OPTIONS', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
    const inner = 'GET /inner HTTP/1.1\r\nHost: example.test\r\n\r\n'
    const client = await RawClient.connect(causeway.port())
    client.send(
      `${method} /outer HTTP/1.1\r\nHost: example.test\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
    )
    client.send('GET /after HTTP/1.1\r\nHost: example.test\r\n\r\n')
    t.equal((await client.response(method)).status, 200, method)
    t.equal((await client.response()).status, 200, `behind ${method}`)
    client.destroy()
  }
  t.equal(upstream.seen('/inner').length, 0)
  t.equal(upstream.seen('/after').length, 8)
})

t.test('an underscored Transfer-Encoding or Content-Length frames nothing and does not travel', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(framed('Transfer_Encoding: chunked\r\nContent_Length: 99\r\nContent-Length: 5\r\n', 'hello'))
  t.equal((await client.response()).status, 200)
  const request = upstream.requests.at(-1)
  t.equal(request?.body.toString(), 'hello')
  t.notOk(request?.names.some(name => name.includes('_')))
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  t.equal(upstream.seen('/smuggled').length, 0)
  await assertClean(t, causeway, [upstream])
})
