import ipaddr from 'ipaddr.js'

type Ip = ipaddr.IPv4 | ipaddr.IPv6

/** A set of networks (RFC 4632), asked for every peer and every believed X-Forwarded-For entry. Immutable. */
export class CidrSet {
  readonly #v4: readonly [ipaddr.IPv4, number][]
  readonly #v6: readonly [ipaddr.IPv6, number][]

  constructor(ranges: readonly (readonly [Ip, number])[]) {
    this.#v4 = ranges.filter((range): range is [ipaddr.IPv4, number] => range[0].kind() === 'ipv4')
    this.#v6 = ranges.filter((range): range is [ipaddr.IPv6, number] => range[0].kind() === 'ipv6')
  }

  /**
   * Is the address in one of the networks? An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) counts as IPv4;
   * text that is no address is in none.
   */
  has(ip: string): boolean {
    if (this.#v4.length === 0 && this.#v6.length === 0) return false
    const address = parseIp(ip)
    if (address === undefined) return false
    const ranges: readonly (readonly [Ip, number])[] = address.kind() === 'ipv4' ? this.#v4 : this.#v6
    for (const [network, bits] of ranges) {
      if (address.match(network, bits)) return true
    }
    return false
  }
}

/** The set of a list that `isCidr` has passed, entry by entry; throws a TypeError for any other. */
export function parseCidrs(list: readonly string[]): CidrSet {
  return new CidrSet(
    list.map(text => {
      const range = parseCidr(text)
      if (range === undefined) throw new TypeError(`not a network or address: ${text}`)
      return range
    }),
  )
}

/**
 * Is this a network such as `10.0.0.0/8`, or a single address? Only four-part decimal IPv4: `010.1` is
 * refused, not guessed at.
 */
export function isCidr(text: string): boolean {
  return parseCidr(text) !== undefined
}

/** Is this an IP address that reaches only this machine? */
export function isLoopback(ip: string): boolean {
  return parseIp(ip)?.range() === 'loopback'
}

function parseCidr(text: string): [Ip, number] | undefined {
  const slash = text.indexOf('/')
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash), false)
  if (ip === undefined) return undefined
  const width = ip.kind() === 'ipv4' ? 32 : 128
  const bits = slash < 0 ? width : prefixLength(text.slice(slash + 1), width)
  return bits === undefined ? undefined : unmapRange(ip, bits)
}

function prefixLength(text: string, width: number): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= width ? Number(text) : undefined
}

function unmapRange(ip: Ip, bits: number): [Ip, number] {
  if (ip instanceof ipaddr.IPv6 && bits >= 96 && ip.isIPv4MappedAddress())
    return [ip.toIPv4Address(), bits - 96]
  return [ip, bits]
}

/**
 * The address that `text` stands for, an IPv4-mapped one as IPv4 unless told otherwise; undefined for
 * anything else.
 */
export function parseIp(text: string, unmap = true): Ip | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text)) return undefined
  const ip = ipaddr.IPv6.parse(text)
  return unmap && ip.isIPv4MappedAddress() ? ip.toIPv4Address() : ip
}
