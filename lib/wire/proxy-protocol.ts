import { isIPv4, isIPv6 } from 'node:net'
import { latin1Slice } from '../base/latin1.ts'
import { ipBytes, ipText, wideIp } from '../http/ip-bytes.ts'
import { CR, LF } from './characters.ts'
import { crc32c } from './crc32c.ts'

// "The PROXY protocol, versions 1 & 2" (proxy-protocol.txt of HAProxy, 2020/03/05). Sections below are of
// that document.

/** Why the start of a connection is refused. A closed list: log field and metric label. */
export const PROXY_DETAILS = [
  /** It is neither a version 1 line nor a version 2 signature: somebody speaks without the header. */
  'proxy-missing',
  // Version 1, section 2.1.
  'proxy-line',
  'proxy-line-end',
  'proxy-line-too-long',
  'proxy-protocol',
  'proxy-address',
  'proxy-port',
  // Version 2, section 2.2.
  'proxy-version',
  'proxy-command',
  'proxy-family',
  'proxy-length',
  'proxy-too-large',
  'proxy-tlv',
  'proxy-checksum',
] as const

export type ProxyDetail = (typeof PROXY_DETAILS)[number]

/** The start of a connection that is not taken. It is not read any further. */
export interface ProxyRefusal {
  readonly refused: ProxyDetail
}

/**
 * One end of a TCP connection. The address is in its shortest form, IPv4 if it is IPv4-mapped; '' on a unix
 * socket.
 */
export interface ProxyPeer {
  readonly address: string
  readonly port: number
}

/** The connection is passed on for somebody else, whose ends these are. */
export interface ProxiedPeers {
  readonly kind: 'proxied'
  readonly source: ProxyPeer
  readonly destination: ProxyPeer
  /** Bytes of the header: what follows belongs to the client. */
  readonly size: number
}

/** The sender's own connection, a health check for instance: the socket's own addresses count. */
export interface LocalConnection {
  readonly kind: 'local'
  readonly size: number
}

/**
 * The connection is passed on for somebody whom the sender cannot name: it is not the sender's own, so
 * nothing of the sender's counts for it.
 */
export interface UnknownPeers {
  readonly kind: 'unknown'
  readonly size: number
}

export type ProxyHeader = ProxiedPeers | LocalConnection | UnknownPeers

/**
 * No header is longer, and `readProxyHeader` asks for no more bytes than that. Version 2 could say 65,551; a
 * chain of TLS facts has some hundred.
 */
export const MAX_PROXY_HEADER_BYTES = 4096

/** Section 2.1, the worst case, with its CRLF. */
const MAX_LINE_BYTES = 107
const LINE_START = Buffer.from('PROXY ', 'latin1')

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const VERSION_AT = SIGNATURE.length
const FAMILY_AT = VERSION_AT + 1
const LENGTH_AT = FAMILY_AT + 1
const BLOCK_AT = LENGTH_AT + 2
const VERSION = 0x20
const LOCAL = 0
const PROXY = 1
const TCP4 = 0x11
const TCP6 = 0x21
const UNIX = 0x31
const TYPE_CRC32C = 3
const TLV_HEAD_BYTES = 3

/** How a family fills the block: two addresses, two ports. */
interface Family {
  readonly addressBytes: number
  readonly portBytes: 0 | 2
}

/** Families with stream sockets. Datagrams do not come over a stream, so who says so errs. */
const FAMILIES: ReadonlyMap<number, Family> = new Map([
  [TCP4, { addressBytes: 4, portBytes: 2 }],
  [TCP6, { addressBytes: 16, portBytes: 2 }],
  [UNIX, { addressBytes: 108, portBytes: 0 }],
])

const REFUSALS: ReadonlyMap<ProxyDetail, ProxyRefusal> = new Map(
  PROXY_DETAILS.map(refused => [refused, { refused }]),
)

/**
 * Reads the header at the start of bytes[start, end), which is a Buffer; takes nothing. Undefined: more bytes
 * are needed. Never guesses whether a header is there (section 2): call it only for peers that must send one,
 * because whoever sends it chooses the client's address.
 */
export function readProxyHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
): ProxyHeader | ProxyRefusal | undefined {
  const isBinary = start < end && bytes[start] === CR
  const opening = isBinary ? SIGNATURE : LINE_START
  if (!agree(bytes, start, end, opening)) return refusal('proxy-missing')
  if (end - start < opening.length) return undefined
  return isBinary ? readBinary(bytes, start, end) : readLine(bytes, start, end)
}

/**
 * A version 1 line in latin1 text, to go out before all else on a connection that carries this client's bytes
 * only. A peer without address makes it `PROXY UNKNOWN`, which some receivers refuse (section 2.1).
 */
export function proxyHeaderV1(source: ProxyPeer, destination: ProxyPeer): string {
  const ends = endsOf(source, destination)
  if (ends === undefined) return 'PROXY UNKNOWN\r\n'
  const family = ends.source.length === 4 ? 'TCP4' : 'TCP6'
  // An IPv4-mapped address in hexadecimal: section 2.1 knows no dots in TCP6.
  const [from, to] = [ipText(ends.source, false), ipText(ends.destination, false)]
  return `PROXY ${family} ${from} ${to} ${source.port} ${destination.port}\r\n`
}

/** The same as a version 2 header; a peer without address makes it LOCAL. */
export function proxyHeaderV2(source: ProxyPeer, destination: ProxyPeer): Buffer {
  const ends = endsOf(source, destination)
  if (ends === undefined) return Buffer.from([...SIGNATURE, VERSION | LOCAL, 0, 0, 0])
  const block = [
    ...ends.source,
    ...ends.destination,
    ...[source.port >> 8, source.port & 0xff],
    ...[destination.port >> 8, destination.port & 0xff],
  ]
  const family = ends.source.length === 4 ? TCP4 : TCP6
  return Buffer.from([...SIGNATURE, VERSION | PROXY, family, 0, block.length, ...block])
}

/**
 * A version 2 header for a client without address: section 2.2 has UNSPEC for it, and LOCAL for the sender's
 * own connections only.
 */
export function unknownHeaderV2(): Buffer {
  return Buffer.from([...SIGNATURE, VERSION | PROXY, 0, 0, 0])
}

/** Do as many bytes as there are agree with `expected`? */
function agree(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  const length = Math.min(end - start, expected.length)
  for (let at = 0; at < length; at += 1) {
    if (bytes[start + at] !== expected[at]) return false
  }
  return true
}

function readLine(bytes: Uint8Array, start: number, end: number): ProxyHeader | ProxyRefusal | undefined {
  const last = Math.min(end, start + MAX_LINE_BYTES)
  let at = start
  while (at < last && bytes[at] !== CR && bytes[at] !== LF) at += 1
  // The LF has to be within the limit as well.
  if (at + 1 >= start + MAX_LINE_BYTES) return refusal('proxy-line-too-long')
  if (at >= last) return undefined
  if (bytes[at] === LF) return refusal('proxy-line-end')
  if (at + 1 >= end) return undefined
  if (bytes[at + 1] !== LF) return refusal('proxy-line-end')
  return readWords(latin1Slice(bytes, start, at).split(' '), at + 2 - start)
}

function readWords(words: readonly string[], size: number): ProxyHeader | ProxyRefusal {
  const [, protocol, source = '', destination = '', sourcePort = '', destinationPort = ''] = words
  // Section 2.1: whatever stands behind it is ignored.
  if (protocol === 'UNKNOWN') return { kind: 'unknown', size }
  if (protocol !== 'TCP4' && protocol !== 'TCP6') return refusal('proxy-protocol')
  if (words.length !== 6) return refusal('proxy-line')
  const from = readAddress(source, protocol)
  const to = readAddress(destination, protocol)
  if (from === undefined || to === undefined) return refusal('proxy-address')
  if (!isPort(sourcePort) || !isPort(destinationPort)) return refusal('proxy-port')
  return {
    kind: 'proxied',
    source: { address: from, port: Number(sourcePort) },
    destination: { address: to, port: Number(destinationPort) },
    size,
  }
}

/**
 * An address of this family and no other; IPv6 in any of its forms, for senders written in Java do not
 * shorten zeros.
 */
function readAddress(text: string, family: 'TCP4' | 'TCP6'): string | undefined {
  const fits = family === 'TCP4' ? isIPv4(text) : isIPv6(text) && !text.includes('%')
  const bytes = fits ? ipBytes(text) : undefined
  return bytes && ipText(bytes)
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff
}

function readBinary(bytes: Uint8Array, start: number, end: number): ProxyHeader | ProxyRefusal | undefined {
  const head = readHead(bytes, start, end)
  if (typeof head === 'string') return refusal(head)
  if (head === undefined || end - start < head.size) return undefined
  const { command, family, size } = head
  if (command === LOCAL) return { kind: 'local', size }
  return family ? readBlock(bytes.subarray(start, start + size), family) : { kind: 'unknown', size }
}

interface BinaryHead {
  readonly command: number
  readonly family: Family | undefined
  readonly size: number
}

/**
 * Command and size of the header, and the family of its block unless that is to be skipped unread. Each byte
 * is judged as soon as it is there.
 */
function readHead(bytes: Uint8Array, start: number, end: number): BinaryHead | ProxyDetail | undefined {
  const here = end - start
  if (here <= VERSION_AT) return undefined
  const versionAndCommand = bytes[start + VERSION_AT] as number
  if ((versionAndCommand & 0xf0) !== VERSION) return 'proxy-version'
  const command = versionAndCommand & 0x0f
  if (command > PROXY) return 'proxy-command'
  if (here <= FAMILY_AT) return undefined
  // LOCAL says nothing of addresses whatever family it names, nor does PROXY for an unspecified one.
  const code = command === LOCAL ? 0 : (bytes[start + FAMILY_AT] as number)
  const family = FAMILIES.get(code)
  if (code !== 0 && family === undefined) return 'proxy-family'
  if (here < BLOCK_AT) return undefined
  const size = BLOCK_AT + word(bytes, start + LENGTH_AT)
  if (size > MAX_PROXY_HEADER_BYTES) return 'proxy-too-large'
  return family !== undefined && size < blockEnd(family) ? 'proxy-length' : { command, family, size }
}

function readBlock(header: Uint8Array, family: Family): ProxyHeader | ProxyRefusal {
  const wrong = extensionsFault(header, blockEnd(family))
  if (wrong !== undefined) return refusal(wrong)
  const size = header.length
  // Paths of unix sockets on another machine name nobody here.
  if (family.portBytes === 0) return { kind: 'unknown', size }
  const destinationAt = BLOCK_AT + family.addressBytes
  const portsAt = destinationAt + family.addressBytes
  return {
    kind: 'proxied',
    source: { address: ipText(header.subarray(BLOCK_AT, destinationAt)), port: word(header, portsAt) },
    destination: {
      address: ipText(header.subarray(destinationAt, portsAt)),
      port: word(header, portsAt + 2),
    },
    size,
  }
}

function blockEnd({ addressBytes, portBytes }: Family): number {
  return BLOCK_AT + 2 * (addressBytes + portBytes)
}

/**
 * What is wrong with the type-length-value vectors from `at` to the end of the header, whose checksum is the
 * only one read.
 */
function extensionsFault(header: Uint8Array, from: number): ProxyDetail | undefined {
  let checksumAt: number | undefined
  let at = from
  while (at < header.length) {
    const valueAt = at + TLV_HEAD_BYTES
    if (valueAt > header.length) return 'proxy-tlv'
    const next = valueAt + word(header, at + 1)
    if (next > header.length) return 'proxy-tlv'
    if (header[at] === TYPE_CRC32C) {
      if (next - valueAt !== 4 || checksumAt !== undefined) return 'proxy-tlv'
      checksumAt = valueAt
    }
    at = next
  }
  return checksumAt === undefined || isChecksum(header, checksumAt) ? undefined : 'proxy-checksum'
}

/** Section 2.2.3: the sum of the whole header, its own bytes taken as 0. */
function isChecksum(header: Uint8Array, at: number): boolean {
  const zeroed = Buffer.from(header)
  const told = zeroed.readUInt32BE(at)
  zeroed.writeUInt32BE(0, at)
  return crc32c(zeroed) === told
}

/**
 * Both addresses in bytes of one length: a header has one family, so beside IPv6 an IPv4 address is written
 * as IPv4-mapped.
 */
function endsOf(source: ProxyPeer, destination: ProxyPeer) {
  const from = ipBytes(source.address)
  const to = ipBytes(destination.address)
  if (from === undefined || to === undefined) return undefined
  if (from.length === to.length) return { source: from, destination: to }
  return { source: wideIp(from), destination: wideIp(to) }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) * 256 + (bytes[at + 1] as number)
}

function refusal(detail: ProxyDetail): ProxyRefusal {
  return REFUSALS.get(detail) as ProxyRefusal
}
