import { promises as dns } from 'node:dns'
import type { NamedEndpoints } from '../../lib/config/model.ts'
import { type Family, type Found, ofFamily, type Service, settled, usable } from './found.ts'

/** Asks for what a name stands for. */
export interface Lookups {
  /** Every address now; none is an answer, too. `before`: what it was last. Rejects if nobody could say. */
  find(named: NamedEndpoints, family: Family, before: readonly Found[]): Promise<readonly Found[]>
}

/**
 * One question to a name server, and how often it is asked again. Together the longest time for a server that
 * is silent: 3 s.
 */
const QUESTION = { timeout: 1000, tries: 2 } as const
/**
 * The system's lookups, all at a time: each takes one of the threads that files need, too, for as long as it
 * likes.
 */
const MAX_SYSTEM_LOOKUPS = 4
/** The server is there, and has nothing of this kind. */
const NOTHING = new Set(['ENODATA', 'ENOTFOUND'])

/**
 * Asks as the system does: /etc/hosts, search domains and all. It has no words for SRV: its name servers are
 * asked for them.
 */
export class SystemLookups implements Lookups {
  readonly #turns = new Turns(MAX_SYSTEM_LOOKUPS)

  find(named: NamedEndpoints, family: Family, before: readonly Found[]): Promise<readonly Found[]> {
    return findWith(host => this.#addressesOf(host, family), [], named, before)
  }

  async #addressesOf(host: string, family: Family): Promise<readonly string[]> {
    const wanted = family === 'ipv4' ? 4 : family === 'ipv6' ? 6 : 0
    const found = await this.#turns.run(() => dns.lookup(host, { all: true, family: wanted }))
    const [ipv4, ipv6] = [4, 6].map(kind => found.filter(one => one.family === kind).map(one => one.address))
    return ofFamily(ipv4 ?? [], ipv6 ?? [], family)
  }
}

/** Asks these name servers, and nothing else. */
export class ServerLookups implements Lookups {
  /** The first is asked first. One that refuses goes to the end. */
  #servers: readonly string[]

  constructor(servers: readonly string[]) {
    this.#servers = servers
  }

  async find(named: NamedEndpoints, family: Family, before: readonly Found[]): Promise<readonly Found[]> {
    const servers = this.#servers
    try {
      return await findWith(host => askFor(host, family, servers), servers, named, before)
    } catch (error) {
      const [first, ...rest] = servers
      if (first !== undefined && this.#servers === servers) this.#servers = [...rest, first]
      throw error
    }
  }
}

type AddressesOf = (host: string) => Promise<readonly string[]>

async function findWith(
  addressesOf: AddressesOf,
  servers: readonly string[],
  { lookup, weight, backup }: NamedEndpoints,
  before: readonly Found[],
): Promise<readonly Found[]> {
  if (lookup.kind === 'host') {
    const { host, port } = lookup
    const addresses = await addressesOf(host)
    return settled(
      addresses.map(address => ({ host: address, port, weight, backup, target: `${host}:${port}` })),
    )
  }
  const services = await servicesOf(lookup.service, servers)
  const found = await Promise.all(
    usable(services).map(async one => {
      const hosts = await targetAddresses(addressesOf, one.service, before)
      return hosts.map(host => foundAt(host, one.service, one.weight * weight, one.backup || backup))
    }),
  )
  return settled(found.flat())
}

function foundAt(host: string, { name, port }: Service, weight: number, backup: boolean): Found {
  return { host, port, weight, backup, target: `${name}:${port}` }
}

async function servicesOf(service: string, servers: readonly string[]): Promise<Service[]> {
  try {
    return await resolver(servers).resolveSrv(service)
  } catch (error) {
    if (isNothing(error)) return []
    throw error
  }
}

/** One target that cannot be asked for now takes nothing from the others, and keeps what it had. */
async function targetAddresses(
  addressesOf: AddressesOf,
  { name, port }: Service,
  before: readonly Found[],
): Promise<readonly string[]> {
  try {
    return await addressesOf(name)
  } catch {
    return before.filter(({ target }) => target === `${name}:${port}`).map(({ host }) => host)
  }
}

async function askFor(host: string, family: Family, servers: readonly string[]): Promise<readonly string[]> {
  const asked = resolver(servers)
  const ipv4 = family === 'ipv6' ? [] : await orNothing(asked.resolve4(host))
  if (family === 'ipv4' || (family === 'auto' && ipv4.length > 0)) return ipv4
  return ofFamily(ipv4, await orNothing(asked.resolve6(host)), family)
}

async function orNothing(answer: Promise<string[]>): Promise<string[]> {
  try {
    return await answer
  } catch (error) {
    if (isNothing(error)) return []
    throw error
  }
}

/** A new one each time: it reads /etc/resolv.conf anew, and keeps nothing. */
function resolver(servers: readonly string[]): dns.Resolver {
  const made = new dns.Resolver(QUESTION)
  if (servers.length > 0) made.setServers(servers)
  return made
}

function isNothing(error: unknown): boolean {
  return NOTHING.has((error as NodeJS.ErrnoException).code ?? '')
}

/** Lets so many run at a time; the others wait for their turn. */
class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#free = most
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
