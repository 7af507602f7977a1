import { isIP } from 'node:net'
import type { Snapshot } from './model.ts'

/** Why no certificate can be had for a host by the challenges that we answer; undefined if one can. */
export function whyNoCertificate(host: string): string | undefined {
  if (host.startsWith('*.'))
    return 'wildcards need a DNS-01 challenge, which is not supported: use certificate files on a separate listener, or list the hosts'
  if (host.startsWith('[') || isIP(host) !== 0) return 'it is an IP address'
  if (host.includes('_')) return 'names in certificates cannot contain "_"'
  return undefined
}

/** RFC 2606, RFC 6761, RFC 8375, RFC 9476: nothing on the internet is called so. */
const PRIVATE = /^[^.]+$|\.(?:localhost|local|test|example|invalid|internal|lan|home\.arpa|alt)$/

/** Only an issuer of one's own can prove such a name. */
export function isPrivateName(host: string): boolean {
  return PRIVATE.test(host)
}

/**
 * All hosts of routes, where a listener has `tls = "auto"`: a route belongs to every listener. Wildcards and
 * addresses are among them.
 */
export function acmeHosts({ listeners, routes }: Pick<Snapshot, 'listeners' | 'routes'>): readonly string[] {
  if (!listeners.some(({ tls }) => tls?.kind === 'auto')) return []
  return [...new Set(routes.flatMap(({ hosts }) => hosts))]
}
