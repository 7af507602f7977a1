// HTTP/2 frames (RFC 9113 4.1) as bytes: what a client needs to send anything, right or wrong.

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** Error codes (RFC 9113 7) by their numbers. */
export const CODES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

const HEAD_BYTES = 9
const NOTHING = Buffer.alloc(0)

/** Any frame whatsoever: neither the type nor the length has to be right. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = NOTHING): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes.writeUInt8(type, 3)
  bytes.writeUInt8(flags, 4)
  bytes.writeUInt32BE(stream, 5)
  bytes.set(payload, HEAD_BYTES)
  return bytes
}

const number32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A SETTINGS frame with these pairs of identifier and value. */
export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length)
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * i)
    payload.writeUInt32BE(value, 6 * i + 2)
  }
  return frame(TYPE.settings, 0, 0, payload)
}

export const settingsAck = frame(TYPE.settings, FLAG.ack, 0)

export const headers = (stream: number, block: Uint8Array, flags: number) =>
  frame(TYPE.headers, flags, stream, block)

export const data = (stream: number, payload: Uint8Array = NOTHING, flags = 0) =>
  frame(TYPE.data, flags, stream, payload)

export const rstStream = (stream: number, code: number) => frame(TYPE.rstStream, 0, stream, number32(code))

export const windowUpdate = (stream: number, increment: number) =>
  frame(TYPE.windowUpdate, 0, stream, number32(increment))

export const ping = (flags = 0) => frame(TYPE.ping, flags, 0, Buffer.alloc(8))

/** `weight` is one less than it means. */
export function priority(stream: number, dependsOn: number, weight = 0): Buffer {
  return frame(TYPE.priority, 0, stream, Buffer.concat([number32(dependsOn), Buffer.from([weight])]))
}

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Cuts what arrives into frames. */
export class FrameReader {
  #rest: Buffer = NOTHING

  /** The frames that these bytes complete. */
  push(bytes: Buffer): readonly Frame[] {
    let all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const frames: Frame[] = []
    while (all.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + all.readUIntBE(0, 3)
      if (all.length < end) break
      const payload = all.subarray(HEAD_BYTES, end)
      const stream = all.readUInt32BE(5) & 0x7f_ff_ff_ff
      frames.push({ type: all.readUInt8(3), flags: all.readUInt8(4), stream, payload })
      all = all.subarray(end)
    }
    this.#rest = all
    return frames
  }
}
