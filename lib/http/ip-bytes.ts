import ipaddr from 'ipaddr.js'
import { parseIp } from './cidr.ts'

/**
 * The address in network byte order: 4 bytes, also for an IPv4-mapped IPv6 address, or 16. A zone is left
 * out, for it means something only on the machine that named it (RFC 6874 4). Undefined for text that is no
 * address, such as the name of a peer on a unix socket.
 */
export function ipBytes(text: string): readonly number[] | undefined {
  const zone = text.indexOf('%')
  return parseIp(zone < 0 ? text : text.slice(0, zone))?.toByteArray()
}

/**
 * The text of 4 or 16 bytes, in the form of RFC 5952 4; an IPv4-mapped address as IPv4 unless told otherwise.
 */
export function ipText(bytes: ArrayLike<number>, unmap = true): string {
  const ip = ipaddr.fromByteArray(Array.from(bytes))
  if (!(ip instanceof ipaddr.IPv6)) return ip.toString()
  return unmap && ip.isIPv4MappedAddress() ? ip.toIPv4Address().toString() : ip.toRFC5952String()
}

/** The 16 bytes of an address, which is IPv4-mapped if it has 4 (RFC 4291 2.5.5.2). */
export function wideIp(bytes: readonly number[]): readonly number[] {
  return bytes.length === 16 ? bytes : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes]
}

/**
 * An IPv6 address in its one spelling (RFC 5952 4), an IPv4-mapped one in hexadecimal; undefined for text
 * that is none, or has a zone.
 */
export function ipv6Text(text: string): string | undefined {
  const bytes = text.includes(':') && !text.includes('%') ? ipBytes(text) : undefined
  return bytes && ipText(wideIp(bytes), false)
}
