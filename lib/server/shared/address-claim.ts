import { existsSync } from 'node:fs'
import { lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'
import { dirname } from 'node:path'
import type { Address } from '../../config/model.ts'
import { addressText } from './address-text.ts'

/** An address that nobody else listens on. */
export interface Claim {
  /** With the real port where the configuration says 0. */
  readonly address: Address
  /** To be called once the data threads listen. */
  release(): void
}

/** The address cannot be had. The message says which, and why. */
export class AddressTaken extends Error {
  override readonly name = 'AddressTaken'
}

/**
 * Makes sure, before data threads bind it, that an address is free. Data threads share their ports
 * (SO_REUSEPORT), and so would a second process of the same user: it would silently take half of the traffic.
 * Ports in `ours` are held by this process and are not tested. Throws AddressTaken.
 */
export async function claimAddress(address: Address, ours: ReadonlySet<number>): Promise<Claim> {
  if (address.kind === 'unix') {
    await clearStaleSocket(address.path)
    return { address, release: () => {} }
  }
  if (address.port === 0) return holdFreePort(address)
  if (!ours.has(address.port)) {
    const server = await listen(address, { host: address.host, port: address.port, exclusive: true })
    await closed(server)
  }
  return { address, release: () => {} }
}

/** Why an address could not be claimed now. `taken`: somebody listens there, maybe this very program. */
export interface ClaimTrouble {
  readonly kind: 'taken' | 'refused'
  readonly text: string
}

/**
 * What a claim would say; undefined if the address is free. It is tried for a moment, and nothing stays or
 * goes: no socket file is touched.
 */
export async function claimTrouble(address: Address): Promise<ClaimTrouble | undefined> {
  if (address.kind === 'unix') {
    const taken = await isServed(address.path)
    return taken ? { kind: 'taken', text: servedText(address.path) } : undefined
  }
  try {
    await closed(await listen(address, { host: address.host, port: address.port, exclusive: true }))
    return undefined
  } catch (error) {
    if (!(error instanceof AddressTaken)) throw error
    const taken = error.cause instanceof Error && Reflect.get(error.cause, 'code') === 'EADDRINUSE'
    return { kind: taken ? 'taken' : 'refused', text: error.message }
  }
}

/** A free port, held until the data threads share it. */
async function holdFreePort(address: Extract<Address, { kind: 'tcp' }>): Promise<Claim> {
  const server = await listen(address, { host: address.host, port: 0, reusePort: true })
  const bound = server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0
  return { address: { ...address, port }, release: () => server.close() }
}

/** A socket file whose process has died is removed; a living one, or another kind of file, is an error. */
async function clearStaleSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return
  if (!stats.isSocket()) throw new AddressTaken(`${path} exists and is not a socket`)
  if (await isServed(path)) throw new AddressTaken(servedText(path))
  await unlink(path)
}

function servedText(path: string): string {
  return `${path} is in use by a running process`
}

function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Refused: nobody listens. Anything else (no permission, a full backlog) means that somebody may.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}

function listen(address: Address, options: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', error => reject(new AddressTaken(bindErrorText(address, error), { cause: error })))
    server.listen(options, () => resolve(server))
  })
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
  })
}

/**
 * Below these only root may listen, where the system does not say otherwise (ip(7),
 * ip_unprivileged_port_start).
 */
const FIRST_FREE_PORT = 1024

/** Why an address could not be bound, in words, and what to do about it. */
export function bindErrorText(address: Address, error: NodeJS.ErrnoException): string {
  const text = addressText(address)
  // libuv says EACCES there.
  if (address.kind === 'unix' && !existsSync(dirname(address.path)))
    return `the folder of ${text} does not exist: create it first`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${text} is already in use: stop the process that listens there, or choose another address`
    case 'EACCES':
      return `no permission to listen on ${text}${permissionHint(address)}`
    case 'EADDRNOTAVAIL':
      return `${text} is not an address of this machine`
    default:
      return `cannot listen on ${text}: ${error.message}`
  }
}

function permissionHint(address: Address): string {
  if (address.kind === 'unix') return ': this user has no permission to write to its folder'
  return address.port < FIRST_FREE_PORT
    ? `: ports below ${FIRST_FREE_PORT} need root or CAP_NET_BIND_SERVICE`
    : ''
}
