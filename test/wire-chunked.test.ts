import t, { type Test } from 'tap'
import { type ChunkDetail, ChunkedDecoder, chunkHead } from '../lib/wire/chunked.ts'
import { decoded, type Vector } from './support/wire-vectors.ts'

/** Each body ends as it says, in whatever pieces it comes. */
function holds(t: Test, vectors: readonly Vector<ChunkDetail>[]): void {
  for (const [promise, body, detail] of vectors) {
    const whole = decoded(body)
    t.equal(whole.detail, detail, promise)
    for (const size of [1, 2, 3, 7]) t.same(decoded(body, size), whole, `${promise}, ${size} bytes at a time`)
  }
}

/** A body of one chunk with this size line. */
function sized(line: string): string {
  return `${line}\r\nhello\r\n0\r\n\r\n`
}

/** An empty body with these trailers. */
function trailed(trailers: string): string {
  return `0\r\n${trailers}\r\n\r\n`
}

t.test('a body is the data of its chunks', async t => {
  const data = (body: string) => decoded(body).data
  t.equal(data('0\r\n\r\n'), '')
  t.equal(data('5\r\nhello\r\n0\r\n\r\n'), 'hello')
  t.equal(data('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'), 'hello world')
  t.equal(data('A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n'), '01234567890123456789')
  t.equal(data('3\r\n\r\n0\r\n0\r\n\r\n'), '\r\n0', 'what looks like a chunk is data')
  t.equal(data('4\r\n\0\n\r\xff\r\n0\r\n\r\n'), '\0\n\r\xff')
  t.equal(data('05\r\nhello\r\n00\r\n\r\n'), 'hello', 'zeros before the size are only zeros')
  holds(t, [
    ['nothing yet', '', 'more'],
    ['a size', '5', 'more'],
    ['half a chunk', '5\r\nhel', 'more'],
    ['a chunk', '5\r\nhello\r\n', 'more'],
    ['the last size', '5\r\nhello\r\n0', 'more'],
    ['the last chunk without its empty line', '5\r\nhello\r\n0\r\n', 'more'],
    ['half of the empty line', '0\r\n\r', 'more'],
    ['all of it', '0\r\n\r\n', 'ok'],
  ])
})

t.test('what stands behind the body is left', async t => {
  const body = '5\r\nhello\r\n0\r\n\r\n'
  t.same(decoded(`${body}GET / HTTP/1.1\r\n`), { data: 'hello', detail: 'ok', surplus: 16 })
  const bytes = Buffer.from(`xx${body}yy`, 'latin1')
  let seen = 0
  const decoder = new ChunkedDecoder({
    chunkData(from, start, end) {
      t.equal(from, bytes, 'not copied')
      seen += end - start
    },
  })
  t.equal(decoder.decode(bytes, 2, bytes.length), 2 + body.length)
  t.equal(seen, 5)
  t.equal(decoder.decode(bytes, 0, bytes.length), 0, 'nothing is taken after the end')
})

t.test('a size is hexadecimal digits and nothing else (RFC 9112 7.1)', async t => {
  holds(t, [
    ['0x', sized('0x5'), 'chunk-size'],
    ['a plus', sized('+5'), 'chunk-size'],
    ['a minus', sized('-5'), 'chunk-size'],
    ['an underscore', sized('0_5'), 'chunk-size'],
    ['an h', sized('5h'), 'chunk-size'],
    ['a space before it', sized(' 5'), 'chunk-size'],
    ['a tab before it', sized('\t5'), 'chunk-size'],
    ['a space behind it', sized('5 '), 'chunk-size'],
    ['a tab behind it', sized('5\t'), 'chunk-size'],
    ['a space inside it', sized('0 5'), 'chunk-size'],
    ['a vertical tab behind it', sized('5\x0b'), 'chunk-size'],
    ['a NUL behind it', sized('5\0'), 'chunk-size'],
    ['a NUL before it', sized('\x005'), 'chunk-size'],
    ['a comma', sized('5,5'), 'chunk-size'],
    ['a dot', sized('5.0'), 'chunk-size'],
    ['a letter behind f', sized('g'), 'chunk-size'],
    ['quotes', sized('"5"'), 'chunk-size'],
    ['a byte above 127', sized('5\xb5'), 'chunk-size'],
    ['no size', sized(''), 'chunk-size'],
    ['no size but an extension', sized(';a=b'), 'chunk-size'],
    ['an empty line between chunks', '5\r\nhello\r\n\r\n0\r\n\r\n', 'chunk-size'],
    ['an empty line before the first', '\r\n0\r\n\r\n', 'chunk-size'],
    ['15 digits', sized('000000000000005'), 'ok'],
    ['16 digits', sized('0000000000000005'), 'chunk-size'],
    ['2^53 - 1', '1fffffffffffff\r\n', 'more'],
    ['2^53', '20000000000000\r\n', 'chunk-size'],
    ['2^60 - 1', 'fffffffffffffff\r\n', 'chunk-size'],
    ['2^64 + 5', '10000000000000005\r\n', 'chunk-size'],
  ])
})

t.test('the end of a line is CRLF and nothing else', async t => {
  holds(t, [
    ['a LF behind the size', '5\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a CR behind the size', '5\rhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['two CR behind the size', '5\r\r\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a LF behind an extension', '5;a\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a LF behind an extension value', '5;a=b\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a LF inside a quoted extension', '5;a="\n"\r\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a LF behind a quoted extension', '5;a="b"\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a CR inside a quoted extension', '5;a="\r\n"\r\nhello\r\n0\r\n\r\n', 'chunk-extension'],
    ['a CR alone behind an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n', 'chunk-line-end'],
    ['a LF behind the data', '5\r\nhello\n0\r\n\r\n', 'chunk-data-end'],
    ['a CR behind the data', '5\r\nhello\r0\r\n\r\n', 'chunk-data-end'],
    ['nothing behind the data', '5\r\nhello0\r\n\r\n', 'chunk-data-end'],
    ['more data than the size', '5\r\nhello!\r\n0\r\n\r\n', 'chunk-data-end'],
    ['two bytes more than the size', '5\r\nhelloXX0\r\n\r\n', 'chunk-data-end'],
    ['less data than the size', '6\r\nhello\r\n0\r\n\r\n', 'chunk-data-end'],
    ['a LF behind the last size', '0\n\r\n', 'chunk-line-end'],
    ['a LF for the last line', '0\r\n\n', 'chunk-trailer'],
    ['a CR for the last line', '0\r\n\rX', 'chunk-trailer'],
    ['a LF behind a trailer', trailed('A: b\nC: d'), 'chunk-trailer'],
  ])
})

t.test('extensions are well-formed, and dropped (RFC 9112 7.1.1)', async t => {
  for (const extension of [
    ';a',
    ';a=b',
    ';a="b"',
    ';a=""',
    ';a;b;c=d',
    ';a="b;c=\\"d\\\\"',
    ';a="\xe9\t "',
    ';0=0',
  ]) {
    t.same(decoded(sized(`5${extension}`)), { data: 'hello', detail: 'ok', surplus: 0 }, extension)
  }
  t.equal(decoded(`0;a=b\r\n\r\n`).detail, 'ok')
  holds(t, [
    ['empty', sized('5;'), 'chunk-extension'],
    ['two semicolons', sized('5;;a'), 'chunk-extension'],
    ['a value without a name', sized('5;=b'), 'chunk-extension'],
    ['an empty value', sized('5;a='), 'chunk-extension'],
    ['two values', sized('5;a=b=c'), 'chunk-extension'],
    ['a space behind the semicolon', sized('5; a=b'), 'chunk-extension'],
    ['a space before the semicolon', sized('5 ;a=b'), 'chunk-size'],
    ['a space before the equals sign', sized('5;a =b'), 'chunk-extension'],
    ['a space behind the equals sign', sized('5;a= b'), 'chunk-extension'],
    ['a space at the end', sized('5;a=b '), 'chunk-extension'],
    ['a NUL', sized('5;a\0'), 'chunk-extension'],
    ['a NUL in quotes', sized('5;a="\0"'), 'chunk-extension'],
    ['an escaped NUL', sized('5;a="\\\0"'), 'chunk-extension'],
    ['an escaped line end', sized('5;a="\\\r\n"'), 'chunk-extension'],
    ['open quotes', sized('5;a="b'), 'chunk-extension'],
    ['text behind the quotes', sized('5;a="b"c'), 'chunk-extension'],
    ['a byte above 127 in the name', sized('5;\xe9'), 'chunk-extension'],
  ])
})

t.test('trailers are well-formed, and dropped (RFC 9110 6.5.1)', async t => {
  for (const trailer of [
    'A: b',
    'A:',
    'A:b\r\nC:  d ',
    'X-Forwarded-For: \xe9',
    'Content-Lengths: 5',
    'Authorization: x',
  ]) {
    t.same(decoded(trailed(trailer)), { data: '', detail: 'ok', surplus: 0 }, trailer)
  }
  holds(t, [
    ['a length', trailed('Content-Length: 5'), 'chunk-trailer'],
    ['a length behind another', trailed('A: b\r\ncontent-LENGTH:5'), 'chunk-trailer'],
    ['a coding', trailed('Transfer-Encoding: chunked'), 'chunk-trailer'],
    ['no colon', trailed('A'), 'chunk-trailer'],
    ['no name', trailed(': b'), 'chunk-trailer'],
    ['a space before the colon', trailed('A : b'), 'chunk-trailer'],
    ['a folded value', trailed('A: b\r\n c'), 'chunk-trailer'],
    ['folded at once', trailed(' A: b'), 'chunk-trailer'],
    ['a NUL', trailed('A: b\0'), 'chunk-trailer'],
    ['a CR', trailed('A: b\rC: d'), 'chunk-trailer'],
    ['a byte above 127 in the name', trailed('\xe9: b'), 'chunk-trailer'],
    ['a request', trailed('GET / HTTP/1.1'), 'chunk-trailer'],
    ['no empty line yet', '0\r\nA: b\r\n', 'more'],
  ])
})

t.test('what is dropped has a limit, what is data has none here', async t => {
  const kilobyte = 'a'.repeat(1024)
  const outcome = (body: string) => decoded(body).detail
  t.equal(outcome(`5;${'a'.repeat(16 * 1024 - 1)}\r\nhello\r\n0\r\n\r\n`), 'chunk-overhead')
  t.equal(outcome(`5;${'a'.repeat(16 * 1024 + 1)}`), 'chunk-overhead', 'before its end has come')
  t.equal(outcome(`1;${kilobyte}\r\nx\r\n`.repeat(15)), 'more')
  t.equal(outcome(`1;${kilobyte}\r\nx\r\n`.repeat(16)), 'chunk-overhead', 'over all chunks')
  t.equal(outcome(trailed(`A: ${kilobyte}\r\n`.repeat(15).trimEnd())), 'ok')
  t.equal(outcome(trailed(`A: ${kilobyte}\r\n`.repeat(16).trimEnd())), 'chunk-overhead')
  t.equal(
    outcome(`5;${kilobyte.repeat(8)}\r\nhello\r\n${trailed(`A: ${kilobyte.repeat(8)}`)}`),
    'chunk-overhead',
    'together',
  )
  t.same(
    decoded(`${'1\r\nx\r\n'.repeat(20_000)}0\r\n\r\n`, 4096).data.length,
    20_000,
    'a stream of single bytes',
  )
})

t.test('a body that ended badly stays so', async t => {
  const decoder = new ChunkedDecoder({ chunkData: () => t.fail('no data') })
  const bytes = Buffer.from('x\r\n5\r\nhello\r\n0\r\n\r\n')
  t.ok(decoder.decode(bytes, 0, bytes.length) < bytes.length)
  t.equal(decoder.state, 'bad')
  t.equal(decoder.decode(bytes, 3, bytes.length), 3)
  t.equal(decoder.detail, 'chunk-size')
})

t.test('our own chunk heads are what our own decoder reads', async t => {
  t.equal(chunkHead(163), 'a3\r\n')
  for (const length of [1, 15, 16, 255, 65_536]) {
    const data = 'x'.repeat(length)
    t.same(decoded(`${chunkHead(length)}${data}\r\n0\r\n\r\n`), { data, detail: 'ok', surplus: 0 })
  }
})
