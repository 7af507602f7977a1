import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { Test } from 'tap'

// As much of RFC 1035 as a resolver asks for.
const HEADER_BYTES = 12
/** A pointer to the name of the question, which stands behind the header (4.1.4). */
const SAME_NAME = 0xc00c
const TYPE = { a: 1, aaaa: 28, srv: 33 } as const
const CODE = { fine: 0, failure: 2, noSuchName: 3 } as const
/** An answer, authoritative, recursion desired and available. */
const ANSWER_FLAGS = 0x8580
/**
 * Container resolvers answer with anything from 0 to a day; whoever believes this one looks away for a day.
 */
const TTL_S = 86_400

/** One SRV record (RFC 2782). */
export interface SrvRecord {
  readonly target: string
  readonly port: number
  readonly priority?: number
  readonly weight?: number
}

/** What the server does with questions about a name. */
type Entry =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'services'; readonly records: readonly SrvRecord[] }
  /** Answers that something is broken. */
  | { readonly kind: 'failing' }
  /** Never answers. */
  | { readonly kind: 'silent' }

interface Question {
  readonly name: string
  readonly type: number
  /** Where it ends in the message. */
  readonly endAt: number
}

/**
 * A real name server on loopback, UDP, whose answers the test sets. A name that nobody has set does not
 * exist.
 */
export class NameServer {
  readonly #socket: Socket
  readonly #entries = new Map<string, Entry>()
  /** Questions about each name, answered or not, whatever their type. */
  readonly #asked = new Map<string, number>()

  static async start(t: Pick<Test, 'teardown'>): Promise<NameServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const server = new NameServer(socket)
    t.teardown(() => server.stop())
    return server
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (message, from) => this.#take(message, from))
  }

  /** For `server.resolver`. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  /** The name has these addresses, IPv4 or IPv6; without any it exists all the same, and has none. */
  set(name: string, ...addresses: readonly string[]): void {
    this.#entries.set(name, { kind: 'addresses', addresses })
  }

  setServices(name: string, ...records: readonly SrvRecord[]): void {
    this.#entries.set(name, { kind: 'services', records })
  }

  /** Questions about the name fail (SERVFAIL), or are never answered. */
  breakName(name: string, how: 'failing' | 'silent'): void {
    this.#entries.set(name, { kind: how })
  }

  /** The name does not exist any more. */
  remove(name: string): void {
    this.#entries.delete(name)
  }

  asked(name: string): number {
    return this.#asked.get(name) ?? 0
  }

  async stop(): Promise<void> {
    await new Promise<void>(resolve => this.#socket.close(resolve))
  }

  #take(message: Buffer, from: RemoteInfo): void {
    const question = questionOf(message)
    const { name, type, endAt } = question
    this.#asked.set(name, this.asked(name) + 1)
    const entry = this.#entries.get(name)
    if (entry?.kind === 'silent') return
    const records = entry === undefined ? [] : recordsOf(entry, type)
    const head = Buffer.from(message.subarray(0, HEADER_BYTES))
    head.writeUInt16BE(ANSWER_FLAGS | codeOf(entry), 2)
    for (const [i, count] of [1, records.length, 0, 0].entries()) head.writeUInt16BE(count, 4 + 2 * i)
    const answer = Buffer.concat([head, message.subarray(HEADER_BYTES, endAt), ...records])
    this.#socket.send(answer, from.port, from.address)
  }
}

function codeOf(entry: Entry | undefined): number {
  if (entry === undefined) return CODE.noSuchName
  return entry.kind === 'failing' ? CODE.failure : CODE.fine
}

function questionOf(message: Buffer): Question {
  const { name, endAt } = nameAt(message, HEADER_BYTES)
  return { name, type: message.readUInt16BE(endAt), endAt: endAt + 4 }
}

function nameAt(message: Buffer, startAt: number): { readonly name: string; readonly endAt: number } {
  const labels: string[] = []
  let at = startAt
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length).toLowerCase())
    at += 1 + length
  }
  return { name: labels.join('.'), endAt: at + 1 }
}

function recordsOf(entry: Entry, type: number): Buffer[] {
  switch (entry.kind) {
    case 'failing':
    case 'silent':
      return []
    case 'services':
      return type === TYPE.srv ? entry.records.map(record => recordOf(TYPE.srv, srvBytes(record))) : []
    case 'addresses': {
      const fitting = entry.addresses.filter(address => typeOf(address) === type)
      return fitting.map(address => recordOf(type, addressBytes(address)))
    }
  }
}

function typeOf(address: string): number {
  return isIPv6(address) ? TYPE.aaaa : TYPE.a
}

function recordOf(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES)
  head.writeUInt16BE(SAME_NAME, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4) // IN
  head.writeUInt32BE(TTL_S, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const [left = [], right] = address.split('::').map(part => part.split(':').filter(group => group !== ''))
  const zeros = right === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0')
  const groups = [...left, ...zeros, ...(right ?? [])]
  return Buffer.from(groups.map(group => group.padStart(4, '0')).join(''), 'hex')
}

function srvBytes({ target, port, priority = 0, weight = 1 }: SrvRecord): Buffer {
  const numbers = Buffer.alloc(6)
  for (const [i, number] of [priority, weight, port].entries()) numbers.writeUInt16BE(number, 2 * i)
  const labels = target.split('.').map(label => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  return Buffer.concat([numbers, ...labels, Buffer.alloc(1)])
}
