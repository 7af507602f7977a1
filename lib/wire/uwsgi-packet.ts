/** Sizes of keys, values and of their block are 16 bits each. */
const MAX_SIZE = 0xffff
/** What uWSGI takes as a block of variables if its `buffer-size` was not raised, in bytes. */
export const USUAL_BUFFER_BYTES = 4096
/** How many variables uWSGI takes if its `max-vars` was not raised from 64: it makes two of each. */
export const USUAL_VARIABLES = 128
/** Bytes of a packet before its block. */
export const PACKET_HEADER_BYTES = 4

/** Variables that no packet can hold. */
export interface PacketRefusal {
  readonly refused: 'key' | 'value' | 'block'
  /** Bytes of the part that is too large. */
  readonly bytes: number
}

/**
 * Request variables as a uwsgi packet, in latin1 text, one character a byte: modifier1 0 (a WSGI request),
 * the size of the block, modifier2 0, then size and bytes of each key and each value; sizes have their low
 * byte first. The body follows behind it without any framing. Keys and values are latin1 text as well.
 */
export function uwsgiPacket(
  variables: Iterable<readonly [key: string, value: string]>,
): string | PacketRefusal {
  let block = ''
  for (const [key, value] of variables) {
    if (key.length > MAX_SIZE) return { refused: 'key', bytes: key.length }
    if (value.length > MAX_SIZE) return { refused: 'value', bytes: value.length }
    block += sizeText(key.length) + key + sizeText(value.length) + value
  }
  if (block.length > MAX_SIZE) return { refused: 'block', bytes: block.length }
  return `\0${sizeText(block.length)}\0${block}`
}

/** How many variables stand in a packet that `uwsgiPacket` made. */
export function variablesIn(packet: string): number {
  let count = 0
  for (let at = PACKET_HEADER_BYTES; at < packet.length; count += 1) {
    at += 2 + sizeAt(packet, at)
    at += 2 + sizeAt(packet, at)
  }
  return count
}

function sizeAt(packet: string, at: number): number {
  return packet.charCodeAt(at) + packet.charCodeAt(at + 1) * 256
}

function sizeText(size: number): string {
  return String.fromCharCode(size & 0xff, size >> 8)
}
