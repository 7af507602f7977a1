import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { ipBytes, ipText } from '../lib/http/ip-bytes.ts'
import { crc32c } from '../lib/wire/crc32c.ts'
import {
  MAX_PROXY_HEADER_BYTES,
  PROXY_DETAILS,
  type ProxyDetail,
  type ProxyPeer,
  proxyHeaderV1,
  proxyHeaderV2,
  readProxyHeader,
} from '../lib/wire/proxy-protocol.ts'
import { within } from './support/until.ts'

type Bad = readonly [promise: string, bytes: string, detail: ProxyDetail]

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const read = (bytes: Buffer) => readProxyHeader(bytes, 0, bytes.length)
const peer = (address: string, port: number): ProxyPeer => ({ address, port })
/** Reads the first `length` bytes, where others follow that belong to nobody. */
const readPart = (bytes: Buffer, length: number) =>
  readProxyHeader(Buffer.concat([bytes.subarray(0, length), Buffer.alloc(16, 0xff)]), 0, length)
const proxied = (source: ProxyPeer, destination: ProxyPeer, size: number) =>
  ({ kind: 'proxied', source, destination, size }) as const

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const V4 = '\xc0\0\x02\x01\xc6\x33\x64\x07\xdb\xd4\x01\xbb'
const V4_ENDS = [peer('192.0.2.1', 56276), peer('198.51.100.7', 443)] as const
const V6 = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01${'\0'.repeat(15)}\x01\0\0\xff\xff`
const UNIX = '/run/a.sock'.padEnd(108, '\0').repeat(2)

/** A version 2 header, its length counted. */
function binary(versionAndCommand: number, family: number, block: string, length = block.length): string {
  return `${SIGNATURE}${String.fromCharCode(versionAndCommand, family, length >> 8, length & 0xff)}${block}`
}

function tlv(type: number, value: string): string {
  return `${String.fromCharCode(type, value.length >> 8, value.length & 0xff)}${value}`
}

/** The same header with the checksum of all of it at its end. */
function summed(block: string, flip = 0): string {
  const bytes = latin1(binary(0x21, 0x11, block + tlv(3, '\0\0\0\0')))
  bytes.writeUInt32BE((crc32c(bytes) ^ flip) >>> 0, bytes.length - 4)
  return bytes.toString('latin1')
}

t.test('what is taken, and what it says', async t => {
  const good: readonly (readonly [promise: string, text: string, ends?: readonly [ProxyPeer, ProxyPeer]])[] =
    [
      ['TCP4', 'PROXY TCP4 192.0.2.1 198.51.100.7 56276 443\r\n', V4_ENDS],
      [
        'the lowest and the highest',
        'PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n',
        [peer('0.0.0.0', 0), peer('255.255.255.255', 65535)],
      ],
      ['TCP6', 'PROXY TCP6 2001:db8::1 ::1 1 2\r\n', [peer('2001:db8::1', 1), peer('::1', 2)]],
      [
        'upper case and zeros',
        'PROXY TCP6 2001:0DB8:0:0:0:0:0:1 0:0:0:0:0:0:0:0 1 2\r\n',
        [peer('2001:db8::1', 1), peer('::', 2)],
      ],
      [
        'mapped IPv4',
        'PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 1 2\r\n',
        [peer('192.0.2.1', 1), peer('198.51.100.7', 2)],
      ],
      [
        'the longest line of TCP6',
        `PROXY TCP6 ${Array(8).fill('ffff').join(':')} ${Array(8).fill('fffe').join(':')} 65535 65535\r\n`,
        [peer(Array(8).fill('ffff').join(':'), 65535), peer(Array(8).fill('fffe').join(':'), 65535)],
      ],
      ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
      ['UNKNOWN with anything', 'PROXY UNKNOWN  x \0 1.2.3.4\r\n'],
      ['UNKNOWN with 107 bytes', `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`],
      ['version 2 over TCP4', binary(0x21, 0x11, V4), V4_ENDS],
      ['version 2 over TCP6', binary(0x21, 0x21, V6), [peer('2001:db8::1', 0), peer('::1', 65535)]],
      [
        'version 2 with mapped IPv4',
        binary(0x21, 0x21, `${`${'\0'.repeat(10)}\xff\xff\xc0\0\x02\x01`.repeat(2)}\0\x01\0\x02`),
        [peer('192.0.2.1', 1), peer('192.0.2.1', 2)],
      ],
      ['version 2 with vectors', binary(0x21, 0x11, V4 + tlv(2, 'a.example') + tlv(4, '')), V4_ENDS],
      ['version 2 with its checksum', summed(V4 + tlv(0xe0, 'x')), V4_ENDS],
      ['as many bytes as there may be', binary(0x21, 0x11, V4 + tlv(4, 'x'.repeat(4065))), V4_ENDS],
      ['LOCAL', binary(0x20, 0, '')],
      ['LOCAL with a block that nobody reads', binary(0x20, 0x99, 'anything')],
      ['PROXY without a family', binary(0x21, 0, 'anything')],
      ['unix sockets', binary(0x21, 0x31, UNIX)],
      ['unix sockets with vectors', binary(0x21, 0x31, UNIX + tlv(4, 'x'))],
    ]
  for (const [promise, text, ends] of good) {
    const bytes = latin1(text)
    const kind = promise.startsWith('LOCAL') ? 'local' : 'unknown'
    const expected = ends ? proxied(...ends, bytes.length) : { kind, size: bytes.length }
    t.same(read(bytes), expected, promise)
    t.same(read(latin1(`${text}GET / HTTP/1.1\r\n`)), expected, `${promise}: what follows is the client's`)
    t.same(readProxyHeader(latin1(`x${text}\r\n`), 1, 1 + bytes.length), expected, `${promise}: in a buffer`)
    const lengths = [...bytes.keys()]
    t.ok(
      lengths.every(length => readPart(bytes, length) === undefined),
      `${promise}: every prefix asks for more`,
    )
  }
})

t.test('what is refused, and why', async t => {
  const bad: readonly Bad[] = [
    ['plain HTTP', 'GET / HTTP/1.1\r\n', 'proxy-missing'],
    ['POST, which begins alike', 'POST / HTTP/1.1\r\n', 'proxy-missing'],
    ['TLS', '\x16\x03\x01', 'proxy-missing'],
    ['lower case', 'proxy TCP4', 'proxy-missing'],
    ['a tab', 'PROXY\tTCP4', 'proxy-missing'],
    ['no space', 'PROXY\r\n', 'proxy-missing'],
    ['an empty line before it', '\r\nPROXY', 'proxy-missing'],
    ['half a signature', '\r\n\r\n\0\r\nQUIT\r', 'proxy-missing'],
    ['nothing but the word', 'PROXY \r\n', 'proxy-protocol'],
    ['two spaces before the protocol', 'PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n', 'proxy-protocol'],
    ['UDP', 'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n', 'proxy-protocol'],
    ['a protocol in lower case', 'PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n', 'proxy-protocol'],
    ['a protocol that begins alike', 'PROXY UNKNOWNS\r\n', 'proxy-protocol'],
    ['two spaces', 'PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n', 'proxy-line'],
    ['a space at the end', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n', 'proxy-line'],
    ['a word too many', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n', 'proxy-line'],
    ['a word too few', 'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n', 'proxy-line'],
    ['no words', 'PROXY TCP4\r\n', 'proxy-line'],
    ['a tab for a space', 'PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n', 'proxy-line'],
    ['a bare LF', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n', 'proxy-line-end'],
    ['a bare CR', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rG', 'proxy-line-end'],
    ['a bare LF in what is ignored', 'PROXY UNKNOWN x\n\r\n', 'proxy-line-end'],
    ['108 bytes', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, 'proxy-line-too-long'],
    ['a line without end', `PROXY UNKNOWN ${'x'.repeat(5000)}`, 'proxy-line-too-long'],
    ...[
      ['an IPv6 address in TCP4', 'TCP4 ::1 1.2.3.4'],
      ['a mapped one in TCP4', 'TCP4 ::ffff:1.2.3.4 1.2.3.4'],
      ['an IPv4 address in TCP6', 'TCP6 ::1 1.2.3.4'],
      ['leading zeros', 'TCP4 01.2.3.4 1.2.3.4'],
      ['three parts', 'TCP4 1.2.3 1.2.3.4'],
      ['256', 'TCP4 1.2.3.4 1.2.3.256'],
      ['hexadecimal', 'TCP4 0x7f.0.0.1 1.2.3.4'],
      ['a sign', 'TCP4 +1.2.3.4 1.2.3.4'],
      ['a name', 'TCP4 localhost 1.2.3.4'],
      ['a NUL', 'TCP4 1.2.3.4\0 1.2.3.4'],
      ['a zone', 'TCP6 fe80::1%eth0 ::1'],
      ['brackets', 'TCP6 [::1] ::1'],
      ['two gaps', 'TCP6 1::2::3 ::1'],
      ['five digits', 'TCP6 12345::1 ::1'],
      ['nine parts', 'TCP6 1:2:3:4:5:6:7:8:9 ::1'],
    ].map(([promise, words]): Bad => [`${promise}`, `PROXY ${words} 1 2\r\n`, 'proxy-address']),
    ...['01', '00', '65536', '100000', '-1', '+1', '', '1e3', '0x1', '１'].flatMap((port): Bad[] => [
      [`source port ${port}`, `PROXY TCP4 1.2.3.4 1.2.3.4 ${port} 2\r\n`, 'proxy-port'],
      [`destination port ${port}`, `PROXY TCP4 1.2.3.4 1.2.3.4 1 ${port}\r\n`, 'proxy-port'],
    ]),
    ['version 1 in version 2', binary(0x11, 0x11, V4), 'proxy-version'],
    ['version 3', binary(0x31, 0x11, V4), 'proxy-version'],
    ['an unknown command', binary(0x22, 0x11, V4), 'proxy-command'],
    ['UDP over IPv4', binary(0x21, 0x12, V4), 'proxy-family'],
    ['UDP over IPv6', binary(0x21, 0x22, V6), 'proxy-family'],
    ['datagrams of unix sockets', binary(0x21, 0x32, UNIX), 'proxy-family'],
    ['an unknown family', binary(0x21, 0x41, UNIX), 'proxy-family'],
    ['a family without a protocol', binary(0x21, 0x10, V4), 'proxy-family'],
    ['a protocol without a family', binary(0x21, 0x01, V4), 'proxy-family'],
    ['an IPv4 block too short', binary(0x21, 0x11, V4.slice(1)), 'proxy-length'],
    ['an IPv6 block too short', binary(0x21, 0x21, V4), 'proxy-length'],
    ['a unix block too short', binary(0x21, 0x31, V6), 'proxy-length'],
    ['4097 bytes', binary(0x21, 0x11, '', 4081), 'proxy-too-large'],
    ['64 KiB for a connection of its own', binary(0x20, 0, '', 65535), 'proxy-too-large'],
    ['a byte behind the addresses', binary(0x21, 0x11, `${V4}\x04`), 'proxy-tlv'],
    ['two bytes behind them', binary(0x21, 0x11, `${V4}\x04\0`), 'proxy-tlv'],
    ['a vector longer than the header', binary(0x21, 0x11, `${V4}\x04\0\x01`), 'proxy-tlv'],
    ['a second one that is', binary(0x21, 0x31, `${UNIX}${tlv(4, 'x')}\x04\0\x01`), 'proxy-tlv'],
    ['a checksum of three bytes', binary(0x21, 0x11, V4 + tlv(3, 'abc')), 'proxy-tlv'],
    ['two checksums', summed(V4 + tlv(3, '\0\0\0\0')), 'proxy-tlv'],
    ['a wrong checksum', summed(V4, 1), 'proxy-checksum'],
    [
      'the checksum of other addresses',
      summed(V4).replace('\xc0\0\x02\x01', '\xc0\0\x02\x02'),
      'proxy-checksum',
    ],
  ]
  for (const [promise, text, detail] of bad) {
    const bytes = latin1(text)
    t.same(read(bytes), { refused: detail }, promise)
    const prefixes = [...bytes.keys()].map(length => readPart(bytes, length))
    const early = prefixes.filter(answer => answer !== undefined)
    t.ok(
      early.every(answer => 'refused' in answer && answer.refused === detail),
      `${promise}, byte by byte`,
    )
  }
  const used = new Set(bad.map(([, , detail]) => detail))
  t.same([...used].sort(), [...PROXY_DETAILS].sort(), 'every detail has a row')
})

t.test('who speaks without the header is known by the first byte that differs', async t => {
  t.same(read(latin1('G')), { refused: 'proxy-missing' })
  t.same(read(latin1('PO')), { refused: 'proxy-missing' })
  t.same(read(latin1('\r\nG')), { refused: 'proxy-missing' })
  t.equal(read(latin1('')), undefined)
})

t.test('what is written in front of a connection', async t => {
  const [source, destination] = V4_ENDS
  const v6 = peer('2001:DB8:0::1', 7)
  t.equal(proxyHeaderV1(source, destination), 'PROXY TCP4 192.0.2.1 198.51.100.7 56276 443\r\n')
  t.equal(proxyHeaderV2(source, destination).toString('latin1'), binary(0x21, 0x11, V4))
  t.equal(proxyHeaderV1(v6, peer('::1', 443)), 'PROXY TCP6 2001:db8::1 ::1 7 443\r\n')
  t.equal(
    proxyHeaderV2(peer('2001:db8::1', 0), peer('::1', 65535)).toString('latin1'),
    binary(0x21, 0x21, V6),
  )
  t.equal(
    proxyHeaderV1(source, v6),
    'PROXY TCP6 ::ffff:c000:201 2001:db8::1 56276 7\r\n',
    'one family for both',
  )
  t.equal(proxyHeaderV1(v6, source), 'PROXY TCP6 2001:db8::1 ::ffff:c000:201 7 56276\r\n')
  t.equal(proxyHeaderV1(peer('::ffff:192.0.2.1', 1), source), 'PROXY TCP4 192.0.2.1 192.0.2.1 1 56276\r\n')
  t.equal(proxyHeaderV1(peer('fe80::1%eth0', 1), v6), 'PROXY TCP6 fe80::1 2001:db8::1 1 7\r\n', 'no zone')
  for (const [from, to] of [
    [peer('', 0), source],
    [source, peer('', 0)],
  ] as const) {
    t.equal(proxyHeaderV1(from, to), 'PROXY UNKNOWN\r\n')
    t.equal(proxyHeaderV2(from, to).toString('latin1'), binary(0x20, 0, ''))
  }
})

const anIp = fc.oneof(
  fc.ipV4(),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => ipText(bytes)),
  // Runs of zeros, to be shortened.
  fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map(bytes => ipText(bytes)),
)
const aPeer = fc.record({ address: anIp, port: fc.nat(65535) })

t.test('what is written is read as it was, in both versions', async t => {
  fc.assert(
    fc.property(aPeer, aPeer, fc.uint8Array({ maxLength: 9 }), (source, destination, more) => {
      for (const written of [
        latin1(proxyHeaderV1(source, destination)),
        proxyHeaderV2(source, destination),
      ]) {
        t.same(read(Buffer.concat([written, more])), proxied(source, destination, written.length))
        for (let length = 0; length < written.length; length += 1) {
          if (readPart(written, length) !== undefined) t.fail(`${length} bytes of ${written}`)
        }
      }
    }),
  )
})

t.test('addresses have the form in which sockets say them', async t => {
  // URLs write them by the same rules.
  const url = (address: string) => new URL(`http://[${address}]`).hostname.slice(1, -1)
  fc.assert(
    fc.property(fc.ipV6(), address => {
      const bytes = ipBytes(address)
      if (bytes?.length === 16) t.equal(ipText(bytes), url(address))
    }),
    { numRuns: 1000 },
  )
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
  await within('the server to listen', new Promise(done => server.once('listening', done)))
  const { port } = server.address() as { port: number }
  const client = connect(port, '127.0.0.1')
  const { remoteAddress = '', remotePort = 0 } = await within('a connection', accepted)
  client.destroy()
  const source = peer(remoteAddress, remotePort)
  t.match(read(latin1(proxyHeaderV1(source, source))), { source })
})

t.test('no bytes make it throw, and more bytes never change an answer', async t => {
  const headers = [
    'PROXY TCP4 192.0.2.1 198.51.100.7 56276 443\r\n',
    'PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 2\r\n',
    'PROXY UNKNOWN x\r\n',
    summed(V4 + tlv(2, 'a.example')),
    binary(0x21, 0x21, V6 + tlv(4, 'x')),
    binary(0x20, 0, ''),
  ]
  const change = fc.tuple(fc.nat(), fc.nat(2), fc.uint8Array({ maxLength: 2 }))
  const mutated = fc
    .tuple(fc.constantFrom(...headers), fc.array(change, { maxLength: 3 }))
    .map(([header, changes]) => {
      let bytes = latin1(header)
      for (const [place, removed, added] of changes) {
        const at = place % (bytes.length + 1)
        bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)])
      }
      return bytes
    })
  const junk = fc.uint8Array({ maxLength: 150 }).map(bytes => Buffer.from(bytes))
  const around = fc.uint8Array({ maxLength: 30 })
  fc.assert(
    fc.property(fc.oneof(mutated, mutated, junk), around, around, fc.nat(), (bytes, before, after, cut) => {
      const whole = read(bytes)
      const all = Buffer.concat([before, bytes, after])
      t.same(readProxyHeader(all, before.length, before.length + bytes.length), whole, 'bytes around it')
      const part = readPart(bytes, cut % (bytes.length + 1))
      if (part !== undefined) t.same(part, whole)
      if (whole !== undefined && 'size' in whole) t.ok(whole.size <= bytes.length)
      if (bytes.length >= MAX_PROXY_HEADER_BYTES) t.not(whole, undefined)
    }),
    { numRuns: 3000 },
  )
})

t.test('CRC32c is that of RFC 3720 B.4', async t => {
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(0)), 0)
})
