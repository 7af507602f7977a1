import t from 'tap'
import { dropFromTrailers } from '../lib/http/hop-by-hop.ts'
import { readHttp2Answer, readHttp2Trailers } from '../lib/wire/http2-response-head.ts'

const OK = [':status', '200'] as const

t.test('a head becomes what the rest of the proxy knows, doubled fields and all', async t => {
  const head = readHttp2Answer(
    [...OK, 'set-cookie', 'a=1', 'set-cookie', 'b=\xe9', 'content-length', '4'],
    'GET',
    false,
  )
  if (typeof head === 'string') throw new Error(head)
  t.match(head, { status: 200, framing: 'length', contentLength: 4, declaredLength: 4 })
  t.equal(head.fields.toText(), 'set-cookie: a=1\r\nset-cookie: b=\xe9\r\ncontent-length: 4\r\n')
})

t.test('where a body ends', async t => {
  const framing = (raw: readonly string[], method: string, ends: boolean) => {
    const head = readHttp2Answer(raw, method, ends)
    return typeof head === 'string' ? head : [head.framing, head.contentLength, head.declaredLength]
  }
  t.same(framing(OK, 'GET', false), ['chunked', 0, undefined], 'with the stream')
  t.same(framing(OK, 'GET', true), ['length', 0, 0], 'with the head')
  t.same(framing([...OK, 'content-length', '0'], 'GET', true), ['length', 0, 0])
  const twice = [...OK, 'content-length', '1', 'content-length', '1']
  t.same(framing(twice, 'GET', false), ['length', 1, 1], 'twice the same is once (RFC 9110 8.6)')
  t.same(framing([...OK, 'content-length', '9'], 'HEAD', true), ['none', 0, 9])
  t.same(framing([':status', '204'], 'GET', true), ['none', 0, undefined])
  t.same(framing([':status', '304', 'content-length', '9'], 'GET', true), ['none', 0, 9])
  t.match(framing([...OK, 'content-length', '9'], 'GET', true), /missing/)
})

t.test('what RFC 9113 8.2 forbids is refused', async t => {
  const bad: readonly (readonly string[])[] = [
    [],
    [':status', '20'],
    [':status', '600'],
    ['a', 'b', ...OK],
    [...OK, ...OK],
    [...OK, 'Name', 'a'],
    [...OK, 'na me', 'a'],
    [...OK, '', 'a'],
    [...OK, 'nam\xe9', 'a'],
    [...OK, 'a', 'b\rc'],
    [...OK, 'a', 'b\nc'],
    [...OK, 'a', 'b\0c'],
    [...OK, 'a', ' b'],
    [...OK, 'a', 'b\t'],
    [...OK, 'a', '\u0100'],
    [...OK, 'connection', 'close'],
    [...OK, 'transfer-encoding', 'chunked'],
    [...OK, 'upgrade', 'h2c'],
    [...OK, 'content-length', '1', 'content-length', '2'],
    [...OK, 'content-length', '-1'],
    [...OK, ...Array.from({ length: 257 }, () => ['a', 'b']).flat()],
    [...OK, 'a', 'x'.repeat(70_000)],
  ]
  for (const raw of bad)
    t.type(readHttp2Answer(raw, 'GET', false), 'string', JSON.stringify(raw).slice(0, 60))
})

t.test('trailers: no pseudo fields, and nothing that frames, routes or authenticates travels on', async t => {
  t.type(readHttp2Trailers([':status', '200']), 'string')
  const trailers = readHttp2Trailers([
    'grpc-status',
    '0',
    'set-cookie',
    'a=1',
    'content-length',
    '3',
    'host',
    'x',
    'authorization',
    'y',
    'x-sum',
    'z',
  ])
  if (typeof trailers === 'string') throw new Error(trailers)
  dropFromTrailers(trailers)
  t.equal(trailers.toText(), 'grpc-status: 0\r\nx-sum: z\r\n')
})
