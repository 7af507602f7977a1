import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { requestBlock } from '../support/http2-fields.ts'
import {
  data,
  FLAG,
  headers,
  PREFACE,
  SETTING,
  settings,
  settingsAck,
  windowUpdate,
} from '../support/http2-frames.ts'

const UPLOAD_BYTES = 128 * 1024
const HALF = Buffer.alloc(UPLOAD_BYTES / 2, 'x')
const FRAME_BYTES = 16 * 1024
const STREAMS = 100
/** Connections opened in one go, so that none waits for the listen queue. */
const BATCH = 200
const BATCH_MS = 50

/** Clients that hold something of ours until they are let go. */
export interface Attack {
  /** Resolves when all of them have done what they do. */
  begin(port: number, clients: number): Promise<readonly Socket[]>
}

/** Half of a body of 128 KiB, then silence. */
const uploadsHttp1: Attack = {
  begin: (port, clients) =>
    openAll(port, clients, socket => {
      socket.resume()
      socket.write(`POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`)
      socket.write(HALF)
    }),
}

/** The same on streams of HTTP/2. */
const uploadsHttp2: Attack = {
  begin: (port, clients) =>
    openAll(port, clients / STREAMS, socket => {
      socket.resume()
      socket.write(Buffer.concat([Buffer.from(PREFACE), settings(), settingsAck]))
      for (const stream of streams()) {
        socket.write(headers(stream, requestBlock('POST', '/upload'), FLAG.endHeaders))
        // Slower than the connection's window is granted anew: a flood of DATA beyond it would be an error of
        // ours.
        for (let at = 0; at < HALF.length; at += FRAME_BYTES)
          socket.write(data(stream, HALF.subarray(at, at + FRAME_BYTES)))
      }
    }),
}

/** Asks for a long answer and reads nothing of it. */
const readersHttp1: Attack = {
  begin: (port, clients) =>
    openAll(port, clients, socket => {
      socket.pause()
      socket.write('GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n')
    }),
}

/**
 * The same on streams of HTTP/2, whose windows are those that a client has by default; that of the connection
 * is wide.
 */
const readersHttp2: Attack = {
  begin: (port, clients) =>
    openAll(port, clients / STREAMS, socket => {
      socket.resume()
      const hello = [Buffer.from(PREFACE), settings([SETTING.initialWindowSize, 65_535]), settingsAck]
      socket.write(Buffer.concat([...hello, windowUpdate(0, 0x7f_00_00_00 - 65_535)]))
      for (const stream of streams())
        socket.write(headers(stream, requestBlock('GET', '/big'), FLAG.endHeaders | FLAG.endStream))
    }),
}

export const ATTACKS = {
  'uploads-http1': uploadsHttp1,
  'uploads-http2': uploadsHttp2,
  'readers-http1': readersHttp1,
  'readers-http2': readersHttp2,
} as const

/** Lets go of everything. */
export function leave(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy()
}

function streams(): readonly number[] {
  return Array.from({ length: STREAMS }, (_, i) => 1 + 2 * i)
}

async function openAll(
  port: number,
  count: number,
  act: (socket: Socket) => void,
): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  for (let at = 0; at < count; at += 1) {
    const socket = connect({ port, host: '127.0.0.1' }, () => act(socket))
    socket.on('error', () => {})
    sockets.push(socket)
    if (at % BATCH === BATCH - 1) await delay(BATCH_MS)
  }
  return sockets
}
