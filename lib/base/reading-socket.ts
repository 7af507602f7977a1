import { Socket } from 'node:net'

/** Who is told that a socket takes no more bytes. */
interface Writer {
  writeFailed(): void
}

interface OwnedSocket extends Socket {
  causewayStream?: Writer
}

/** A socket that outlives a failed write. */
export class ReadingSocket extends Socket {
  causewayStream?: Writer

  override destroy(error?: Error): this {
    return survives(this, error) ? this : super.destroy(error)
  }
}

/** The same for a socket that somebody else has made. */
export function outliveFailedWrites(socket: OwnedSocket): void {
  const destroy = socket.destroy.bind(socket)
  socket.destroy = error => (survives(socket, error) ? socket : destroy(error))
}

/**
 * Node destroys a socket at EPIPE or ECONNRESET of a write, and with it what the peer has sent before it
 * closed: reading goes on until it ends by itself. False: it is to be destroyed.
 */
function survives(socket: OwnedSocket, error: Error | undefined): boolean {
  if (error === undefined || !('syscall' in error) || error.syscall !== 'write') return false
  // The failed write has marked the reading side as well, which would keep its end from being told.
  const reading: unknown = Reflect.get(socket, '_readableState')
  if (typeof reading === 'object' && reading !== null) Reflect.set(reading, 'errored', null)
  socket.causewayStream?.writeFailed()
  return true
}
