import { randomBytes } from 'node:crypto'
import { indexed, literal, remembered, requestBlock } from './http2-fields.ts'
import {
  data,
  FLAG,
  frame,
  headers,
  ping,
  priority,
  rstStream,
  SETTING,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from './http2-frames.ts'
import type { RawHttp2Client } from './raw-http2-client.ts'
import { PATIENCE_MS, until } from './until.ts'

/** One way to wear a server down that looks nearly like HTTP/2. */
export interface Flood {
  readonly name: string
  /** Units of it after which the connection must have ended, whatever the server's rule is. */
  readonly bound: number
  /** Units that one burst holds. */
  readonly burst: number
  /** The client does not read: what the server answers piles up on its side. */
  readonly deaf?: boolean
  /** Sent once, before. Gives what the units need to know. */
  begin?(client: RawHttp2Client): number
  /** One unit; `about` is what `begin` gave, `n` counts from 0. */
  unit(client: RawHttp2Client, about: number, n: number): Buffer
}

/** An app that answers nothing there. */
export const NEVER = '/never'

/**
 * Streams that are cancelled, by either side: a browser cancels a few hundred when somebody leaves a page of
 * pictures.
 */
const STREAMS = 5_000
/** Frames that carry nothing: no client has a reason for so many in one go. */
const CONTROL = 50_000
/** CANCEL (RFC 9113 7). */
const CANCEL = 8
/** The most that a window may hold (RFC 9113 6.9.1). */
const WINDOW_MAX = 2 ** 31 - 1
/** A type that no RFC knows: such frames are ignored (RFC 9113 5.5), but not without end. */
const UNKNOWN_TYPE = 0xfa

const GET_NEVER = requestBlock('GET', NEVER)
const POST_NEVER = requestBlock('POST', NEVER)

/** A GET on a stream of its own, then frames that are wrong for it. */
function wrongedStream(name: string, wrong: (stream: number) => Buffer): Flood {
  return {
    name: `made-you-reset (CVE-2025-8671): ${name}`,
    bound: STREAMS,
    burst: 50,
    unit(client) {
      const stream = client.stream()
      const get = headers(stream, GET_NEVER, FLAG.endHeaders | FLAG.endStream)
      return Buffer.concat([get, wrong(stream)])
    },
  }
}

/** An upload that never ends, and frames that bring it no further. */
function openUpload(client: RawHttp2Client): number {
  const stream = client.stream()
  client.send(headers(stream, POST_NEVER, FLAG.endHeaders))
  return stream
}

/** A field block that never ends. */
function openBlock(client: RawHttp2Client): number {
  const stream = client.stream()
  client.send(headers(stream, GET_NEVER, FLAG.endStream))
  return stream
}

const control = (name: string, frame: (stream: number, n: number) => Buffer): Flood => ({
  name,
  bound: CONTROL,
  burst: 500,
  unit: (_client, stream, n) => frame(stream, n),
})

/**
 * One entry of 4,000 bytes, and 12,000 references of one byte to it: 48 MB of fields from 16 KB
 * (CVE-2016-6581).
 */
function bombed(client: RawHttp2Client): Buffer {
  const stream = client.stream()
  const references = Buffer.concat(Array.from({ length: 12_000 }, () => indexed(62)))
  const block = Buffer.concat([
    requestBlock('GET', '/bombed'),
    remembered('x-bomb', 'x'.repeat(4_000)),
    references,
  ])
  return headers(stream, block, FLAG.endHeaders | FLAG.endStream)
}

export const FLOODS: readonly Flood[] = [
  {
    name: 'rapid reset (CVE-2023-44487)',
    bound: STREAMS,
    burst: 50,
    unit(client) {
      const stream = client.stream()
      const get = headers(stream, GET_NEVER, FLAG.endHeaders | FLAG.endStream)
      return Buffer.concat([get, rstStream(stream, CANCEL)])
    },
  },
  wrongedStream('a window update by nought', stream => windowUpdate(stream, 0)),
  wrongedStream('a window above its most', stream => windowUpdate(stream, WINDOW_MAX)),
  wrongedStream('data behind the end of the stream', stream => data(stream, Buffer.from('x'))),
  wrongedStream('a stream that depends on itself', stream => priority(stream, stream)),
  wrongedStream('a PRIORITY frame of the wrong size', stream =>
    frame(TYPE.priority, 0, stream, Buffer.alloc(4)),
  ),
  {
    name: 'streams beyond the number that the server allows',
    bound: STREAMS,
    burst: 50,
    unit: client => headers(client.stream(), GET_NEVER, FLAG.endHeaders | FLAG.endStream),
  },
  {
    name: 'CONTINUATION frames without end (VU#421644)',
    bound: 1_000,
    burst: 1,
    begin: openBlock,
    unit: (_client, stream, n) =>
      frame(TYPE.continuation, 0, stream, literal(`x-${n}`, randomBytes(500).toString('hex'))),
  },
  {
    name: 'empty CONTINUATION frames without end',
    bound: 10_000,
    burst: 100,
    begin: openBlock,
    unit: (_client, stream) => frame(TYPE.continuation, 0, stream),
  },
  control('PING', () => ping()),
  { ...control('PING to a server that nobody reads', () => ping()), deaf: true },
  control('SETTINGS', () => settings([SETTING.initialWindowSize, 65_535])),
  {
    ...control('SETTINGS to a server that nobody reads', (_, n) =>
      settings([SETTING.initialWindowSize, 65_535 + (n % 2)]),
    ),
    deaf: true,
  },
  control('empty SETTINGS', () => settings()),
  control('SETTINGS acknowledged that were never sent', () => settingsAck),
  { ...control('empty DATA frames', stream => data(stream)), begin: openUpload },
  {
    ...control('DATA frames of nothing but padding', stream =>
      frame(TYPE.data, FLAG.padded, stream, Buffer.from([0])),
    ),
    begin: openUpload,
  },
  { ...control('PRIORITY', stream => priority(stream, 0)), begin: openUpload },
  control('PRIORITY of streams that are not open', (_, n) => priority(2 * n + 1_001, 0)),
  control('WINDOW_UPDATE of the connection', () => windowUpdate(0, 1)),
  { ...control('WINDOW_UPDATE of a stream', stream => windowUpdate(stream, 1)), begin: openUpload },
  control('frames of a type that nobody knows', () => frame(UNKNOWN_TYPE, 0, 0)),
  {
    name: 'HPACK bomb (CVE-2016-6581)',
    // A bomb takes long to make: on a busy machine they come hardly faster than the 64 a second that are
    // borne.
    bound: 5_000,
    burst: 1,
    unit: client => bombed(client),
  },
]

export interface Flooded {
  /** Units sent until the connection had ended, or all that there were to send. */
  readonly units: number
}

/**
 * Sends a flood as fast as it is taken, until the connection ends or the bound is reached, then waits for the
 * end. Throws when the connection is still open after that: a GOAWAY alone does not stop anybody.
 */
export async function pour(client: RawHttp2Client, flood: Flood): Promise<Flooded> {
  const about = flood.begin?.(client) ?? 0
  if (flood.deaf) client.stall()
  let units = 0
  while (units < flood.bound && client.ended === undefined) {
    const burst = Array.from({ length: flood.burst }, (_, i) => flood.unit(client, about, units + i))
    client.send(...burst)
    units += flood.burst
    await new Promise(setImmediate)
    if (!(await tookIt(client))) break
  }
  client.resume() // who does not read does not see the end either
  await until(
    () => `the end of the connection after ${units} units: ${client.outcome}`,
    () => client.ended,
  )
  return { units }
}

/** False where the server has stopped reading: it then has to end the connection by itself. */
async function tookIt(client: RawHttp2Client): Promise<boolean> {
  try {
    await client.untilRoom(PATIENCE_MS / 2)
    return true
  } catch {
    return false
  }
}
