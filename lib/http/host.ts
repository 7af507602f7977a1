import { isIPv4, isIPv6 } from 'node:net'
import { ipv6Text } from './ip-bytes.ts'

/** A host and port that passed the grammar. */
export class Host {
  /** As it was written, with its port. */
  readonly text: string
  /**
   * Lower-case, without port or final dot; an IPv6 address in its one spelling (RFC 5952), with its brackets.
   */
  readonly hostname: string

  constructor(text: string, hostname: string) {
    this.text = text
    this.hostname = hostname
  }
}

/** A DNS name has at most 253 characters (RFC 1035 2.3.4); a final dot and a port come on top. */
const MAX_HOST = 260

const BRACKET = 91
const CLOSING_BRACKET = 93
const COLON = 58
const DOT = 46
const UPPER = 2

// Letters, digits, `-`, `_` and `~`: no percent-encoding and no sub-delims, though RFC 3986 3.2.2 has both. A
// `,` or `;` in a host is a list to whoever reads it next, and no name on the network needs them. `_` stands
// in the names that docker gives.
const NAME_CHARACTER: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/[A-Z]/.test(character)) return UPPER
  return Number(/[-.a-z0-9_~]/.test(character))
})

// Clients ask for the same host again and again; the Map that routes them also finds a string it has seen
// faster.
let last = new Host('', '')

/** The `uri-host [":" port]` at text[start, end) (RFC 9110 7.2); undefined if it is anything else. */
export function hostAt(text: string, start: number, end: number): Host | undefined {
  const known = last.text
  if (end - start === known.length && known !== '' && text.startsWith(known, start)) return last
  if (end - start > MAX_HOST) return undefined
  const hostname = text.charCodeAt(start) === BRACKET ? literalAt(text, start, end) : nameAt(text, start, end)
  if (hostname === undefined) return undefined
  last = new Host(text.slice(start, end), hostname)
  return last
}

function nameAt(text: string, start: number, end: number): string | undefined {
  let at = start
  let kinds = 0
  let labelStart = start
  for (; at < end; at += 1) {
    const code = text.charCodeAt(at)
    const kind = NAME_CHARACTER[code] as number
    if (!(kind > 0)) break
    kinds |= kind
    if (code !== DOT) continue
    if (at === labelStart) return undefined
    labelStart = at + 1
  }
  if (at === start || !isPortAt(text, at, end)) return undefined
  if (labelStart === at) {
    at -= 1
    labelStart = text.lastIndexOf('.', at - 1) + 1
  }
  const name = text.slice(start, at)
  if (isDigits(text, Math.max(labelStart, start), at) && !isIPv4(name)) return undefined
  return (kinds & UPPER) === 0 ? name : name.toLowerCase()
}

function literalAt(text: string, start: number, end: number): string | undefined {
  let at = start + 1
  while (at < end && text.charCodeAt(at) !== CLOSING_BRACKET) at += 1
  if (at >= end || !isPortAt(text, at + 1, end)) return undefined
  const address = text.slice(start + 1, at)
  if (!isIPv6(address)) return undefined
  const spelled = ipv6Text(address)
  return spelled && `[${spelled}]`
}

/** True if there is nothing, or a `:` and a port from 1 to 65535 without leading zeros. */
function isPortAt(text: string, at: number, end: number): boolean {
  if (at === end) return true
  if (text.charCodeAt(at) !== COLON || text.charCodeAt(at + 1) === 48) return false
  const start = at + 1
  if (end - start > 5 || !isDigits(text, start, end)) return false
  return Number(text.slice(start, end)) <= 65535
}

function isDigits(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 48 || code > 57) return false
  }
  return end > start
}
