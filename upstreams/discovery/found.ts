import type { DiscoveryConfig } from '../../lib/config/model.ts'

/** One address that a name stands for now. */
export interface Found {
  /** IPv4 or IPv6, without brackets. */
  readonly host: string
  readonly port: number
  /** Compared with the others of the name. */
  readonly weight: number
  readonly backup: boolean
  /** The host's own name with its port: who is asked for it by a client. */
  readonly target: string
}

/** An SRV record (RFC 2782). */
export interface Service {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

export type Family = DiscoveryConfig['family']

/** As the configuration bounds weights. */
const MAX_WEIGHT = 1000
const inOrder = new Intl.Collator('en', { numeric: true })

/**
 * The addresses that count: with "auto" IPv4 where there is any, because a container with both is one host.
 */
export function ofFamily(
  ipv4: readonly string[],
  ipv6: readonly string[],
  family: Family,
): readonly string[] {
  switch (family) {
    case 'auto':
      return ipv4.length > 0 ? ipv4 : ipv6
    case 'ipv4':
      return ipv4
    case 'ipv6':
      return ipv6
    case 'both':
      return [...ipv4, ...ipv6]
  }
}

/** Each address once, in an order of its own: name servers turn theirs round from answer to answer. */
export function settled(found: readonly Found[]): readonly Found[] {
  const byAddress = new Map(found.map(one => [foundKey(one), one]))
  return [...byAddress.values()].sort((a, b) => inOrder.compare(foundKey(a), foundKey(b)))
}

/** Tells two addresses of a name apart. */
export function foundKey({ host, port }: Found): string {
  return `${host} ${port}`
}

/**
 * The records with their weights as ours: at least 1, and nobody's share changes. The lowest priority goes
 * first, the others are there for when it is gone (RFC 2782). A target "." says that there is no such
 * service.
 */
export function usable(
  services: readonly Service[],
): { service: Service; weight: number; backup: boolean }[] {
  const real = services.filter(({ name }) => name !== '' && name !== '.')
  const first = Math.min(...real.map(({ priority }) => priority))
  const scale = Math.min(1, MAX_WEIGHT / Math.max(1, ...real.map(({ weight }) => weight)))
  return real.map(service => ({
    service,
    weight: Math.max(1, Math.round(service.weight * scale)),
    backup: service.priority > first,
  }))
}
