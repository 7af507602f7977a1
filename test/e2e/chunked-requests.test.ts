import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { assertRefused, type Refusal } from '../support/refusals.ts'

const upstream = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [upstream.port] }) })

const chunked = (body: string, path = '/chunked') =>
  `POST ${path} HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n${body}`

const SIZES: Refusal[] = [
  ['0x', chunked('0x5\r\nhello\r\n0\r\n\r\n'), 400],
  ['plus', chunked('+5\r\nhello\r\n0\r\n\r\n'), 400],
  ['minus', chunked('-5\r\nhello\r\n0\r\n\r\n'), 400],
  ['underscore', chunked('0_5\r\nhello\r\n0\r\n\r\n'), 400],
  ['space before', chunked(' 5\r\nhello\r\n0\r\n\r\n'), 400],
  ['tab before', chunked('\t5\r\nhello\r\n0\r\n\r\n'), 400],
  ['empty', chunked('\r\nhello\r\n0\r\n\r\n'), 400],
  ['letter', chunked('g\r\nhello\r\n0\r\n\r\n'), 400],
  ['NUL', chunked('5\0\r\nhello\r\n0\r\n\r\n'), 400],
  ['full-width digit', chunked('\xef\xbc\x95\r\nhello\r\n0\r\n\r\n'), 400],
  ['comma', chunked('5,5\r\nhello\r\n0\r\n\r\n'), 400],
  ['seventeen digits', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'), 400],
  ['sixteen F', chunked('FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n'), 400],
  ['minus nought', chunked('-0\r\n\r\n'), 400],
  ['only an extension', chunked(';a=b\r\nhello\r\n0\r\n\r\n'), 400],
]

const ENDS: Refusal[] = [
  ['bare LF behind the size', chunked('5\nhello\r\n0\r\n\r\n'), 400],
  ['bare CR behind the size', chunked('5\rhello\r\n0\r\n\r\n'), 400],
  ['bare LF in an extension', chunked('5;a\nhello\r\n0\r\n\r\n'), 400],
  ['bare CR in an extension', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n'), 400],
  ['quoted LF in an extension', chunked('5;a="\n"\r\nhello\r\n0\r\n\r\n'), 400],
  ['NUL in an extension', chunked('5;a=\0\r\nhello\r\n0\r\n\r\n'), 400],
  ['data longer than its size', chunked('5\r\nhelloX\r\n0\r\n\r\n'), 400],
  ['data shorter than its size', chunked('6\r\nhello\r\n0\r\n\r\n'), 400],
  ['bare LF behind data', chunked('5\r\nhello\n0\r\n\r\n'), 400],
  ['bare CR behind data', chunked('5\r\nhello\r0\r\n\r\n'), 400],
  ['two LF for CRLF', chunked('5\r\nhello\n\n0\r\n\r\n'), 400],
  ['any two bytes for CRLF', chunked('5\r\nhelloxx0\r\n\r\n'), 400],
  ['bare LF behind the last size', chunked('5\r\nhello\r\n0\n\r\n'), 400],
  ['bare LF as the last line', chunked('5\r\nhello\r\n0\r\n\n'), 400],
  ['CR and something as the last line', chunked('5\r\nhello\r\n0\r\n\rX'), 400],
]

const TRAILERS: Refusal[] = [
  ['no colon', chunked('5\r\nhello\r\n0\r\nTrailer\r\n\r\n'), 400],
  ['space before the colon', chunked('5\r\nhello\r\n0\r\nA : b\r\n\r\n'), 400],
  ['empty name', chunked('5\r\nhello\r\n0\r\n: b\r\n\r\n'), 400],
  ['folded', chunked('5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n'), 400],
  ['bare LF', chunked('5\r\nhello\r\n0\r\nA: b\n\r\n'), 400],
  ['bare CR', chunked('5\r\nhello\r\n0\r\nA: b\rc\r\n\r\n'), 400],
  ['NUL', chunked('5\r\nhello\r\n0\r\nA: \0\r\n\r\n'), 400],
  ['a length', chunked('5\r\nhello\r\n0\r\nA: b\r\nContent-LENGTH: 99\r\n\r\n'), 400],
  ['a coding', chunked('5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n'), 400],
]

for (const [title, table] of [
  ['a chunk size is plain hexadecimal digits or nothing (RFC 9112 7.1)', SIZES],
  ['every line of a chunked body ends with CRLF', ENDS],
  ['malformed trailers are refused, and those that would frame the body anew', TRAILERS],
] as const) {
  t.test(title, async t => {
    for (const refusal of table) await assertRefused(t, causeway.port(), upstream, refusal)
  })
}

t.test('extensions without end are refused', async t => {
  const long = `5;${'e'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`
  await assertRefused(t, causeway.port(), upstream, ['one long one', chunked(long), 400])
  const many = `1;${'e'.repeat(200)}\r\nx\r\n`.repeat(200)
  await assertRefused(t, causeway.port(), upstream, ['many', chunked(`${many}0\r\n\r\n`), 400])
})

t.test('trailers without end are refused', async t => {
  const many = `5\r\nhello\r\n0\r\n${'A: b\r\n'.repeat(20_000)}\r\n`
  const client = await RawClient.connect(causeway.port())
  client.send(chunked(many, '/endless-trailers'))
  const answer = await client.response()
  t.ok(answer.status === 400 || answer.status === 431, String(answer.status))
  await client.untilEnded()
  t.notOk(upstream.seen('/endless-trailers').some(request => request.complete))
})

t.test('what is chunked in any correct reading is taken, and written anew', async t => {
  const TAKEN: readonly (readonly [name: string, body: string])[] = [
    ['plain', '5\r\nhello\r\n0\r\n\r\n'],
    ['in single bytes', '1\r\nh\r\n1\r\ne\r\n2\r\nll\r\n1\r\no\r\n0\r\n\r\n'],
    ['leading noughts', '00005\r\nhello\r\n000\r\n\r\n'],
    ['an extension', '5;name=value\r\nhello\r\n0\r\n\r\n'],
    ['a quoted extension', '5;name="a b;c"\r\nhello\r\n0;last\r\n\r\n'],
    ['trailers, which are dropped', '5\r\nhello\r\n0\r\nX-Other: 99\r\nX-Trailer: x\r\n\r\n'],
    [
      'trailers that would say who asks',
      '5\r\nhello\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil.test\r\nAuthorization: x\r\n\r\n',
    ],
  ]
  for (const [name, body] of TAKEN) {
    for (const pieceSize of [body.length + 200, 1]) {
      const client = await RawClient.connect(causeway.port())
      await client.sendInPieces(chunked(body), pieceSize)
      t.equal((await client.response()).status, 200, `${name}, pieces of ${pieceSize}`)
      const request = upstream.requests.at(-1)
      t.equal(request?.body.toString(), 'hello', `${name}: body`)
      t.notMatch(request?.head.raw, /X-Trailer|6\.6\.6\.6|evil|Authorization/i, `${name}: no trailer`)
      client.destroy()
    }
  }
})

t.test('the request behind a chunked body is found, and only there', async t => {
  const client = await RawClient.connect(causeway.port())
  client.send(chunked('5\r\nhello\r\n0\r\nX: y\r\n\r\n'))
  client.send('GET /behind HTTP/1.1\r\nHost: example.test\r\n\r\n')
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 200)
  t.equal(upstream.seen('/behind').length, 1)
  client.destroy()
})

t.test('nothing of all this harmed anybody', async t => {
  t.equal(upstream.seen('/smuggled').length, 0)
  await assertClean(t, causeway, [upstream])
})
