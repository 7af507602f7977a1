/** An extension of a hello: its type and its data. */
export type Extension = readonly [type: number, data: Buffer]

export const GREASE = 0x5a5a

/** `bytes` behind their length, which takes `width` bytes. */
export function vector(width: number, ...bytes: readonly Uint8Array[]): Buffer {
  const all = Buffer.concat(bytes)
  return Buffer.concat([number(width, all.length), all])
}

export function number(width: number, value: number): Buffer {
  const bytes = Buffer.alloc(width)
  bytes.writeUIntBE(value, 0, width)
  return bytes
}

/** server_name with host names, as latin1 text (RFC 6066 3). */
export function serverName(...names: readonly string[]): Extension {
  const entries = names.map(name => Buffer.concat([number(1, 0), vector(2, Buffer.from(name, 'latin1'))]))
  return [0, vector(2, ...entries)]
}

export function alpn(...names: readonly string[]): Extension {
  return [16, vector(2, ...names.map(name => vector(1, Buffer.from(name, 'latin1'))))]
}

export interface HelloParts {
  readonly type?: number
  readonly major?: number
  readonly sessionId?: Buffer
  readonly suites?: Buffer
  readonly compressions?: Buffer
  /** The whole block with its length, or none at all. */
  readonly extensions?: Buffer
  /** Behind everything. */
  readonly more?: Buffer
}

/** A ClientHello as a handshake message, without records. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const body = Buffer.concat([
    Buffer.from([parts.major ?? 3, 3]),
    Buffer.alloc(32, 7),
    vector(1, parts.sessionId ?? Buffer.alloc(32, 9)),
    vector(2, parts.suites ?? Buffer.from([0x5a, 0x5a, 0x13, 0x01, 0x13, 0x02])),
    vector(1, parts.compressions ?? Buffer.from([0])),
    parts.extensions ?? Buffer.alloc(0),
    parts.more ?? Buffer.alloc(0),
  ])
  return Buffer.concat([number(1, parts.type ?? 1), vector(3, body)])
}

export function extensionBlock(...extensions: readonly Extension[]): Buffer {
  return vector(2, ...extensions.map(([type, data]) => Buffer.concat([number(2, type), vector(2, data)])))
}

/** A handshake record around a fragment. */
export function record(fragment: Uint8Array, type = 22, minor = 1): Buffer {
  return Buffer.concat([Buffer.from([type, 3, minor]), vector(2, fragment)])
}

/** A hello with these extensions, in one record. */
export function hello(...extensions: readonly Extension[]): Buffer {
  return record(helloMessage({ extensions: extensionBlock(...extensions) }))
}

/** The message in records that end at these places. */
export function recordsOf(message: Buffer, cuts: readonly number[] = []): Buffer {
  const inside = cuts.map(cut => cut % message.length).filter(cut => cut > 0)
  const ends = [...new Set([...inside, message.length])].sort((a, b) => a - b)
  return Buffer.concat(ends.map((end, i) => record(message.subarray(ends[i - 1] ?? 0, end))))
}
