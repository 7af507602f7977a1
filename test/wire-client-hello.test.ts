import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, isIP } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  HELLO_DETAILS,
  type HelloDetail,
  MAX_HELLO_BYTES,
  readClientHello,
} from '../lib/wire/client-hello.ts'
import {
  alpn,
  type Extension,
  extensionBlock,
  GREASE,
  hello,
  helloMessage,
  number,
  record,
  recordsOf,
  serverName,
  vector,
} from './support/client-hello.ts'
import { within } from './support/until.ts'

const read = (bytes: Uint8Array) => readClientHello(bytes, 0, bytes.length)

/** Reads the first `length` bytes, where others follow that belong to nobody. */
const readPart = (bytes: Buffer, length: number) =>
  readClientHello(Buffer.concat([bytes.subarray(0, length), Buffer.alloc(5, 0xff)]), 0, length)

/** What is read of each part of the bytes but the whole. */
const prefixes = (bytes: Buffer) => [...bytes.keys()].map(length => readPart(bytes, length))

const PLAIN = { serverName: 'example.com', protocols: ['h2', 'http/1.1'] }
const plainMessage = helloMessage({
  extensions: extensionBlock(
    [GREASE, Buffer.alloc(0)],
    serverName('example.com'),
    [51, Buffer.alloc(1300, 3)],
    alpn('h2', 'http/1.1'),
    [0xfafa, Buffer.from([0])],
  ),
})
const CHROMIUM = Buffer.from(
  readFileSync(new URL('./golden/client-hello/chromium.base64', import.meta.url), 'latin1'),
  'base64',
)

t.test('what the client asks for', async t => {
  const good: readonly (readonly [promise: string, bytes: Buffer, name: unknown, protocols: string[]])[] = [
    ['name and protocols', recordsOf(plainMessage), 'example.com', ['h2', 'http/1.1']],
    ['the name in lower case', hello(serverName('WWW.Example.COM')), 'www.example.com', []],
    ['the name without its final dot', hello(serverName('example.com.')), 'example.com', []],
    ['a name of one label', hello(serverName('localhost')), 'localhost', []],
    ['a name with an underscore', hello(serverName('a_b.example')), 'a_b.example', []],
    ['the longest name', hello(serverName(`${'a.'.repeat(126)}a`)), `${'a.'.repeat(126)}a`, []],
    ['no name', hello(alpn('h2')), undefined, ['h2']],
    ['no extensions at all', record(helloMessage()), undefined, []],
    ['an empty block of them', hello(), undefined, []],
    ['GREASE among the protocols', hello(alpn('\x5a\x5a', 'h2')), undefined, ['\x5a\x5a', 'h2']],
    ['a name of a type that is not known yet', hello(withUnknownType('a.example')), 'a.example', []],
    ['a hello of 16 KiB in one record', hello([21, Buffer.alloc(16_000)], serverName('a.b')), 'a.b', []],
    ['junk in extensions that nobody reads', hello([51, Buffer.from('junk')], serverName('a.b')), 'a.b', []],
    ['SSL 3.0 on the record', record(plainMessage, 22, 0), 'example.com', ['h2', 'http/1.1']],
    ['no session', record(helloMessage({ sessionId: Buffer.alloc(0) })), undefined, []],
  ]
  for (const [promise, bytes, name, protocols] of good) {
    t.same(read(bytes), { serverName: name, protocols }, promise)
    t.ok(
      prefixes(bytes).every(answer => answer === undefined),
      `${promise}: every prefix asks for more`,
    )
  }
})

t.test('a hello as large as it may be, in records of every size that may be', async t => {
  const fixed = helloMessage({ extensions: extensionBlock([21, Buffer.alloc(0)]) }).length
  // Four records, whose heads take 20 bytes.
  const message = (bytes: number) =>
    helloMessage({ extensions: extensionBlock([21, Buffer.alloc(bytes - fixed)]) })
  const sized = (bytes: number) => recordsOf(message(bytes), [16384, 32768, 49152])
  t.match(read(sized(MAX_HELLO_BYTES - 20)), { protocols: [] })
  const inBuffer = Buffer.concat([Buffer.alloc(100), sized(MAX_HELLO_BYTES - 20)])
  t.match(readClientHello(inBuffer, 100, inBuffer.length), { protocols: [] }, 'wherever it stands')
  t.equal(readPart(inBuffer.subarray(100), 4), undefined, 'half the length of 16 KiB')
  t.same(read(sized(MAX_HELLO_BYTES - 19)), { refused: 'hello-too-large' })
  t.match(read(recordsOf(plainMessage, cutsEvery(plainMessage, 128))), PLAIN)
  t.same(read(recordsOf(plainMessage, cutsEvery(plainMessage, 129))), { refused: 'hello-record' })
})

t.test('what is refused, and why', async t => {
  const malformed = (parts: Parameters<typeof helloMessage>[0]) => record(helloMessage(parts))
  const block = (...bytes: readonly Buffer[]) => malformed({ extensions: vector(2, ...bytes) })
  const names = (data: Buffer) => hello([0, data])
  const protocols = (data: Buffer) => hello([16, data])
  const name = Buffer.from('\0\0\x03a.b', 'latin1')
  const bad: readonly (readonly [promise: string, bytes: Buffer | string, detail: HelloDetail])[] = [
    ['plain HTTP', 'GET / HTTP/1.1\r\n', 'not-tls'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n', 'not-tls'],
    ['PROXY', '\r\n\r\n\0\r\nQUIT\n', 'not-tls'],
    ['SSH', 'SSH-2.0-x\r\n', 'not-tls'],
    ['a NUL', '\0', 'not-tls'],
    ['an alert', '\x15\x03\x01\0\x02\x02\x28', 'not-tls'],
    ['DTLS', '\x16\xfe\xfd\0\0', 'not-tls'],
    ['high bytes', '\xff\xfe\xfd', 'not-tls'],
    ['SSLv2', '\x80\x2e\x01\0\x02', 'hello-ssl2'],
    ['TLS in the form of SSLv2', '\x80\x2e\x01\x03\x01', 'hello-ssl2'],
    ['an empty record', '\x16\x03\x01\0\0', 'hello-record'],
    ['a record of more than 16 KiB', '\x16\x03\x01\x40\x01', 'hello-record'],
    [
      'an alert between two parts',
      Buffer.concat([record(plainMessage.subarray(0, 9)), record(number(2, 1), 21)]),
      'hello-record',
    ],
    [
      'another version between two parts',
      Buffer.concat([record(plainMessage.subarray(0, 9)), Buffer.from([22, 4])]),
      'hello-record',
    ],
    ['another message', malformed({ type: 2 }), 'hello-message'],
    ['a message of 16 MiB', record(Buffer.from([1, 255, 255, 255])), 'hello-too-large'],
    ['SSL 2 as the version', malformed({ major: 2 }), 'hello-malformed'],
    ['a session of 33 bytes', malformed({ sessionId: Buffer.alloc(33) }), 'hello-malformed'],
    ['no cipher suite', malformed({ suites: Buffer.alloc(0) }), 'hello-malformed'],
    ['half a cipher suite', malformed({ suites: Buffer.alloc(3) }), 'hello-malformed'],
    ['no compression', malformed({ compressions: Buffer.alloc(0) }), 'hello-malformed'],
    ['an empty message', record(Buffer.from([1, 0, 0, 0])), 'hello-malformed'],
    ['one byte behind', malformed({ more: Buffer.alloc(1) }), 'hello-malformed'],
    [
      'a byte behind the extensions',
      malformed({ extensions: vector(2), more: Buffer.alloc(1) }),
      'hello-malformed',
    ],
    [
      'extensions longer than the message',
      malformed({ extensions: Buffer.from([0, 9, 0]) }),
      'hello-malformed',
    ],
    ['half an extension', block(Buffer.from([0, 21, 0])), 'hello-malformed'],
    ['an extension longer than its block', block(Buffer.from([0, 21, 0, 1])), 'hello-malformed'],
    ['two names in two extensions', hello(serverName('a.b'), serverName('c.d')), 'hello-extension-repeated'],
    [
      'the same name in two extensions',
      hello(serverName('a.b'), serverName('a.b')),
      'hello-extension-repeated',
    ],
    ['any extension twice', hello([21, Buffer.alloc(1)], [21, Buffer.alloc(2)]), 'hello-extension-repeated'],
    ['two names in one list', hello(serverName('a.b', 'c.d')), 'hello-server-name'],
    ['a list of no names', hello(serverName()), 'hello-server-name'],
    ['no list of names', names(Buffer.alloc(0)), 'hello-server-name'],
    ['a list longer than its extension', names(Buffer.concat([number(2, 7), name])), 'hello-server-name'],
    ['a list shorter than its extension', names(Buffer.concat([vector(2, name), name])), 'hello-server-name'],
    [
      'a name longer than its list',
      names(vector(2, Buffer.from('\0\0\x04a.b', 'latin1'))),
      'hello-server-name',
    ],
    ...badNames.map(
      name => [`as a name: ${JSON.stringify(name)}`, hello(serverName(name)), 'hello-server-name'] as const,
    ),
    ['an empty list of protocols', protocols(vector(2)), 'hello-alpn'],
    ['no list of protocols', protocols(Buffer.alloc(0)), 'hello-alpn'],
    ['an empty protocol', hello(alpn('h2', '')), 'hello-alpn'],
    ['a protocol longer than the list', protocols(vector(2, Buffer.from('\x03h2'))), 'hello-alpn'],
    ['a byte behind the protocols', protocols(Buffer.concat([alpn('h2')[1], Buffer.alloc(1)])), 'hello-alpn'],
  ]
  for (const [promise, text, detail] of bad) {
    const bytes = Buffer.from(text as string, 'latin1')
    t.same(read(bytes), { refused: detail }, promise)
    const answers = [...prefixes(bytes), read(bytes)].filter(answer => answer !== undefined)
    t.ok(
      answers.every(answer => (answer as { refused?: string }).refused === detail),
      `${promise}, byte by byte`,
    )
  }
  const used = new Set(bad.map(([, , detail]) => detail))
  t.same([...used].sort(), [...HELLO_DETAILS].sort(), 'every detail has a row')
})

const badNames = [
  '',
  '.',
  'a..b',
  '.a',
  'a b',
  'a/b',
  'a\0.example',
  'example.com:443',
  '1.2.3.4.5',
  '[::1]',
  'b\xfccher.example',
  '*.example.com',
  `${'a.'.repeat(127)}a`,
  'a'.repeat(5000),
]

t.test(
  'an address in the place of a name names nobody: RFC 6066 3 forbids it, and many clients send it',
  async t => {
    for (const name of ['127.0.0.1', '127.0.0.1.', '::1', '2001:db8::1'])
      t.match(read(hello(serverName(name))), { serverName: undefined }, name)
  },
)

t.test('who does not speak TLS is known by the first byte or two', async t => {
  t.same(read(Buffer.from('G')), { refused: 'not-tls' })
  t.same(read(Buffer.from([22, 2])), { refused: 'not-tls' })
  t.equal(read(Buffer.alloc(0)), undefined)
})

t.test('what follows the hello is not looked at', async t => {
  t.same(read(Buffer.concat([recordsOf(plainMessage), Buffer.from('GET /')])), PLAIN)
  t.same(read(record(Buffer.concat([plainMessage, Buffer.from([1, 2, 3])]))), PLAIN)
})

t.test('Chromium 156 with GREASE, hybrid key shares and an encrypted hello', async t => {
  const expected = { serverName: 'www.example.org', protocols: ['h2', 'http/1.1'] }
  t.same(read(CHROMIUM), expected)
  t.ok(CHROMIUM.length > 1800)
  t.ok(prefixes(CHROMIUM).every(answer => answer === undefined))
})

const messages: readonly Buffer[] = [plainMessage, CHROMIUM.subarray(5)]
const aMessage = fc.constantFrom(...messages)
const someCuts = fc.array(fc.nat(), { maxLength: 100 })

t.test('a hello means the same however it is cut into records', async t => {
  fc.assert(
    fc.property(aMessage, someCuts, (message, cuts) => {
      const bytes = recordsOf(message, cuts)
      t.same(read(bytes), read(recordsOf(message)))
      const length = (cuts[0] ?? 0) % bytes.length
      t.equal(readPart(bytes, length), undefined)
    }),
  )
})

t.test('bytes around the given ones mean nothing', async t => {
  const around = fc.uint8Array({ maxLength: 40 })
  fc.assert(
    fc.property(mutated(), around, around, (bytes, before, after) => {
      const all = Buffer.concat([before, bytes, after])
      t.same(readClientHello(all, before.length, before.length + bytes.length), read(bytes))
    }),
  )
})

t.test('no bytes make it throw, and more bytes never change an answer', async t => {
  fc.assert(
    fc.property(fc.oneof(mutated(), fc.uint8Array({ maxLength: 200 })), fc.nat(), (bytes, cut) => {
      const whole = read(bytes)
      const part = readPart(Buffer.from(bytes), cut % (bytes.length + 1))
      if (part !== undefined) t.same(part, whole)
    }),
    { numRuns: 3000 },
  )
})

t.test('what names a server is always a host name', async t => {
  const name = fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes).toString('latin1'))
  fc.assert(
    fc.property(
      fc.oneof(name, fc.string({ unit: fc.constantFrom('a', 'B', '.', '-', ':', '1', '[') })),
      text => {
        const answer = read(hello(serverName(text)))
        if (answer === undefined || 'refused' in answer) t.same(answer, { refused: 'hello-server-name' })
        else t.equal(answer.serverName, isIP(text) === 0 ? text.toLowerCase().replace(/\.$/, '') : undefined)
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('hellos of Node', async t => {
  const longList = Array.from({ length: 100 }, (_, n) => `protocol-${n}`)
  const asked: readonly (readonly [name: string | undefined, protocols: string[], options: object])[] = [
    ['Example.COM', ['h2', 'http/1.1'], {}],
    [undefined, [], {}],
    ['a.example', [], { maxVersion: 'TLSv1.2' }],
    ['b.example', ['h2'], { minVersion: 'TLSv1.3' }],
    ['c.example', longList, {}],
  ]
  for (const [servername, ALPNProtocols, options] of asked) {
    const bytes = await captured(t, port => {
      const name = servername === undefined ? {} : { servername }
      const socket = connect({ host: '127.0.0.1', port, ALPNProtocols, ...name, ...options })
      socket.on('error', () => {})
      return () => socket.destroy()
    })
    t.same(read(bytes), { serverName: servername?.toLowerCase(), protocols: ALPNProtocols })
    t.ok(prefixes(bytes).every(answer => answer === undefined))
  }
})

t.test('hellos of OpenSSL', async t => {
  const weak = ['-cipher', 'ALL:@SECLEVEL=0']
  const long = Array.from({ length: 90 }, (_, n) => `protocol-${n}`)
  const asked: readonly (readonly [
    args: readonly string[],
    name: string | undefined,
    protocols: string[],
  ])[] = [
    [['-servername', 'example.com'], 'example.com', []],
    [['-servername', 'Example.com', '-alpn', 'h2,http/1.1'], 'example.com', ['h2', 'http/1.1']],
    [['-noservername'], undefined, []],
    [['-servername', 'a.example', '-tls1', ...weak], 'a.example', []],
    [['-servername', 'a.example', '-tls1_1', ...weak], 'a.example', []],
    [['-servername', 'a.example', '-tls1_2', '-alpn', 'http/1.1'], 'a.example', ['http/1.1']],
    [['-servername', 'a.example', '-tls1_3', '-no_middlebox'], 'a.example', []],
    [['-servername', 'a.example', '-alpn', long.join(','), '-max_send_frag', '512'], 'a.example', long],
  ]
  for (const [args, name, protocols] of asked) {
    const bytes = await captured(t, port => {
      const all = ['s_client', '-connect', `127.0.0.1:${port}`, ...args]
      const child = spawn('openssl', all, { stdio: ['pipe', 'ignore', 'ignore'] })
      child.stdin.on('error', () => {})
      return () => child.kill('SIGKILL')
    })
    t.same(read(bytes), { serverName: name, protocols }, args.join(' '))
    t.ok(prefixes(bytes).every(answer => answer === undefined))
    const first = 5 + bytes.readUInt16BE(3)
    t.equal(
      bytes.length > first,
      args.includes('-max_send_frag'),
      'only the long one comes in several records',
    )
  }
})

/** What a client sends at first: until our reader has an answer. */
async function captured(t: Test, start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const first = new Promise<Buffer>(resolve => {
    server.once('connection', socket => {
      let bytes: Buffer = Buffer.alloc(0)
      socket.on('error', () => {})
      socket.on('data', more => {
        bytes = Buffer.concat([bytes, more])
        if (read(bytes) === undefined) return
        resolve(bytes)
        socket.destroy()
      })
    })
  })
  const stop = start((server.address() as AddressInfo).port)
  t.teardown(() => {
    stop()
    server.close()
  })
  return within('the whole hello', first)
}

/** A good hello with some bytes changed, left out or put in. */
function mutated(): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(), fc.nat(3), fc.uint8Array({ maxLength: 3 }))
  return fc.tuple(aMessage, someCuts, fc.array(change, { maxLength: 3 })).map(([message, cuts, changes]) => {
    let bytes = recordsOf(message, cuts)
    for (const [place, removed, added] of changes) {
      // Most of what is looked at stands in the first bytes.
      const at = place % (place % 2 === 0 ? 120 : bytes.length)
      bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)])
    }
    return bytes
  })
}

function withUnknownType(name: string): Extension {
  const [, list] = serverName(name)
  return [0, vector(2, number(1, 9), vector(2, Buffer.from('?')), list.subarray(2))]
}

/** Places that cut the message into this many records. */
function cutsEvery(message: Buffer, count: number): number[] {
  return Array.from({ length: count - 1 }, (_, n) => Math.floor(((n + 1) * message.length) / count))
}
