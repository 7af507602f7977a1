import { createServer, type Server, type Socket } from 'node:net'
import {
  HANDSHAKE_RESULTS,
  type HandshakeResult,
  LISTENER_BLOCK,
  REJECTIONS,
  type Rejection,
} from '../../metrics/blocks.ts'
import { protocolErrorIndex } from '../../metrics/protocol-errors.ts'
import { acceptSockets } from '../base/accept-sockets.ts'
import { HttpDate } from '../base/clock.ts'
import type { Idlers } from '../base/descriptors.ts'
import type { ThreadEnv } from '../base/thread-env.ts'
import type { Address, ListenerConfig } from '../config/model.ts'
import { type CidrSet, parseCidrs } from '../http/cidr.ts'
import type { ClientFacts } from '../http/client-facts.ts'
import type { Exchange, ExchangeFacts } from '../http/exchange.ts'
import { RequestIds } from '../http/request-ids.ts'
import type { TunnelTarget } from '../proxy/tunnel.ts'
import type { ProxyPeer } from '../wire/proxy-protocol.ts'
import type { HeadLimits } from '../wire/refusal.ts'
import type { TunnelFacts } from './access/tunnel-facts.ts'
import type { ClientMemory } from './connection/client-memory.ts'
import type { ClientConnection } from './connection/connection-host.ts'
import { IdleList } from './connection/idle-list.ts'
import { refusalText } from './connection/refusal.ts'
import { ResetTable } from './connection/reset-table.ts'
import { Entrance, type EntranceHost } from './entrance.ts'
import { Http1Connection } from './http1/http1-connection.ts'
import { Opening } from './opening.ts'
import { TlsContexts } from './tls/tls-contexts.ts'
import type { TlsState } from './tls/tls-state.ts'

/** What a listener hands its exchanges to. */
export interface ListenerHooks {
  /** What the thread's clients hold together. */
  readonly memory: ClientMemory
  /** Finds the route and hands over. */
  route(exchange: Exchange): void
  /** Exactly once for each exchange, and for each refused head. */
  finished(exchange: ExchangeFacts): void
  /** See EntranceHost. */
  tunnelFor(listener: string, serverName: string | undefined): TunnelTarget | undefined
  /** Exactly once for each tunnel. */
  tunnelEnded(tunnel: TunnelFacts): void
}

const AT = LISTENER_BLOCK.at
/** Longest request line, as in nginx and Apache. */
const TARGET_BYTES = 8 * 1024
/** Connections that the kernel completes while we are busy; it caps this at net.core.somaxconn. */
const BACKLOG = 4096
/** Connections beyond the limit that other threads are to make room for, at most. */
const MOST_OWED = 4

/** An address that this thread accepts on. Its settings change in place, so a reload closes nothing. */
export class Listener implements EntranceHost {
  readonly env: ThreadEnv
  readonly date: HttpDate
  readonly requestIds = new RequestIds()
  readonly memory: ClientMemory
  readonly idle: IdleList
  readonly resets = new ResetTable()
  config: ListenerConfig
  headLimits: HeadLimits
  trusted: CidrSet
  draining = false
  tls: TlsContexts | undefined = undefined
  readonly #row: number
  readonly #hooks: ListenerHooks
  readonly #servers: readonly Server[]
  readonly #entrance = new Entrance(this)
  readonly #connections = new Set<ClientConnection>()
  #inflight = 0
  /** Of `#wanted`: what this thread has done, or wants itself. */
  #wantedBefore: number

  constructor(
    config: ListenerConfig,
    placement: { readonly row: number },
    env: ThreadEnv,
    hooks: ListenerHooks,
  ) {
    this.env = env
    this.date = new HttpDate(env.clock)
    this.config = config
    this.headLimits = headLimitsOf(config)
    this.trusted = parseCidrs(config.trustedProxies)
    this.#row = placement.row
    this.idle = new IdleList(env.cells, this.#row + AT.idle)
    this.#wantedBefore = this.#wanted
    this.#hooks = hooks
    this.memory = hooks.memory
    const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true }
    const count = config.address.kind === 'tcp' ? acceptSockets(env.descriptors.mostClients) : 1
    this.#servers = Array.from({ length: count }, () => createServer(options, socket => this.#accept(socket)))
  }

  /** Client connections open in this thread. */
  get connections(): number {
    return this.#connections.size
  }

  /** Client connections of this listener open in all threads. */
  get connectionsEverywhere(): number {
    return this.env.cells.total(this.#row + AT.active)
  }

  /** Exchanges running in this thread. */
  get inflight(): number {
    return this.#inflight
  }

  /** Binds; rejects with the system's error when the address cannot be had. */
  async listen(): Promise<void> {
    try {
      for (const server of this.#servers) await listening(server, this.config.address)
    } catch (error) {
      this.#close()
      throw error
    }
    // Out of file descriptors: the connection is refused, accepting goes on.
    for (const server of this.#servers) server.on('error', () => this.#countRejected('fd'))
  }

  #close(): void {
    for (const server of this.#servers) server.close()
  }

  /** New settings for the same address; open connections see them at their next request. */
  update(config: ListenerConfig): void {
    this.config = config
    this.headLimits = headLimitsOf(config)
    this.trusted = parseCidrs(config.trustedProxies)
  }

  /** New certificates; connections that are open keep theirs. */
  updateTls(state: TlsState): void {
    const certificates = state.listeners.find(({ listener }) => listener === this.config.name)
    this.tls = certificates === undefined ? undefined : new TlsContexts(certificates, state)
  }

  /** Stops accepting; idle connections go now, the others with `Connection: close` after their answer. */
  drain(): void {
    this.draining = true
    this.#close()
    for (const connection of this.#connections) connection.drain()
  }

  /** Cuts what is left. */
  destroy(): void {
    this.#close()
    for (const connection of [...this.#connections]) connection.destroy('SHUTDOWN')
  }

  /** Closes the connection that has been idle longest, to make room. False: none can be closed. */
  evictIdlest(whom: Idlers, reason: Rejection): boolean {
    if (!this.idle.closeOldest(whom)) return false
    this.env.cells.add(this.#row + AT.evicted + REJECTIONS.indexOf(reason), 1)
    return true
  }

  /**
   * To be called from time to time: closes what newcomers of other threads need. One of this thread that has
   * not asked yet is no worse than those.
   */
  makeRoom(): void {
    const wanted = this.#wanted
    const excess = this.connectionsEverywhere - this.config.limits.connections
    let left = Math.min(excess, wanted - this.#wantedBefore)
    while (left > 0 && this.evictIdlest('served', 'limit')) left -= 1
    this.#wantedBefore = wanted
  }

  /**
   * Memory is short: those go first who take nothing of what waits for them. To be called once a second while
   * that is so.
   */
  shedStalledStreams(): void {
    const nowMs = this.env.clock.now()
    for (const connection of [...this.#connections]) connection.shedStalled(nowMs)
  }

  // ConnectionHost.

  route(exchange: Exchange): void {
    this.#hooks.route(exchange)
  }

  exchangeBegan(): void {
    this.#inflight += 1
    this.env.cells.add(this.#row + AT.inflight, 1)
  }

  exchangeEnded(exchange: ExchangeFacts): void {
    this.#countEnded()
    const { end, detail } = exchange.record
    if (end === 'bad_request' || end === 'body_too_large') this.#countProtocolError(detail)
    this.#hooks.finished(exchange)
  }

  tunnelEnded(tunnel: TunnelFacts): void {
    this.#countEnded()
    this.#hooks.tunnelEnded(tunnel)
  }

  refused(facts: ExchangeFacts): void {
    this.#countProtocolError(facts.record.detail)
    this.#hooks.finished(facts)
  }

  closed(connection: ClientConnection): void {
    if (!this.#connections.delete(connection)) return
    this.env.cells.add(this.#row + AT.active, -1)
    this.env.descriptors.give()
  }

  // EntranceHost.

  entered(before: ClientConnection, connection: ClientConnection): void {
    this.#connections.delete(before)
    this.#connections.add(connection)
  }

  clientBehind(proxy: ClientFacts, { address, port }: ProxyPeer): ClientFacts {
    return { ...proxy, peerAddress: address, peerPort: port, trusted: this.trusted.has(address) }
  }

  handshakeEnded(result: HandshakeResult): void {
    this.env.cells.add(this.#row + AT.handshakes + HANDSHAKE_RESULTS.indexOf(result), 1)
  }

  tunnelFor(serverName: string | undefined): TunnelTarget | undefined {
    return this.#hooks.tunnelFor(this.config.name, serverName)
  }

  #countEnded(): void {
    this.#inflight -= 1
    this.env.cells.add(this.#row + AT.inflight, -1)
  }

  #accept(socket: Socket): void {
    const { cells } = this.env
    cells.add(this.#row + AT.connections, 1)
    if (!this.#hasRoom()) return this.#reject(socket, 'limit')
    const client = this.#factsOf(socket)
    if (client === undefined) return forget(socket)
    if (!this.env.descriptors.takeForClient()) return this.#reject(socket, 'fd')
    cells.add(this.#row + AT.active, 1)
    this.#connections.add(
      this.#entrance.asks
        ? new Opening(socket, client, this, this.#entrance)
        : new Http1Connection(socket, client, this),
    )
  }

  /**
   * A newcomer may come in place of one that is idle in another thread: that one goes at its thread's next
   * tick.
   */
  #hasRoom(): boolean {
    const excess = this.connectionsEverywhere - this.config.limits.connections
    if (excess < 0 || this.evictIdlest('all', 'limit')) return true
    const { cells } = this.env
    if (excess >= Math.min(MOST_OWED, cells.total(this.#row + AT.idle))) return false
    cells.add(this.#row + AT.wanted, 1)
    this.#wantedBefore += 1
    return true
  }

  get #wanted(): number {
    return this.env.cells.total(this.#row + AT.wanted)
  }

  #reject(socket: Socket, reason: Rejection): void {
    this.#countRejected(reason)
    socket.on('error', () => {})
    socket.end(refusalText('TOO_MANY_CONNECTIONS', this.requestIds.next(), this.date.text()), () =>
      socket.destroy(),
    )
  }

  /**
   * undefined for a client that has reset before it was accepted: the system no longer knows its address, yet
   * would hand out the request that it left behind. It must not be acted on for nobody.
   */
  #factsOf(socket: Socket): ClientFacts | undefined {
    const { address } = this.config
    if (address.kind === 'tcp' && socket.remoteAddress === undefined) return undefined
    const peerAddress = bareAddress(socket.remoteAddress ?? '')
    return {
      peerAddress,
      peerPort: socket.remotePort ?? 0,
      // A peer on a unix socket is on this machine and has no address that a list could name.
      trusted:
        address.kind === 'unix'
          ? this.config.trustedProxies.includes('unix:')
          : this.trusted.has(peerAddress),
      listener: this.config.name,
      scheme: 'http',
      localAddress: bareAddress(socket.localAddress ?? ''),
      localPort: address.kind === 'tcp' ? address.port : 0,
      tls: undefined,
    }
  }

  #countRejected(reason: Rejection): void {
    this.env.cells.add(this.#row + AT.rejected + REJECTIONS.indexOf(reason), 1)
  }

  #countProtocolError(detail: string | undefined): void {
    this.env.cells.add(this.#row + AT.protocolErrors + protocolErrorIndex(detail ?? 'other'), 1)
  }
}

function forget(socket: Socket): void {
  socket.on('error', () => {})
  socket.destroy()
}

function headLimitsOf({ limits }: ListenerConfig): HeadLimits {
  return { headersBytes: limits.headersBytes, headerCount: limits.headerCount, targetBytes: TARGET_BYTES }
}

async function listening(server: Server, address: Address): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listenOptions(address), () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function listenOptions(address: Address): object {
  if (address.kind === 'unix') return { path: address.path, backlog: BACKLOG }
  return { host: address.host, port: address.port, reusePort: true, backlog: BACKLOG }
}

/** An IPv4 client of a listener on `[::]` arrives as `::ffff:10.0.0.1`. */
function bareAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
