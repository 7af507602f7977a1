import type { CidrSet } from './cidr.ts'
import type { ClientFacts } from './exchange.ts'
import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'
import { hostAt } from './host.ts'

/** Where a request came from, as far as it is believed. */
export interface Origin {
  readonly clientIp: string
  /** For X-Forwarded-For: the believed hops, the client first. */
  readonly chain: string
  readonly scheme: 'http' | 'https'
  /** Host as the client's own browser had it; '' if it named none. */
  readonly host: string
  readonly port: string
}

/**
 * Who the client is and how it came (RFC 7239; X-Forwarded-* by custom). From a peer outside `trusted_proxies` nothing it says is believed.
 * From a trusted one the list is walked right to left over trusted addresses; the first that is not trusted is the client,
 * and what stands left of it is dropped: anybody could have written that.
 */
export function originOf(client: ClientFacts, fields: FieldList, host: string, trusted: CidrSet): Origin {
  if (!client.trusted) return direct(client, host)
  const claimed = claimsOf(fields)
  const chain = believedChain(claimed.hops, client.peerAddress, trusted)
  const forwardedHost = isHost(claimed.host) ? claimed.host : host
  const scheme = schemeOf(claimed.scheme) ?? client.scheme
  const port = claimed.port !== undefined && /^[1-9]\d{0,4}$/.test(claimed.port) ? claimed.port : undefined
  return {
    clientIp: chain[0] ?? client.peerAddress,
    chain: chain.join(', '),
    scheme,
    host: forwardedHost,
    port: port ?? portOf(forwardedHost, scheme),
  }
}

/** The fields that tell the app, as text to write. One value each: apps take lists for something else. */
export function originText(origin: Origin): string {
  const { clientIp, chain, scheme, host, port } = origin
  const forwardedFor = clientIp.includes(':') ? `"[${clientIp}]"` : clientIp
  const named = host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`
  const hostPair = host === '' ? '' : `;host="${host}"`
  // A unix peer has no address: then there is nothing true to say about it.
  const who =
    clientIp === ''
      ? `Forwarded: for=unknown${hostPair};proto=${scheme}\r\n`
      : `X-Forwarded-For: ${chain}\r\nX-Real-IP: ${clientIp}\r\nForwarded: for=${forwardedFor}${hostPair};proto=${scheme}\r\n`
  return `${who}X-Forwarded-Proto: ${scheme}\r\n${named}X-Forwarded-Port: ${port}\r\n`
}

function direct(client: ClientFacts, host: string): Origin {
  const { peerAddress, scheme } = client
  return { clientIp: peerAddress, chain: peerAddress, scheme, host, port: portOf(host, scheme) }
}

interface Claims {
  readonly hops: readonly string[]
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly port: string | undefined
}

/** X-Forwarded-* where there is an X-Forwarded-For, else Forwarded: mixing the two would let one contradict the other. */
function claimsOf(fields: FieldList): Claims {
  const hops = fields.joined(FIELD['x-forwarded-for'])
  const forwarded = fields.joined(FIELD.forwarded)
  if (hops === undefined && forwarded !== undefined) return forwardedClaims(forwarded)
  return {
    hops: hops === undefined ? [] : hops.split(',').map(hop => bareAddress(hop.trim())),
    scheme: lastOf(fields.joined(FIELD['x-forwarded-proto'])),
    host: lastOf(fields.joined(FIELD['x-forwarded-host'])),
    port: lastOf(fields.joined(FIELD['x-forwarded-port'])),
  }
}

function forwardedClaims(value: string): Claims {
  const elements = value.split(',').map(parameters)
  const nearest = elements.at(-1)
  return {
    hops: elements.map(element => bareAddress(element.get('for') ?? '')),
    scheme: nearest?.get('proto'),
    host: nearest?.get('host'),
    port: undefined,
  }
}

function parameters(element: string): Map<string, string> {
  const pairs = element.split(';').map(pair => {
    const [name = '', ...rest] = pair.split('=')
    return [
      name.trim().toLowerCase(),
      rest
        .join('=')
        .trim()
        .replace(/^"(.*)"$/, '$1'),
    ] as const
  })
  return new Map(pairs)
}

/** Right to left over trusted hops, the peer included; ends with the peer. */
function believedChain(hops: readonly string[], peer: string, trusted: CidrSet): string[] {
  const chain = [peer]
  for (let i = hops.length - 1; i >= 0; i -= 1) {
    const hop = hops[i] as string
    // Not an address (`unknown`, `_hidden`, nonsense): whoever is behind it stays unknown.
    if (!looksLikeAddress(hop)) break
    chain.unshift(hop)
    if (!trusted.has(hop)) break
  }
  return chain
}

/** `[::1]:80` and `10.0.0.1:80` without the port. */
function bareAddress(hop: string): string {
  if (hop.startsWith('[')) return hop.slice(1, hop.indexOf(']'))
  return hop.split(':').length === 2 ? (hop.split(':')[0] as string) : hop
}

function looksLikeAddress(hop: string): boolean {
  return hop.length <= 45 && /^(\d{1,3}(\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)$/i.test(hop)
}

function schemeOf(value: string | undefined): 'http' | 'https' | undefined {
  const lower = value?.toLowerCase()
  if (lower === 'https' || lower === 'wss') return 'https'
  return lower === 'http' || lower === 'ws' ? 'http' : undefined
}

function lastOf(list: string | undefined): string | undefined {
  return list?.slice(list.lastIndexOf(',') + 1).trim()
}

function isHost(text: string | undefined): text is string {
  return text !== undefined && hostAt(text, 0, text.length) !== undefined
}

/** The port the client used: the Host's, or the scheme's own. The listener's may be another (a published container port). */
function portOf(host: string, scheme: 'http' | 'https'): string {
  const colon = host.lastIndexOf(':')
  if (colon > 0 && !host.endsWith(']')) return host.slice(colon + 1)
  return scheme === 'https' ? '443' : '80'
}
