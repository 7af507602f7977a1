import { Socket } from 'node:net'

const READ_SIZE = 64 * 1024

// One buffer for all reads of this thread: a read is handled before the next one starts. Allocating 64 KiB
// a read, as sockets do by default, costs 3-4 microseconds (test/bench, proxied 104 B).
export const READ_BUFFER = Buffer.allocUnsafeSlow(READ_SIZE)

/** Node's own places for the `onread` option, which `net.connect` offers and accepted sockets do not. */
const ONREAD_BUFFER = socketSymbol('kBuffer')
const ONREAD_CALLBACK = socketSymbol('kBufferCb')

/** Gets what a socket has read: buffer[0, size), valid during the call. */
export type ReadCallback = (this: Socket, size: number, buffer: Uint8Array) => boolean

/**
 * Gives an accepted socket what `onread` gives a connected one. Not public API: where this Node lacks it,
 * false, and the caller reads through 'data', slower but the same.
 */
export function readIntoShared(socket: Socket, callback: ReadCallback): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (
    ONREAD_BUFFER === undefined ||
    ONREAD_CALLBACK === undefined ||
    typeof handle !== 'object' ||
    handle === null
  ) {
    return false
  }
  const useUserBuffer: unknown = Reflect.get(handle, 'useUserBuffer')
  if (typeof useUserBuffer !== 'function') return false
  // Whoever reads next of the same socket only takes over.
  if (Reflect.get(socket, ONREAD_BUFFER) !== READ_BUFFER) useUserBuffer.call(handle, READ_BUFFER)
  Reflect.set(socket, ONREAD_BUFFER, READ_BUFFER)
  Reflect.set(socket, ONREAD_CALLBACK, callback)
  return true
}

function socketSymbol(description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(new Socket()).find(symbol => symbol.description === description)
}
