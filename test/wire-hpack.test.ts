import { connect as connectHttp2 } from 'node:http2'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { HpackDecoder } from '../lib/wire/hpack-decoder.ts'
import { HpackEncoder } from '../lib/wire/hpack-encoder.ts'
import { HUFFMAN_CODES, HUFFMAN_LENGTHS } from '../lib/wire/hpack-tables.ts'
import { indexed, integer, literal, remembered } from './support/http2-fields.ts'
import { RawHttp2Server } from './support/raw-http2.ts'

const LIMITS = { maxBytes: 64 * 1024, maxPairs: 200 }

const decoded = (decoder: HpackDecoder, hex: string, limits = LIMITS) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return decoder.decode(bytes, 0, bytes.length, limits)
}

/** Blocks of one connection, each with the fields that it stands for. */
function holds(
  t: Test,
  decoder: HpackDecoder,
  blocks: readonly (readonly [hex: string, fields: string])[],
): void {
  for (const [hex, fields] of blocks) t.same(decoded(decoder, hex), fields.split('|'), hex)
}

const FIRST = ':method|GET|:scheme|http|:path|/|:authority|www.example.com'
const SECOND = `${FIRST}|cache-control|no-cache`
const THIRD = ':method|GET|:scheme|https|:path|/index.html|:authority|www.example.com|custom-key|custom-value'
const ANSWERED = (status: string, second: number) =>
  `:status|${status}|cache-control|private|date|Mon, 21 Oct 2013 20:13:2${second} GMT|location|https://www.example.com`
const COOKIE = 'set-cookie|foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'

t.test('literals and indexed fields (RFC 7541 C.2)', async t => {
  const custom = '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'
  holds(t, new HpackDecoder(), [
    [custom, 'custom-key|custom-header'],
    ['040c 2f73 616d 706c 652f 7061 7468', ':path|/sample/path'],
    ['1008 7061 7373 776f 7264 0673 6563 7265 74', 'password|secret'],
    ['82', ':method|GET'],
    ['be', 'custom-key|custom-header'],
  ])
})

t.test('requests (RFC 7541 C.3, C.4)', async t => {
  holds(t, new HpackDecoder(), [
    ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', FIRST],
    ['8286 84be 5808 6e6f 2d63 6163 6865', SECOND],
    ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', THIRD],
  ])
  holds(t, new HpackDecoder(), [
    ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', FIRST],
    ['8286 84be 5886 a8eb 1064 9cbf', SECOND],
    ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', THIRD],
  ])
})

t.test('answers with eviction (RFC 7541 C.5, C.6)', async t => {
  const last = `${ANSWERED('200', 2)}|content-encoding|gzip|${COOKIE}`
  holds(t, new HpackDecoder(256), [
    [
      '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      ANSWERED('302', 1),
    ],
    ['4803 3330 37c1 c0bf', ANSWERED('307', 1)],
    [
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      last,
    ],
  ])
  holds(t, new HpackDecoder(256), [
    [
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ANSWERED('302', 1),
    ],
    ['4883 640e ffc1 c0bf', ANSWERED('307', 1)],
    [
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      last,
    ],
  ])
})

const COMPRESSION = { fault: 'compression' }
const TOO_LARGE = { fault: 'too-large' }

t.test('what is no HPACK is a fault of the connection', async t => {
  const faults: readonly (readonly [promise: string, hex: string])[] = [
    ['index 0 (6.1)', '80'],
    ['an index beyond the tables', 'be'],
    ['a name beyond the tables', '7e 00'],
    ['a name beyond the tables, not added', '0f 2f 00'],
    ['an integer that is cut off', 'ff'],
    ['an integer that is cut off later', 'ff 80 80'],
    ['an integer of five more bytes', 'ff 80 80 80 80 00'],
    ['an integer that would overflow', 'ff ff ff ff ff ff ff ff ff 7f'],
    ['a literal without its texts', '40'],
    ['a literal without its value', '40 01 61'],
    ['a text that is longer than the block', '40 01 61 02 61'],
    ['a text whose length is huge', '40 7f ff ff ff 7f'],
    ['a size above what was announced (6.3)', '3f e2 1f'],
    ['a size behind a field (4.2)', '82 20'],
    ['padding of zeros (5.2)', '00 81 18 00'],
    ['padding of eight ones (5.2)', '00 82 1f ff 00'],
    ['a byte of nothing but padding', '00 81 ff 00'],
    ['EOS (5.2)', '00 84 ff ff ff ff 00'],
    ['EOS behind a letter', '00 85 1f ff ff ff ff 00'],
    ['a code that is cut off', '00 82 1f fe 00'],
  ]
  for (const [promise, hex] of faults) t.same(decoded(new HpackDecoder(), hex), COMPRESSION, promise)
  t.same(decoded(new HpackDecoder(), ''), [], 'an empty block is an empty list')
  t.same(decoded(new HpackDecoder(), '00 81 1f 00'), ['a', ''], 'padding of ones is right')
  t.same(decoded(new HpackDecoder(), '3f e1 1f 20 82'), [':method', 'GET'], 'sizes up to the announced one')
})

t.test('a list that is too large is not kept, but the table goes on', async t => {
  const first = Buffer.concat([remembered('a', 'x'), remembered('b', 'y')])
  for (const limits of [
    { maxBytes: 67, maxPairs: 9 },
    { maxBytes: 999, maxPairs: 1 },
  ]) {
    const decoder = new HpackDecoder()
    t.same(decoder.decode(first, 0, first.length, limits), TOO_LARGE)
    t.same(decoded(decoder, 'be bf'), ['b', 'y', 'a', 'x'])
  }
  t.same(new HpackDecoder().decode(first, 0, first.length, { maxBytes: 68, maxPairs: 2 }), [
    'a',
    'x',
    'b',
    'y',
  ])
  const broken = Buffer.concat([first, indexed(99)])
  t.same(
    new HpackDecoder().decode(broken, 0, broken.length, { maxBytes: 0, maxPairs: 0 }),
    COMPRESSION,
    'a fault behind the limit is still one',
  )
})

t.test('a bomb of references is refused and leaves nothing', async t => {
  const decoder = new HpackDecoder()
  const bomb = Buffer.concat([remembered('a', 'x'.repeat(4000)), Buffer.alloc(60_000, 0xbe)])
  t.same(decoder.decode(bomb, 0, bomb.length, LIMITS), TOO_LARGE)
  t.same(decoder.decode(bomb, 0, bomb.length, { maxBytes: 1e9, maxPairs: 10 }), TOO_LARGE)
  t.same(decoded(decoder, 'be'), ['a', 'x'.repeat(4000)])
  const many = Buffer.concat(Array.from({ length: 5000 }, (_, i) => remembered(`n${i}`, '')))
  t.same(decoder.decode(many, 0, many.length, LIMITS), TOO_LARGE)
  t.same(decoder.decode(indexed(62), 0, 1, LIMITS), ['n4999', ''])
  const oldest = indexed(61 + 110) // 4096 bytes hold 110 fields of 37
  t.same(decoder.decode(oldest, 0, oldest.length, LIMITS), ['n4890', ''], 'the oldest that fits')
  const beyond = indexed(61 + 111)
  t.same(decoder.decode(beyond, 0, beyond.length, LIMITS), COMPRESSION)
})

t.test('a field larger than the table empties it (RFC 7541 4.4)', async t => {
  const decoder = new HpackDecoder(64)
  const block = Buffer.concat([remembered('a', 'b'), indexed(62), remembered('c', 'd'.repeat(32))])
  t.same(decoder.decode(block, 0, block.length, LIMITS), ['a', 'b', 'a', 'b', 'c', 'd'.repeat(32)])
  t.same(decoded(decoder, 'be'), COMPRESSION)
})

t.test('junk ends in a list or a fault', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), blocks => {
        const decoder = new HpackDecoder()
        for (const block of blocks) {
          const result = decoder.decode(Buffer.from(block), 0, block.length, LIMITS)
          if (!Array.isArray(result) && result.fault !== 'compression' && result.fault !== 'too-large')
            return false
        }
        return true
      }),
      { numRuns: 2000 },
    ),
  )
})

const NAMES = [
  ':status',
  'Server',
  'date',
  'content-type',
  'vary',
  'set-cookie',
  'ETag',
  'x-own',
  'cache-control',
]
const pairs = fc
  .array(
    fc.tuple(
      fc.constantFrom(...NAMES),
      fc.oneof(
        fc.constantFrom('200', 'gzip', 'a', ''),
        fc.nat(60).map(String),
        fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('latin1')),
      ),
    ),
    { maxLength: 20 },
  )
  .map(list => list.flat())
const steps = fc.array(fc.oneof(pairs, fc.constantFrom(0, 40, 100, 300, 4096, 65536)), { maxLength: 30 })
const lowered = (list: readonly string[]) =>
  list.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))

t.test('what is encoded decodes to the same, through all sizes of the table', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(steps, list => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder()
        for (const step of list) {
          if (typeof step === 'number') encoder.setTableBytes(step)
          else {
            const block = encoder.encode(step, 9)
            const fields = decoder.decode(block, 9, block.length, LIMITS)
            if (JSON.stringify(fields) !== JSON.stringify(lowered(step))) return false
          }
        }
        return true
      }),
      { numRuns: 500 },
    ),
  )
})

t.test('repeating fields become one byte, secrets and ids stay literals', async t => {
  const encoder = new HpackEncoder()
  t.equal(encoder.encode([':status', '200']).toString('hex'), '88')
  t.equal(encoder.encode(['Server', 'a']).toString('hex'), '7601' + '61')
  t.equal(encoder.encode(['server', 'a']).toString('hex'), 'be')
  t.equal(encoder.encode(['date', 'x', 'server', 'a']).toString('hex'), '61' + '0178' + 'bf')
  for (const turn of ['first', 'again']) {
    t.equal(encoder.encode(['set-cookie', 'a']).toString('hex'), '1f28' + '0161', `never indexed, ${turn}`)
    t.equal(encoder.encode(['content-length', '7']).toString('hex'), '0f0d' + '0137', `not indexed, ${turn}`)
    t.equal(encoder.encode(['x', '7']).toString('hex'), '00' + '0178' + '0137', `not indexed, ${turn}`)
  }
  const long = ['vary', 'v'.repeat(3000)]
  t.ok(encoder.encode(long).length > 3000)
  t.ok(encoder.encode(long).length > 3000, 'a value of most of the table does not push out the others')
  const huge = encoder.encode(['x', 'v'.repeat(100_000)])
  t.equal(huge.length, 100_007)
})

t.test('a change of size is told at the beginning of the next block (RFC 7541 4.2)', async t => {
  const encoder = new HpackEncoder()
  encoder.setTableBytes(65536)
  t.equal(encoder.encode(['server', 'a']).toString('hex'), '760161', 'a larger table is not used')
  encoder.setTableBytes(0)
  encoder.setTableBytes(100)
  t.equal(
    encoder.encode(['server', 'a']).toString('hex'),
    '20' + '3f45' + '760161',
    'the smallest, then the last',
  )
  t.equal(encoder.encode(['server', 'a']).toString('hex'), 'be')
  encoder.setTableBytes(0)
  t.equal(encoder.encode(['server', 'a']).toString('hex'), '20' + '0f27' + '0161', 'nothing is added')
})

t.test("node's client: its blocks are read, and ours by it", async t => {
  const server = await RawHttp2Server.start(t)
  const client = connectHttp2(`http://127.0.0.1:${server.port}`)
  t.teardown(() => client.destroy())
  const decoder = new HpackDecoder()
  const encoder = new HpackEncoder()
  for (let turn = 1; turn <= 60; turn += 1) {
    const all = String.fromCharCode(...Array.from({ length: 20 }, (_, i) => 0x21 + ((turn * 7 + i) % 94)))
    const sent = {
      ':path': `/${turn}`,
      'user-agent': 'oracle',
      [`x-${turn % 5}`]: all,
      cookie: `a=${turn % 3}`,
    }
    const stream = client.request(sent)
    const line = await server.line()
    const id = await server.lines[0]?.request(turn)
    const block = line.of(1)[turn - 1]?.payload as Buffer
    const list = decoder.decode(block, 0, block.length, LIMITS) as string[]
    t.ok(Array.isArray(list), `block ${turn}`)
    for (const [name, value] of Object.entries(sent)) t.equal(list[list.indexOf(name) + 1], value)
    const fields = [
      'server',
      'ours',
      'date',
      `day ${turn}`,
      'etag',
      `"${turn}"`,
      'vary',
      'v'.repeat(turn * 10),
      'x-own',
      all,
    ]
    const answer = new Promise<Record<string, unknown>>((done, failed) => {
      stream.on('response', done)
      stream.on('error', failed)
    })
    line.send(1, 5, id as number, encoder.encode([':status', '200', ...fields]))
    const got = await answer
    t.equal(got[':status'], 200)
    for (let at = 0; at < fields.length; at += 2) t.equal(got[fields[at] as string], fields[at + 1])
    stream.resume()
  }
})

t.test('every byte has the Huffman code of the RFC', async t => {
  const server = await RawHttp2Server.start(t)
  const client = connectHttp2(`http://127.0.0.1:${server.port}`)
  t.teardown(() => client.destroy())
  const decoder = new HpackDecoder()
  // Sixteen short codes before each byte, so that the oracle finds Huffman code the shorter form.
  const texts = Array.from({ length: 0xff }, (_, i) => `aaaaaaaaaaaaaaaa${String.fromCharCode(i + 1)}e`)
  const bytes = texts.filter(text => /[\x20-\x7e\x80-\xff]e$/.test(text))
  for (const [at, text] of bytes.entries())
    client.request({ 'x-byte': text, ':path': `/${at}` }).on('error', () => {})
  const line = await server.line()
  await line.request(bytes.length)
  for (const [at, text] of bytes.entries()) {
    const block = line.of(1)[at]?.payload as Buffer
    const list = decoder.decode(block, 0, block.length, LIMITS) as string[]
    t.equal(list[list.indexOf('x-byte') + 1], text)
  }
})

t.test('integers of all lengths (RFC 7541 5.1)', async t => {
  for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 16_510, 16_511]) {
    const block = literal('a', 'v'.repeat(length))
    t.same(new HpackDecoder().decode(block, 0, block.length, { maxBytes: 1e6, maxPairs: 1 }), [
      'a',
      'v'.repeat(length),
    ])
  }
  const size = integer(1337, 5, 0x20)
  t.equal(size.toString('hex'), '3f9a0a', 'C.1.2')
  t.same(new HpackDecoder(1337).decode(size, 0, size.length, LIMITS), [])
  t.same(new HpackDecoder(1336).decode(size, 0, size.length, LIMITS), COMPRESSION)
})

t.test('the Huffman code is whole and that of RFC 7541 appendix B, for control characters too', async t => {
  const rfc = [
    [0, 0x1ff8],
    [1, 0x7fffd8],
    [2, 0xfffffe2],
    [9, 0xffffea],
    [10, 0x3ffffffc],
    [13, 0x3ffffffd],
    [22, 0x3ffffffe],
    [31, 0xffffffb],
    [127, 0xffffffc],
  ] as const
  for (const [byte, code] of rfc) t.equal(HUFFMAN_CODES[byte], code)
  const eos = 2 ** -30
  t.equal(
    HUFFMAN_LENGTHS.reduce((sum, length) => sum + 2 ** -length, eos),
    1,
  )
})
