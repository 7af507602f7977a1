// Frames of HTTP/2 (RFC 9113 4 and 6) as bytes: numbers, and those that are written as text, one character a
// byte.

/** Types of frames (RFC 9113 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

/** Flags of frames; what a bit means depends on the type. */
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const

/** Error codes (RFC 9113 7), those that are of use here. */
export const CODE = {
  noError: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const

/** Names of settings (RFC 9113 6.5.2; RFC 8441 3). */
export const SETTING = {
  tableBytes: 1,
  push: 2,
  streams: 3,
  window: 4,
  frameBytes: 5,
  headBytes: 6,
  extendedConnect: 8,
} as const

export const FRAME_HEAD_BYTES = 9
/** What every peer takes, and the most that is asked for here. */
export const MAX_FRAME_BYTES = 16 * 1024
export const MAX_WINDOW = 0x7fff_ffff
/** Windows before anybody has said anything. */
export const FIRST_WINDOW = 65_535
/** What a client says first (RFC 9113 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export const SETTINGS_ACK: string = frameText(FRAME.settings, FLAG.ack, 0, '')

export function settingsFrame(pairs: readonly (readonly [name: number, value: number])[]): string {
  let payload = ''
  for (const [name, value] of pairs) payload += String.fromCharCode(0, name) + text32(value)
  return frameText(FRAME.settings, 0, 0, payload)
}

export function windowFrame(stream: number, increment: number): string {
  return frameText(FRAME.window, 0, stream, text32(increment))
}

export function resetFrame(stream: number, code: number): string {
  return frameText(FRAME.reset, 0, stream, text32(code))
}

export function goawayFrame(last: number, code: number): string {
  return frameText(FRAME.goaway, 0, 0, text32(last) + text32(code))
}

/** `payload`: the eight characters that came. */
export function pingAck(payload: string): string {
  return frameText(FRAME.ping, FLAG.ack, 0, payload)
}

/** Writes the head of a frame at `at`. Hot. */
export function writeFrameHead(
  bytes: Uint8Array,
  at: number,
  size: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = size >>> 16
  bytes[at + 1] = size >>> 8
  bytes[at + 2] = size
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = stream >>> 24
  bytes[at + 6] = stream >>> 16
  bytes[at + 7] = stream >>> 8
  bytes[at + 8] = stream
}

/** 32 bits at `at`, without the first, which is reserved wherever a number of 31 bits stands. */
export function read31(bytes: Uint8Array, at: number): number {
  return read32(bytes, at) & MAX_WINDOW
}

/** 32 bits at `at`, as a number that may be negative where a comparison does not mind. */
export function read32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16)
  return high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
}

function frameText(type: number, flags: number, stream: number, payload: string): string {
  const size = payload.length
  return (
    String.fromCharCode((size >>> 16) & 0xff, (size >>> 8) & 0xff, size & 0xff, type, flags) +
    text32(stream) +
    payload
  )
}

function text32(value: number): string {
  return String.fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}
