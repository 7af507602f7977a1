import { isIPv4, isIPv6 } from 'node:net'
import type { CidrSet } from './cidr.ts'
import type { ClientFacts } from './client-facts.ts'
import { FIELD } from './field-ids.ts'
import type { FieldList } from './field-list.ts'
import { hostAt } from './host.ts'
import { ipBytes, ipText } from './ip-bytes.ts'

/** Where a request came from, as far as it is believed. */
export interface Origin {
  /** '' where it is not known. */
  readonly clientIp: string
  /** For X-Forwarded-For: the believed hops, the client first. */
  readonly chain: string
  readonly scheme: 'http' | 'https'
  /** Host as the client's own browser had it; '' if it named none. */
  readonly host: string
  readonly port: string
}

/**
 * Who the client is and how it came (RFC 7239; X-Forwarded-* by custom). From a peer outside
 * `trusted_proxies` nothing it says is believed. From a trusted one the list is walked right to left over
 * trusted addresses; the first that is not trusted is the client, and what stands left of it is dropped:
 * anybody could have written that.
 *
 * X-Forwarded-* counts where there is an X-Forwarded-For, else Forwarded. Where there are both, one may be
 * the proxy's and the other what the client has sent and the proxy has passed on. So what they say
 * differently of the same thing is not believed of either: the client then has no address, the scheme is the
 * listener's, the host is that of the request.
 */
export function originOf(client: ClientFacts, fields: FieldList, host: string, trusted: CidrSet): Origin {
  if (!client.trusted) return direct(client, host)
  const custom = customClaims(fields)
  const standard = standardClaims(fields)
  const isStandard = custom.hops === undefined && standard.hops !== undefined
  const [claims, veto] = isStandard ? [standard, custom] : [custom, standard]
  const { peerAddress } = client
  const chain = believedChain(claims.hops ?? [], peerAddress, trusted)
  const isKnown = !differ(chain[0], addressOf(veto, peerAddress, trusted))
  const forwardedHost = agreed(claims.host, veto.host) ?? host
  const scheme = agreed(claims.scheme, veto.scheme) ?? client.scheme
  const port = differ(claims.host, veto.host) ? undefined : claims.port
  return {
    clientIp: isKnown ? (chain[0] ?? peerAddress) : '',
    chain: isKnown ? chain.join(', ') : '',
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
  // A unix peer has no address, and of others it may not be known: then there is nothing true to say about
  // it.
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

/** What one family of fields says; undefined is what it does not say, or not in words that mean anything. */
interface Claims {
  /** The client first; '' for who is not named by an address. undefined without the field. */
  readonly hops: readonly string[] | undefined
  readonly scheme: 'http' | 'https' | undefined
  readonly host: string | undefined
  readonly port: string | undefined
}

function customClaims(fields: FieldList): Claims {
  const hops = fields.joined(FIELD['x-forwarded-for'])
  return {
    hops: hops?.split(',').map(hop => bareAddress(hop.trim())),
    scheme: schemeOf(lastOf(fields.joined(FIELD['x-forwarded-proto']))),
    host: hostOf(lastOf(fields.joined(FIELD['x-forwarded-host']))),
    port: portIn(lastOf(fields.joined(FIELD['x-forwarded-port']))),
  }
}

function standardClaims(fields: FieldList): Claims {
  const elements = fields.joined(FIELD.forwarded)?.split(',').map(parameters)
  const nearest = elements?.at(-1)
  return {
    hops: elements?.map(element => bareAddress(element.get('for') ?? '')),
    scheme: schemeOf(nearest?.get('proto')),
    host: hostOf(nearest?.get('host')),
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

/**
 * Right to left over trusted hops, the peer included; ends with the peer. A peer on a unix socket has no
 * address to stand there.
 */
function believedChain(hops: readonly string[], peer: string, trusted: CidrSet): string[] {
  const chain = peer === '' ? [] : [peer]
  for (let i = hops.length - 1; i >= 0; i -= 1) {
    const hop = hops[i] as string
    // Not an address (`unknown`, `_hidden`, nonsense): whoever is behind it stays unknown.
    if (hop === '') break
    chain.unshift(hop)
    if (!trusted.has(hop)) break
  }
  return chain
}

/** The client by an account that may only contradict; undefined if it names none. */
function addressOf({ hops = [] }: Claims, peer: string, trusted: CidrSet): string | undefined {
  const nearest = hops.at(-1) ?? ''
  return nearest === '' ? undefined : believedChain(hops, peer, trusted)[0]
}

function agreed<T>(claim: T | undefined, veto: T | undefined): T | undefined {
  return differ(claim, veto) ? undefined : claim
}

function differ(claim: unknown, veto: unknown): boolean {
  return veto !== undefined && claim !== undefined && claim !== veto
}

/** The address of a hop without its port (RFC 7239 6), in its shortest form; '' if it is none. */
function bareAddress(hop: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::[\w.-]+)?|([\d.]+):[\w.-]+)$/.exec(hop) ?? []
  const address = bracketed ?? plain ?? hop
  if (isIPv4(address)) return address
  // A zone means something only on the machine that named it (RFC 6874 4).
  if (!isIPv6(address) || address.includes('%')) return ''
  return ipText(ipBytes(address) ?? [])
}

function schemeOf(value: string | undefined): 'http' | 'https' | undefined {
  const lower = value?.toLowerCase()
  if (lower === 'https' || lower === 'wss') return 'https'
  return lower === 'http' || lower === 'ws' ? 'http' : undefined
}

function lastOf(list: string | undefined): string | undefined {
  return list?.slice(list.lastIndexOf(',') + 1).trim()
}

function hostOf(text: string | undefined): string | undefined {
  return text === undefined || hostAt(text, 0, text.length) === undefined ? undefined : text
}

function portIn(text: string | undefined): string | undefined {
  return text !== undefined && /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? text : undefined
}

/**
 * The port the client used: the Host's, or the scheme's own. The listener's may be another (a published
 * container port).
 */
function portOf(host: string, scheme: 'http' | 'https'): string {
  const colon = host.lastIndexOf(':')
  if (colon > 0 && !host.endsWith(']')) return host.slice(colon + 1)
  return scheme === 'https' ? '443' : '80'
}
