import { connect, type Socket } from 'node:net'

/** Many clients that are slow in the same way, until they are stopped. */
export interface SlowClients {
  stop(): void
}

const SEND_EVERY_MS = 100
const READ_EVERY_MS = 1000
const READ_BYTES = 16 * 1024

/** Each sends a large body with its length, so many bytes a second. */
export function slowUploaders(port: number, count: number, bytesPerSecond: number): SlowClients {
  const head = `POST /upload HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 1000000\r\n\r\n`
  const piece = 'x'.repeat((bytesPerSecond * SEND_EVERY_MS) / 1000)
  const sockets = openAll(port, count, head)
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(piece)
  }, SEND_EVERY_MS)
  return stopper(sockets, timer)
}

/** Each asks for the large answer and takes a little of it every second. */
export function slowReaders(port: number, count: number): SlowClients {
  const sockets = openAll(port, count, `GET /big HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  for (const socket of sockets) socket.on('readable', () => {})
  const timer = setInterval(() => {
    for (const socket of sockets) socket.read(Math.min(READ_BYTES, socket.readableLength))
  }, READ_EVERY_MS)
  return stopper(sockets, timer)
}

function openAll(port: number, count: number, head: string): readonly Socket[] {
  return Array.from({ length: count }, () => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write(head)
    return socket
  })
}

function stopper(sockets: readonly Socket[], timer: NodeJS.Timeout): SlowClients {
  return {
    stop() {
      clearInterval(timer)
      for (const socket of sockets) socket.resetAndDestroy()
    },
  }
}
