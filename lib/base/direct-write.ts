import { writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * The descriptor that a plain socket writes to; undefined where bytes have to go through a library, or where
 * none is told.
 */
export function descriptorOf(socket: Socket): number | undefined {
  if (socket instanceof TLSSocket) return undefined
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  const fd: unknown = Reflect.get(handle, 'fd')
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

/** How many bytes the kernel has taken. An error is left to the write that follows. */
export function tryWrite(fd: number, bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return 0
  try {
    return writeSync(fd, bytes, start, end - start)
  } catch {
    return 0
  }
}
