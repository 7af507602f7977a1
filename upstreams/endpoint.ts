import { LATENCY_BOUNDS } from '../lib/base/cells.ts'
import type { Peer } from '../lib/base/peer-socket.ts'
import type { ThreadEnv } from '../lib/base/thread-env.ts'
import { isHttp2, isSecure } from '../lib/config/endpoint-fit.ts'
import type { Address, EndpointConfig, EndpointProtocol, UpstreamConfig } from '../lib/config/model.ts'
import { AckStall } from './ack-stall.ts'
import type { NamedLoad } from './balancer/load.ts'
import { PeakEwma } from './balancer/peak-ewma.ts'
import { ConnectionPool, type Pooled } from './connection-pool.ts'
import { KeepaliveLimit } from './keepalive-limit.ts'
import { ATTEMPT_ERRORS, type AttemptError, ENDPOINT_BLOCK } from './measures.ts'
import type { Place } from './place.ts'
import { EndpointTls, type TlsCredentials } from './transport/endpoint-tls.ts'
import { HostLookup } from './transport/host-lookup.ts'

const AT = ENDPOINT_BLOCK.at
/** Cell of attempts that ended without an answer: behind the five status classes. */
const NO_ANSWER = 5

/**
 * Requests that an endpoint without a cap may run when it has just come back: those that waited must not all
 * fall on it at once.
 */
const FIRST_SLOTS = 8

/** For so long what cannot be repeated keeps away from an endpoint that has failed. */
const DOUBT_MS = 1000

/** What a request says about the connection that it may have. */
export interface ConnectionNeeds {
  /** It may meet a connection that the app is just closing. */
  readonly idempotent: boolean
  /** It makes a connection of its own. */
  readonly dial?: unknown
}

/** Connections that carry many requests at a time; undefined ones are none so far. */
export interface SharedConnections {
  /** Nothing new goes there: they close when they have finished. */
  retire(): void
  /** Closes one on which nothing runs; false if there is none. */
  closeResting(): boolean
}

/** One address of an upstream as this thread sees it: its load, its idle connections, its counters. */
export class Endpoint<C extends Pooled = Pooled> implements NamedLoad {
  readonly name: string
  readonly address: Address
  readonly index: number
  readonly row: number
  /** What the policies see: less than configured while it starts slowly. */
  weight: number
  backup: boolean
  protocol: EndpointProtocol
  /** How each connection begins; it then carries one request. */
  proxyProtocol: UpstreamConfig['proxyProtocol'] = undefined
  /** Kept by the transport that has them. */
  shared: SharedConnections | undefined = undefined
  #tls: EndpointTls | undefined = undefined
  /** Counts how often the configuration has changed how connections are made. */
  connectionEpoch = 0
  readonly keepalive = new KeepaliveLimit()
  /** undefined where the configuration says how connections are kept, or they are not kept at all. */
  stall: AckStall | undefined = undefined
  /** Largest block of uwsgi variables that was answered here, in bytes. */
  answeredBlockBytes = 0
  readonly #names: HostLookup
  readonly #env: ThreadEnv
  readonly #latency: PeakEwma
  readonly #pool: ConnectionPool<C>
  /**
   * What `acquire` has taken from the pool for the request that is about to run; undefined: a place for a new
   * connection.
   */
  #chosen: C | undefined = undefined
  /**
   * The app keeps used connections for as long as the configuration says: what must not be sent twice may use
   * them.
   */
  #keepsUsed = false
  #configuredWeight: number
  /** Percent of its share that it gets by now. */
  #ramp = 100
  /** When a failure there was seen last, since something went well. */
  #doubtedAtMs: number | undefined = undefined
  /** When a probe was asked for last. */
  suspectedAtMs = Number.NEGATIVE_INFINITY

  constructor(
    config: EndpointConfig,
    placement: { readonly index: number; readonly row: number },
    env: ThreadEnv,
  ) {
    this.name = config.name
    this.address = config.address
    this.weight = config.weight
    this.#configuredWeight = config.weight
    this.backup = config.backup
    this.protocol = config.protocol
    this.index = placement.index
    this.row = placement.row
    this.#names = new HostLookup(env.clock)
    this.#env = env
    this.#latency = new PeakEwma(env.clock.now())
    this.#pool = new ConnectionPool(env, placement.index, placement.row)
  }

  /**
   * What the configuration says now; after a reload this may be another protocol at the same address.
   * `placeFreed`: called when a connection has closed that others may have waited for.
   */
  configure(
    config: EndpointConfig,
    upstream: Pick<UpstreamConfig, 'server' | 'proxyProtocol' | 'keepalive' | 'maxInflight'>,
    credentials: TlsCredentials,
    placeFreed: () => void,
  ): void {
    const { server, proxyProtocol, keepalive, maxInflight } = upstream
    const tls = isSecure(config.protocol) ? new EndpointTls(credentials, config) : undefined
    const sameTls = tls?.credentials === this.#tls?.credentials && tls?.name === this.#tls?.name
    if (config.protocol !== this.protocol || proxyProtocol !== this.proxyProtocol || !sameTls) {
      this.#dropConnections()
      this.#tls = undefined
      this.connectionEpoch += 1
    }
    this.#tls ??= tls
    this.#learnStalls(config.protocol, proxyProtocol === undefined && keepalive.idleMs === undefined)
    this.#configuredWeight = config.weight
    this.backup = config.backup
    this.protocol = config.protocol
    this.proxyProtocol = proxyProtocol
    this.keepalive.kind = server
    this.#keepsUsed = keepalive.idleMs !== undefined
    // Over HTTP/2 requests share connections, and uWSGI has one for each request.
    const counts = config.protocol === 'http1' || config.protocol === 'https'
    this.#pool.bind(counts ? maxInflight : 0, placeFreed)
  }

  /** uWSGI takes one request a connection. */
  #learnStalls(protocol: EndpointProtocol, learns: boolean): void {
    if (!learns || protocol === 'uwsgi') this.stall = undefined
    else if (this.stall === undefined || protocol !== this.protocol)
      this.stall = new AckStall(isHttp2(protocol) ? 'none' : 'new-connections')
  }

  /**
   * Answers on connections that have been used come late there: the next request takes a new one. Behind TLS
   * that would cost as much as it saves, so new ones are only tried, to find out.
   */
  leavesUsed(nowMs: number): boolean {
    // Asked first: that is what ends it when its time is over.
    if (this.stall?.isActing(nowMs) !== true) return false
    return this.#tls === undefined || this.stall.isTrying
  }

  /** For hash policies: stays the same over reloads. */
  get identity(): string {
    return this.name
  }

  /** Whom to connect to, and how; `greeting`: a PROXY header. */
  peer(greeting?: string): Peer {
    const { address } = this
    const tls = this.#tls
    if (address.kind === 'unix') return { path: address.path, tls, greeting }
    return { host: address.host, port: address.port, lookup: this.#names.lookup, tls, greeting }
  }

  get inflight(): number {
    return this.#env.shared.inflight(this.index)
  }

  get latencyMs(): number {
    return this.#latency.value(this.#env.clock.now())
  }

  /** STATE bits; 0 is ready. */
  get state(): number {
    return this.#env.shared.state(this.index)
  }

  /**
   * How far it has come with starting slowly. To be called before a picker is built: there weights are
   * constant.
   */
  takeRamp(): void {
    this.#ramp = this.#env.shared.ramp(this.index)
    this.weight = (this.#configuredWeight * this.#ramp) / 100
  }

  /**
   * It has failed within the last second, as all threads know, and nothing has gone well there since. A
   * thread counts from its own failure there, or from when it first asks here.
   */
  isDoubtful(): boolean {
    const { clock, shared } = this.#env
    if (shared.failures(this.index) === 0 && shared.badAnswers(this.index) === 0) {
      this.#doubtedAtMs = undefined
      return false
    }
    const nowMs = clock.now()
    this.#doubtedAtMs ??= nowMs
    return nowMs - this.#doubtedAtMs < DOUBT_MS
  }

  /** It has failed. */
  doubt(nowMs: number): void {
    this.#doubtedAtMs = nowMs
  }

  /**
   * Takes one of `max` slots (0: no cap), or of fewer by what was learned, or while it starts slowly; and the
   * connection that the request will have, or a place for one. Where a slot is free but no place, room is
   * made.
   */
  acquire(max: number, needs: ConnectionNeeds): boolean {
    const reuses = this.#pool.hasIdle && this.mayReuse(needs)
    if (!reuses && !this.#pool.hasRoom) return this.#lacksPlace(max)
    const { shared, thread, cells } = this.#env
    if (!shared.acquire(this.index, thread, this.#slots(max))) return false
    cells.add(this.row + AT.inflight, 1)
    if (reuses) this.#chosen = this.#pool.take()
    else if (!this.shares(needs) && !this.#pool.reserve()) {
      this.release()
      return this.#lacksPlace(max)
    }
    return true
  }

  #lacksPlace(max: number): boolean {
    if (this.hasSlot(max)) this.#pool.makeRoom()
    return false
  }

  /** Over HTTP/2 it shares a connection with others. */
  shares({ dial }: ConnectionNeeds): boolean {
    return dial === undefined && isHttp2(this.protocol)
  }

  /**
   * What must not be sent twice meets no connection that the app may just be closing, unless the
   * configuration says that it does not.
   */
  mayReuse({ idempotent, dial }: ConnectionNeeds): boolean {
    if (dial !== undefined || this.protocol === 'uwsgi' || this.proxyProtocol !== undefined) return false
    // Hot: the clock is asked only where it matters.
    if (this.stall?.isWatching === false && this.leavesUsed(this.#env.clock.now())) return false
    return idempotent || this.#keepsUsed
  }

  /** As many connections are open as may be. */
  get isFull(): boolean {
    return this.#pool.isFull
  }

  /** Is one of them free now? */
  hasSlot(max: number): boolean {
    const slots = this.#slots(max)
    return slots === 0 || this.inflight < slots
  }

  /** So many are; 0 where there is no cap. */
  freeSlots(max: number): number {
    return Math.max(0, this.#slots(max) - this.inflight)
  }

  /** 0: no cap. */
  #slots(max: number): number {
    const learned = this.#env.shared.limit(this.index)
    const most = learned > 0 && (max === 0 || learned < max) ? learned : max
    return this.#ramp === 100 ? most : rampedSlots(most, this.#ramp)
  }

  release(): void {
    this.#env.shared.release(this.index, this.#env.thread)
    this.#env.cells.add(this.row + AT.inflight, -1)
  }

  /** The connection that `acquire` has chosen; undefined: `openPlace` is to be called. */
  takeChosen(): C | undefined {
    const chosen = this.#chosen
    this.#chosen = undefined
    return chosen
  }

  /**
   * The place for a new connection that `acquire` has taken; undefined if there is no descriptor for it.
   * `siblings`: see Descriptors.takeFor.
   */
  openPlace(siblings: number): Place<this> | undefined {
    return this.#pool.openPlace(this, siblings)
  }

  /** False when the pool is full or closed, or the place is wanted: the caller then closes the connection. */
  putIdle(client: C, max: number): boolean {
    return this.#pool.put(client, max)
  }

  removeIdle(client: C): void {
    this.#pool.remove(client)
  }

  /** Gone from the configuration: idle connections close now, those at work when they have finished. */
  retire(): void {
    this.#pool.retire()
    this.#dropConnections()
  }

  #dropConnections(): void {
    this.closeIdle()
    this.shared?.retire()
    this.shared = undefined
  }

  /** Closes the connection that has rested longest; false if none does. */
  closeResting(): boolean {
    return this.#pool.closeResting() || this.shared?.closeResting() === true
  }

  closeIdle(): void {
    this.#pool.closeIdle()
  }

  /** A connection that carries many requests rests (1), or no longer (-1). */
  countResting(by: 1 | -1): void {
    this.#env.cells.add(this.row + AT.idle, by)
  }

  /** An attempt found a connection. */
  countReuse(): void {
    this.#env.cells.add(this.row + AT.reuses, 1)
  }

  countActive(by: 1 | -1): void {
    this.#env.cells.add(this.row + AT.active, by)
  }

  tunnelOpened(): void {
    this.#env.cells.add(this.row + AT.tunnels, 1)
    this.#env.cells.add(this.row + AT.tunnelsOpened, 1)
  }

  tunnelClosed(): void {
    this.#env.cells.add(this.row + AT.tunnels, -1)
  }

  /** Bytes that passed through a tunnel, to the app or from it. */
  countTunnelBytes(direction: 'sent' | 'received', bytes: number): void {
    const at = direction === 'sent' ? AT.tunnelBytesSent : AT.tunnelBytesReceived
    this.#env.cells.add(this.row + at, bytes)
  }

  countAnswer(status: number, tookMs: number): void {
    const { cells } = this.#env
    cells.add(this.row + AT.attempts + Math.floor(status / 100) - 1, 1)
    cells.observe(this.row + AT.duration, LATENCY_BOUNDS, tookMs / 1000)
  }

  /** Seconds in sum, so that the control thread can say what is slow. */
  countFirstByte(tookMs: number): void {
    this.#env.cells.add(this.row + AT.firstByteSum, tookMs / 1000)
    this.#env.cells.add(this.row + AT.firstBytes, 1)
  }

  /** A request whose client has left keeps its slot (1), until the app has ended it (-1). */
  countAbandoned(by: 1 | -1): void {
    if (by === 1) this.#env.cells.add(this.row + AT.abandoned, 1)
    this.#env.cells.add(this.row + AT.abandonedNow, by)
  }

  countError(kind: AttemptError): void {
    if (kind === 'connect' || kind === 'connect_timeout') {
      this.#names.doubt()
      this.stall?.replaced()
    }
    this.#env.cells.add(this.row + AT.attempts + NO_ANSWER, 1)
    this.#env.cells.add(this.row + AT.errors + ATTEMPT_ERRORS.indexOf(kind), 1)
  }

  /** For the peak-ewma policy: milliseconds from the attempt's start to its answer's head. */
  observeFirstByte(tookMs: number): void {
    this.#latency.observe(tookMs, this.#env.clock.now())
  }
}

/**
 * Slots of an endpoint that has `percent` of its share so far; without a cap they double eight times on the
 * way.
 */
function rampedSlots(max: number, percent: number): number {
  if (max > 0) return Math.max(1, Math.ceil((max * percent) / 100))
  return Math.ceil(FIRST_SLOTS * 2 ** ((8 * percent) / 100))
}
