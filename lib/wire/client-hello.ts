import { isIP, isIPv6 } from 'node:net'
import { latin1Slice } from '../base/latin1.ts'
import { hostAt } from '../http/host.ts'

/** What a TLS client asks for in its first message. */
export interface ClientHello {
  /**
   * Lower-case, without final dot; undefined where the client names nobody, or an address. With an encrypted
   * hello it is the outer name.
   */
  readonly serverName: string | undefined
  /** ALPN names in the client's order, as latin1 text; GREASE ones too (RFC 8701 3.1). */
  readonly protocols: readonly string[]
}

/** Why the start of a connection is refused. A closed list: log field and metric label. */
export const HELLO_DETAILS = [
  /** It is no TLS handshake record: plain HTTP, most often. */
  'not-tls',
  /** A hello in SSLv2's form, which RFC 6176 forbids clients to send. */
  'hello-ssl2',
  // Records and message, RFC 8446 5.1 and 4.
  'hello-record',
  'hello-message',
  'hello-too-large',
  // RFC 8446 4.1.2 and 4.2.
  'hello-malformed',
  'hello-extension-repeated',
  // RFC 6066 3 and RFC 7301 3.1.
  'hello-server-name',
  'hello-alpn',
] as const

export type HelloDetail = (typeof HELLO_DETAILS)[number]

/** The start of a connection that is not taken. It is not read any further. */
export interface HelloRefusal {
  readonly refused: HelloDetail
}

/**
 * A hello with all of its records; `readClientHello` asks for no more bytes. Hybrid key shares make one of
 * 1.8 KiB, long tickets one of some more.
 */
export const MAX_HELLO_BYTES = 64 * 1024

/**
 * Each call walks all records again, so a hello in a thousand would cost a thousand times a thousand. The
 * smallest that OpenSSL makes are of 512 bytes.
 */
const MAX_RECORDS = 128

const RECORD_HEAD_BYTES = 5
const MAX_FRAGMENT_BYTES = 16 * 1024
const HANDSHAKE = 22
/**
 * Of every version from SSL 3.0 to TLS 1.3: the first byte of a version that means nothing any more (RFC 8446
 * 5.1).
 */
const MAJOR = 3

const MESSAGE_HEAD_BYTES = 4
const CLIENT_HELLO = 1
const RANDOM_BYTES = 32
const MAX_SESSION_ID_BYTES = 32

const SERVER_NAME = 0
const ALPN = 16
const HOST_NAME = 0
/** RFC 1035 2.3.4, as text without the final dot. */
const MAX_NAME = 253

const REFUSALS: ReadonlyMap<HelloDetail, HelloRefusal> = new Map(
  HELLO_DETAILS.map(refused => [refused, { refused }]),
)

/**
 * Reads the ClientHello at the start of bytes[start, end) and takes nothing. Undefined: more bytes are
 * needed. Looks at what a choice by server name needs and at the form of the rest; whether the hello is one
 * to answer is for the TLS library or the server behind.
 */
export function readClientHello(
  bytes: Uint8Array,
  start: number,
  end: number,
): ClientHello | HelloRefusal | undefined {
  const message = firstMessage(bytes, start, end)
  if (message === undefined) return undefined
  const hello = typeof message === 'string' ? message : helloIn(message)
  return typeof hello === 'string' ? (REFUSALS.get(hello) as HelloRefusal) : hello
}

/** The first message, or what the first bytes say of a client that does not speak TLS. */
function firstMessage(bytes: Uint8Array, start: number, end: number): Buffer | HelloDetail | undefined {
  if (start >= end) return undefined
  const first = bytes[start] as number
  if (first >= 0x80) {
    // RFC 5246 E.2: a length of two bytes with the highest bit set, then the type.
    if (start + 2 >= end) return undefined
    return bytes[start + 2] === CLIENT_HELLO ? 'hello-ssl2' : 'not-tls'
  }
  if (first !== HANDSHAKE || (start + 1 < end && bytes[start + 1] !== MAJOR)) return 'not-tls'
  return messageIn(bytes, start, end)
}

/** The message put together from the fragments of its records (RFC 8446 5.1). */
function messageIn(bytes: Uint8Array, start: number, end: number): Buffer | HelloDetail | undefined {
  const fragments: Uint8Array[] = []
  let taken = 0
  let size: number | undefined
  let at = start
  for (let records = 0; records < MAX_RECORDS; records += 1) {
    const length = fragmentLength(bytes, at, end)
    if (typeof length !== 'number') return length
    const fragmentAt = at + RECORD_HEAD_BYTES
    at = fragmentAt + length
    if (at - start > MAX_HELLO_BYTES) return 'hello-too-large'
    const fragment = bytes.subarray(fragmentAt, Math.min(at, end))
    fragments.push(fragment)
    taken += fragment.length
    if (size === undefined && taken >= MESSAGE_HEAD_BYTES) {
      const told = messageSize(Buffer.concat(fragments, MESSAGE_HEAD_BYTES))
      if (typeof told === 'string') return told
      size = told
    }
    if (size !== undefined && taken >= size) return Buffer.concat(fragments, size)
    if (at > end) return undefined
  }
  return 'hello-record'
}

/** Length of the fragment in the record at `at`; undefined if its head is not all there. */
function fragmentLength(bytes: Uint8Array, at: number, end: number): number | HelloDetail | undefined {
  if (at >= end) return undefined
  // Handshake messages are not interleaved with other records (RFC 8446 5.1).
  if (bytes[at] !== HANDSHAKE) return 'hello-record'
  if (at + 1 < end && bytes[at + 1] !== MAJOR) return 'hello-record'
  if (at + RECORD_HEAD_BYTES > end) return undefined
  const length = (bytes[at + 3] as number) * 256 + (bytes[at + 4] as number)
  return length === 0 || length > MAX_FRAGMENT_BYTES ? 'hello-record' : length
}

/** Size of a message with its head. */
function messageSize(head: Buffer): number | HelloDetail {
  if (head[0] !== CLIENT_HELLO) return 'hello-message'
  const size = MESSAGE_HEAD_BYTES + head.readUIntBE(1, 3)
  return size > MAX_HELLO_BYTES ? 'hello-too-large' : size
}

/** RFC 8446 4.1.2. Hellos before TLS 1.3 may end without extensions (RFC 5246 7.4.1.2). */
function helloIn(message: Buffer): ClientHello | HelloDetail {
  const hello = new VectorReader(message, MESSAGE_HEAD_BYTES, message.length)
  const major = hello.number(1)
  hello.skip(1 + RANDOM_BYTES)
  const sessionId = hello.vector(1)
  const suites = hello.vector(2)
  const compressions = hello.vector(1)
  const isWhole = !hello.short && major === MAJOR && sessionId.left <= MAX_SESSION_ID_BYTES
  if (!isWhole || suites.left === 0 || suites.left % 2 === 1 || compressions.left === 0) {
    return 'hello-malformed'
  }
  if (hello.left === 0) return { serverName: undefined, protocols: [] }
  const extensions = hello.vector(2)
  return hello.short || hello.left > 0 ? 'hello-malformed' : wishesIn(extensions)
}

function wishesIn(extensions: VectorReader): ClientHello | HelloDetail {
  const seen = new Set<number>()
  let serverName: string | undefined
  let protocols: readonly string[] = []
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const data = extensions.vector(2)
    if (extensions.short) return 'hello-malformed'
    // RFC 8446 4.2. Two readers would each take another one for the one that counts.
    if (seen.has(type)) return 'hello-extension-repeated'
    seen.add(type)
    if (type === SERVER_NAME) {
      const name = serverNameIn(data)
      if (name === undefined) return 'hello-server-name'
      serverName = isAddress(name) ? undefined : name
    } else if (type === ALPN) {
      const names = protocolsIn(data)
      if (names === undefined) return 'hello-alpn'
      protocols = names
    }
  }
  return { serverName, protocols }
}

/**
 * The one host name of the list (RFC 6066 3); names of other types, of which there are none yet, begin with a
 * length as well.
 */
function serverNameIn(data: VectorReader): string | undefined {
  const list = data.vector(2)
  let text: string | undefined
  while (list.left > 0) {
    const type = list.number(1)
    const name = list.vector(2)
    if (type !== HOST_NAME) continue
    if (text !== undefined) return undefined
    text = name.text()
  }
  return list.short || data.short || data.left > 0 || text === undefined ? undefined : hostName(text)
}

/** A DNS name or an address. Clients do send the final dot. */
function hostName(text: string): string | undefined {
  if (isIPv6(text)) return text
  if (text.includes(':')) return undefined
  const name = hostAt(text, 0, text.length)?.hostname
  return name === undefined || name.length > MAX_NAME ? undefined : name
}

/** RFC 6066 3 forbids them, and half of all load generators and health checks send them: they name nobody. */
function isAddress(name: string): boolean {
  return isIP(name) !== 0
}

/** RFC 7301 3.1: at least one name, none of them empty. */
function protocolsIn(data: VectorReader): readonly string[] | undefined {
  const list = data.vector(2)
  const names: string[] = []
  while (list.left > 0) names.push(list.vector(1).text())
  const isWhole = !list.short && !data.short && data.left === 0
  return isWhole && names.length > 0 && !names.includes('') ? names : undefined
}

/**
 * Reads numbers and vectors (RFC 8446 3.3, 3.4) one after the other. Where too little is left, `short` is set
 * for good, nothing is left, and what was asked for reads as 0 or empty: so a caller may look at `short`
 * once, at the end.
 */
class VectorReader {
  short = false
  readonly #bytes: Buffer
  #at: number
  #end: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  number(width: 1 | 2): number {
    const at = this.skip(width)
    return this.short ? 0 : this.#bytes.readUIntBE(at, width)
  }

  /** A vector whose length takes `width` bytes. */
  vector(width: 1 | 2): VectorReader {
    const length = this.number(width)
    const at = this.skip(length)
    return new VectorReader(this.#bytes, at, this.short ? at : at + length)
  }

  /** Passes over bytes, and says where they began. */
  skip(length: number): number {
    const at = this.#at
    if (length > this.left) {
      this.short = true
      this.#end = at
    } else this.#at += length
    return at
  }

  /** All that is left, as latin1 text. */
  text(): string {
    return latin1Slice(this.#bytes, this.#at, this.#end)
  }
}
