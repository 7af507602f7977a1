import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { acceptOf } from '../../../lib/http/websocket.ts'
import type { Scope } from '../../faults/scope.ts'
import { NEVER } from '../../support/http2-floods.ts'

/** Bytes of `/large`. */
export const LARGE_BYTES = 1024 * 1024
const LARGE = Buffer.alloc(LARGE_BYTES, 'causeway ')
const SLOW_MS = 2000

/**
 * An app of the churn: `/small`, `/large`, `/slow`, `/echo`, `/never` without an answer, and WebSockets that
 * echo bytes. Resolves with its port.
 */
export async function startApp(scope: Scope): Promise<number> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy())
    const accept = acceptOf(request.headers['sec-websocket-key'] ?? '')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.pipe(socket)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  scope.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

/** What stands behind a TLS tunnel: bytes come back as they are. Resolves with its port. */
export async function startEcho(scope: Scope): Promise<number> {
  const server = createNetServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  scope.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/'
  if (path.startsWith('/echo')) {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    response.end(Buffer.concat(pieces))
    return
  }
  request.resume()
  if (path.startsWith(NEVER)) return
  if (path.startsWith('/slow')) await delay(SLOW_MS)
  response.end(path.startsWith('/large') ? LARGE : 'ok\n')
}
